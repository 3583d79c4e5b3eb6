"""The headers of a mail's sender: put on when it is rendered, or later if there was no sender then.

They stand in one block at the front, whose length is kept, so that another sender's can take their
place. From then on the bytes never change, whatever happens to the settings.
"""

import re
from dataclasses import replace
from functools import lru_cache
from typing import TypedDict

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, transaction
from smtp_admin.delivery.claim import Claimed
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.rows import wants_copy
from smtp_admin.providers.catalogue import own_id_for
from smtp_admin.senders.owner_names import from_name_of
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.smtp.address import check_header_text, domain_of
from smtp_admin.smtp.headers import address_header

#: The domain of a Message-ID while no sender is known: it never leaves the house.
UNKNOWN_DOMAIN = "localhost.invalid"
_UNKNOWN = f"@{UNKNOWN_DOMAIN}>"
_FLAGS = re.IGNORECASE | re.MULTILINE
#: Of mail that was queued before the length of the sender's headers was kept.
_FROM = re.compile(rb"^From:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", _FLAGS)


class Stamped(TypedDict):
    """What a sender makes of a mail, as the row of the message has it."""

    content: bytes
    size: int
    message_id: str
    from_email: str | None
    envelope_from: str | None
    sender_head: int | None


def stamped(
    sender: ResolvedSender, content: bytes, message_id: str, *, answers: str = ""
) -> Stamped:
    """*content*, which has no sender's headers, with those of *sender*; as it is if it has none.

    What the mail brings itself stays: its Reply-To, and any header that the sender has too.

    Args:
        answers: where answers go if neither the mail nor the sender says it.
    """
    values = sender.values
    if not sender.configured or not values.complete:
        return Stamped(
            content=content,
            size=len(content),
            message_id=message_id,
            from_email=None,
            envelope_from=None,
            sender_head=None,
        )
    if message_id.endswith(_UNKNOWN):
        content, message_id = _with_domain(content, message_id, domain_of(values.from_email))
    own_id = own_id_for(str(values.get("host", "")))
    if values.reply_to or answers or values.headers or own_id:
        own = _names(content)
        head = from_lines(sender, reply_to="reply-to" not in own, answers=answers)
        head += _lines_of(tuple(one for one in values.headers if one[0].lower() not in own))
        if own_id is not None:
            own |= {one[0].lower() for one in values.headers}
            head += b"" if own_id.header.lower() in own else own_id.line(message_id).encode("ascii")
    else:
        head = from_lines(sender)
    return Stamped(
        content=head + content,
        size=len(head) + len(content),
        message_id=message_id,
        from_email=values.from_email,
        envelope_from=values.envelope_from or None,
        sender_head=len(head),
    )


def _with_domain(content: bytes, message_id: str, domain: str) -> tuple[bytes, str]:
    """The mail and its Message-ID with the domain that nobody knew when it was queued."""
    better = f"{message_id.removesuffix(_UNKNOWN)}@{domain}>"
    head, blank, body = content.partition(b"\r\n\r\n")
    return head.replace(message_id.encode(), better.encode(), 1) + blank + body, better


def without_sender(message: Message) -> bytes:
    """The bytes of *message* without its sender's headers."""
    if message.from_email is None:
        return message.content
    if message.sender_head is not None:
        return message.content[message.sender_head :]
    head, blank, body = message.content.partition(b"\r\n\r\n")
    return _FROM.sub(b"", head + b"\r\n")[:-2] + blank + body


def from_lines(sender: ResolvedSender, *, reply_to: bool = True, answers: str = "") -> bytes:
    """The From header of *sender*, and its Reply-To if it has one, with line ends.

    Args:
        reply_to: off where the mail brings a Reply-To of its own.
        answers: the Reply-To where the sender has none.
    """
    values = sender.values
    answer_to = (values.reply_to or answers) if reply_to else ""
    return _lines(from_name_of(sender), values.from_email, answer_to)


@lru_cache(maxsize=1000)
def _lines(name: str, from_email: str, reply_to: str) -> bytes:
    lines = address_header("From", [(check_header_text(name), from_email)])
    if reply_to:
        lines += address_header("Reply-To", [("", reply_to)])
    return lines.encode("ascii")


@lru_cache(maxsize=1000)
def _lines_of(headers: tuple[tuple[str, str], ...]) -> bytes:
    """Headers that were cleaned: ASCII, and no longer than a line may be."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("ascii")


def _names(content: bytes) -> frozenset[str]:
    """The names of a mail's headers, in lower case."""
    head = content[: max(0, content.find(b"\r\n\r\n"))]
    return frozenset(
        line.partition(b":")[0].decode("ascii", "replace").lower()
        for line in head.split(b"\r\n")
        if not line.startswith((b" ", b"\t"))
    )


def with_sender_headers(
    database: Engine | Connection,
    deliveries: list[Claimed],
    sender: ResolvedSender,
    *,
    copies: bool = True,
) -> list[Claimed]:
    """*deliveries*, each with a From header; added ones are stored before anything is sent.

    With the headers comes the copy to the sender's archive, as a delivery that has still to be
    claimed.

    Args:
        copies: off where no archive gets any.
    """
    missing = {one.message_pk: one for one in deliveries if one.from_email is None}
    if not missing:
        return deliveries
    done: dict[int, Stamped] = {}
    with transaction(database) as session:
        for message_pk, one in sorted(missing.items()):
            done[message_pk] = _stamp(session, one, sender, copies=copies)
    return [_as_stamped(one, done.get(one.message_pk)) for one in deliveries]


def _as_stamped(one: Claimed, how: Stamped | None) -> Claimed:
    if how is None:
        return one
    return replace(
        one,
        content=how["content"],
        message_id=how["message_id"],
        from_email=how["from_email"],
        envelope_from=how["envelope_from"],
    )


def _stamp(session: Session, one: Claimed, sender: ResolvedSender, *, copies: bool) -> Stamped:
    stamped_now = stamped(sender, one.content, one.message_id)
    mine = (Message.id == one.message_pk, Message.from_email.is_(None))
    if changed(session, update(Message).where(*mine).values(**stamped_now)):
        if copies and sender.values.archive_to and not one.sensitive:
            _add_copy(session, one.message_pk, sender)
        return stamped_now
    # Another lane was first, perhaps with other settings: one mail has the same bytes everywhere.
    # With a lock, for MariaDB shows its newest state only to who asks for one.
    theirs = session.execute(
        select(
            Message.content,
            Message.size,
            Message.message_id,
            Message.from_email,
            Message.envelope_from,
            Message.sender_head,
        )
        .where(Message.id == one.message_pk)
        .with_for_update(read=True)
    ).one()
    return Stamped(
        content=theirs.content,
        size=theirs.size,
        message_id=theirs.message_id,
        from_email=theirs.from_email,
        envelope_from=theirs.envelope_from,
        sender_head=theirs.sender_head,
    )


def _add_copy(session: Session, message_pk: int, sender: ResolvedSender) -> None:
    rows = session.execute(
        select(
            Delivery.recipient,
            Delivery.partner_id,
            Delivery.priority,
            Delivery.expires_at,
            Delivery.batch_id,
        ).where(Delivery.message_pk == message_pk)
    ).all()
    archive_to = sender.values.archive_to
    if rows and wants_copy(archive_to, [row.recipient for row in rows]):
        session.execute(
            insert(Delivery).values(
                message_pk=message_pk,
                sender_id=sender.sender_id,
                partner_id=rows[0].partner_id,
                recipient=archive_to,
                priority=rows[0].priority,
                expires_at=rows[0].expires_at,
                batch_id=rows[0].batch_id,
                archive=True,
            )
        )
