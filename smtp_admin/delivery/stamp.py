"""The From header: put on when a mail is rendered, or later if no sender was configured then."""

from dataclasses import replace
from functools import lru_cache
from typing import TypedDict

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, transaction
from smtp_admin.delivery.claim import Claimed
from smtp_admin.delivery.models import Message
from smtp_admin.settings.sender import ResolvedSender
from smtp_admin.smtp.address import check_header_text
from smtp_admin.smtp.headers import address_header


def from_lines(sender: ResolvedSender, app_name: str, *, reply_to: bool = True) -> bytes:
    """The From header of *sender*, and its Reply-To if it has one, with line ends.

    Args:
        reply_to: off where the mail brings a Reply-To of its own.
    """
    values = sender.values
    return _lines(
        values.from_name or app_name, values.from_email, values.reply_to if reply_to else ""
    )


@lru_cache(maxsize=1000)
def _lines(name: str, from_email: str, reply_to: str) -> bytes:
    lines = address_header("From", [(check_header_text(name), from_email)])
    if reply_to:
        lines += address_header("Reply-To", [("", reply_to)])
    return lines.encode("ascii")


def stamped(
    database: Engine | Connection,
    deliveries: list[Claimed],
    sender: ResolvedSender,
    app_name: str,
) -> list[Claimed]:
    """*deliveries*, each with a From header; added ones are stored before anything is sent.

    From then on the bytes never change, whatever happens to the settings.
    """
    missing = [one for one in deliveries if one.from_email is None]
    if not missing:
        return deliveries
    done: dict[int, _Stamped] = {}
    with transaction(database) as session:
        for message_pk, content in sorted({one.message_pk: one.content for one in missing}.items()):
            done[message_pk] = _stamp(session, message_pk, content, sender, app_name)
    return [replace(one, **done.get(one.message_pk, {})) for one in deliveries]


class _Stamped(TypedDict, total=False):
    content: bytes
    from_email: str | None


def _stamp(
    session: Session, message_pk: int, content: bytes, sender: ResolvedSender, app_name: str
) -> _Stamped:
    own_reply_to = b"\r\nreply-to:" in content.partition(b"\r\n\r\n")[0].lower()
    stamped_now = _Stamped(
        content=from_lines(sender, app_name, reply_to=not own_reply_to) + content,
        from_email=sender.values.from_email,
    )
    mine = (Message.id == message_pk, Message.from_email.is_(None))
    if changed(session, update(Message).where(*mine).values(**stamped_now)):
        return stamped_now
    # Another lane was first, perhaps with other settings: one mail has the same bytes everywhere.
    # With a lock, for MariaDB shows its newest state only to who asks for one.
    theirs = session.execute(
        select(Message.content, Message.from_email)
        .where(Message.id == message_pk)
        .with_for_update(read=True)
    ).one()
    return _Stamped(content=theirs.content, from_email=theirs.from_email)
