"""What a person does with queued and failed mail: look, cancel, try again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, false, select
from sqlalchemy.orm import Session

from smtp_admin.database import database_now
from smtp_admin.delivery.acts import NOBODY, Doer, acts_on
from smtp_admin.delivery.copies import no_foreign_copy
from smtp_admin.delivery.digest_items import cancel_item, find_item
from smtp_admin.delivery.hops import HopSeen, hops_seen
from smtp_admin.delivery.mail_actions import Acted, cancel_queued, queue_again
from smtp_admin.delivery.models import Act, Attempt, Delivery, Message
from smtp_admin.delivery.public_ids import is_public_id
from smtp_admin.delivery.states import State
from smtp_admin.errors import Conflict, NotFound
from smtp_admin.translation import gettext


@dataclass(frozen=True, slots=True)
class Listed:
    """One delivery in a list.

    Attributes:
        archive: whether it is the blind copy to the sender's archive.
        hops: the senders that should have sent it before, and why they did not.
    """

    public_id: str
    partner_id: str
    type_name: str
    subject: str
    recipient: str
    state: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    finished_at: datetime | None
    last_error: str
    last_reply: str
    provider_message_id: str
    last_code: str
    last_cause: str
    uncertains: int
    sender_id: int
    archive: bool
    hops: tuple[HopSeen, ...] = ()


def list_mail(
    session: Session,
    *,
    partner_id: str | None = None,
    sender_id: int | None = None,
    state: State | None = None,
    limit: int = 50,
) -> list[Listed]:
    """The newest deliveries, of one partner, one sender and in one state if asked."""
    statement = _listed().add_columns(Delivery.id).order_by(Delivery.id.desc()).limit(limit)
    if partner_id is not None:
        statement = statement.where(Delivery.partner_id == partner_id, no_foreign_copy())
    if sender_id is not None:
        statement = statement.where(Delivery.sender_id == sender_id)
    if state is not None:
        statement = statement.where(Delivery.state == state)
    return list(_with_hops(session, session.execute(statement).all()).values())


def show_mail(
    session: Session, public_id: str
) -> list[tuple[Listed, list[Attempt], Sequence[Act]]]:
    """The deliveries of one mail, each with its attempts and with what people did with it.

    Raises:
        NotFound: there is no such mail.
    """
    statement = _listed().add_columns(Delivery.id).where(_is(public_id)).order_by(Delivery.id)
    rows = session.execute(statement).all()
    if not rows:
        raise NotFound(gettext("There is no mail %(public_id)s.", public_id=public_id[:40]))
    return [
        (
            listed,
            list(
                session.scalars(
                    select(Attempt).where(Attempt.delivery_id == number).order_by(Attempt.id)
                )
            ),
            acts_on(session, number),
        )
        for number, listed in _with_hops(session, rows).items()
    ]


def message_id_of(session: Session, public_id: str) -> str:
    """The Message-ID of a mail, by which servers and recipients know it; ``""`` for none."""
    return session.scalar(select(Message.message_id).where(Message.public_id == public_id)) or ""


def cancel(session: Session, public_id: str, by: Doer = NOBODY) -> int:
    """Do not send what of a mail is still queued; how many deliveries. The caller commits.

    The copy to an archive is not counted. It goes out all the same if somebody has the mail. The
    id may be that of a notice that waits for its digest.

    Raises:
        NotFound: there is no such mail.
        Conflict: nothing of it is queued any more.
    """
    if find_item(session, public_id) is not None:
        return cancel_item(session, public_id)
    ids = _deliveries(session, public_id, Delivery.archive.is_(False))
    count = cancel_queued(session, ids, database_now(session), by)
    if not count:
        raise Conflict(
            gettext(
                "Mail %(public_id)s is no longer queued, so nothing was cancelled.",
                public_id=public_id,
            )
        )
    return count


def retry(session: Session, public_ids: Sequence[str], by: Doer = NOBODY) -> Acted:
    """Queue dead letters, and mails whose outcome is unknown, once more; how many deliveries.

    What a deleted sender had goes out by another one, with that one's headers. The caller commits.

    Raises:
        NotFound: one of the mails does not exist; then none is touched.
        Conflict: none of them is a dead letter or of unknown outcome, or their text was erased.
    """
    ids = [one for public_id in public_ids for one in _deliveries(session, public_id)]
    acted = queue_again(session, ids, database_now(session), by)
    if not any(acted):
        raise Conflict(
            gettext("None of these mails is a dead letter, so nothing was queued again.")
        )
    return acted


def _listed() -> Any:
    return select(
        Message.public_id,
        Delivery.partner_id,
        Message.type_name,
        Message.subject,
        Delivery.recipient,
        Delivery.state,
        Delivery.attempts,
        Delivery.created_at,
        Delivery.next_attempt_at,
        Delivery.finished_at,
        Delivery.last_error,
        Delivery.last_reply,
        Delivery.provider_message_id,
        Delivery.last_code,
        Delivery.last_cause,
        Delivery.uncertains,
        Delivery.sender_id,
        Delivery.archive,
    ).join(Message, Message.id == Delivery.message_pk)


def _with_hops(session: Session, rows: Sequence[Row[Any]]) -> dict[int, Listed]:
    """Delivery id, which is the last of each row's values, → the delivery."""
    hops = hops_seen(session, [row[-1] for row in rows])
    found: dict[int, Listed] = {}
    for row in rows:
        values: list[Any] = list(row)
        delivery_id = values.pop()
        found[delivery_id] = replace(Listed(*values), hops=hops.get(delivery_id, ()))
    return found


def _is(public_id: str) -> ColumnElement[bool]:
    """Whether a message is one that callers know by this id."""
    return Message.public_id == public_id if is_public_id(public_id) else false()


def _deliveries(session: Session, public_id: str, *which: ColumnElement[bool]) -> list[int]:
    found = list(
        session.scalars(
            select(Delivery.id)
            .join(Message, Message.id == Delivery.message_pk)
            .where(_is(public_id), *which)
        )
    )
    if not found:
        raise NotFound(gettext("There is no mail %(public_id)s.", public_id=public_id[:40]))
    return found
