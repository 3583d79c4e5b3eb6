"""What a person does with queued and failed mail: look, cancel, try again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, false, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now
from smtp_admin.delivery import states
from smtp_admin.delivery.doorbell import ring_after_commit
from smtp_admin.delivery.hops import HopSeen, hops_seen
from smtp_admin.delivery.limits import DAY
from smtp_admin.delivery.models import Attempt, Delivery, Message
from smtp_admin.delivery.outbox import default_lifetime
from smtp_admin.delivery.public_ids import is_public_id
from smtp_admin.delivery.record import erase_sensitive
from smtp_admin.delivery.states import State
from smtp_admin.errors import Conflict, NotFound
from smtp_admin.senders.models import Sender


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
    last_code: str
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
        statement = statement.where(Delivery.partner_id == partner_id)
    if sender_id is not None:
        statement = statement.where(Delivery.sender_id == sender_id)
    if state is not None:
        statement = statement.where(Delivery.state == state)
    return list(_with_hops(session, session.execute(statement).all()).values())


def show_mail(session: Session, public_id: str) -> list[tuple[Listed, list[Attempt]]]:
    """The deliveries of one mail, each with its attempts.

    Raises:
        NotFound: there is no such mail.
    """
    statement = _listed().add_columns(Delivery.id).where(_is(public_id)).order_by(Delivery.id)
    rows = session.execute(statement).all()
    if not rows:
        raise NotFound(f"There is no mail {public_id[:40]}.")
    return [
        (
            listed,
            list(
                session.scalars(
                    select(Attempt).where(Attempt.delivery_id == number).order_by(Attempt.id)
                )
            ),
        )
        for number, listed in _with_hops(session, rows).items()
    ]


def cancel(session: Session, public_id: str) -> int:
    """Do not send what of a mail is still queued; how many deliveries. The caller commits.

    The copy to an archive is not counted. It goes out all the same if somebody has the mail.

    Raises:
        NotFound: there is no such mail.
        Conflict: nothing of it is queued any more.
    """
    ids = _deliveries(session, public_id)
    count = _cancel(session, ids, Delivery.archive.is_(False))
    if not count:
        raise Conflict(f"Nothing of mail {public_id} is queued any more; nothing was cancelled.")
    mine = (Delivery.id.in_(ids), Delivery.archive.is_(False))
    if not session.scalar(select(exists().where(*mine, Delivery.state.not_in(_UNSENT)))):
        _cancel(session, ids, Delivery.archive.is_(True))
    messages = select(Delivery.message_pk).where(Delivery.id.in_(ids))
    erase_sensitive(session, session.scalars(messages).all())
    return count


_UNSENT: tuple[State, ...] = ("cancelled", "expired", "suppressed")


def _cancel(session: Session, ids: Sequence[int], which: ColumnElement[bool]) -> int:
    # Looked for first: MariaDB keeps the lock of every row that an UPDATE asks about, and results
    # of what is under way would wait for the caller's commit.
    queued = Delivery.state == "queued"
    mine = select(Delivery.id).where(Delivery.id.in_(ids), queued, which)
    waiting = session.scalars(mine).all()
    return changed(
        session,
        update(Delivery)
        .where(Delivery.id.in_(waiting), queued)
        .values(
            state=states.check("queued", "cancelled"),
            finished_at=database_now(session),
            last_code="cancelled",
            last_cause="",
            last_error="Cancelled before it was sent.",
        ),
    )


def retry(session: Session, public_ids: Sequence[str]) -> int:
    """Queue dead letters, and mails whose outcome is unknown, once more; how many deliveries.

    They start again with all their attempts and a new time to live, with the same bytes: as long
    as at first, but no longer than mail of their priority usually has. What a deleted sender had
    goes out by another one, with that one's headers. The caller commits.

    Raises:
        NotFound: one of the mails does not exist; then none is touched.
        Conflict: none of them is a dead letter or of unknown outcome, or their text was erased.
    """
    ids = [one for public_id in public_ids for one in _deliveries(session, public_id)]
    moment = database_now(session)
    count = 0
    for before in _AGAIN:
        rows = session.execute(
            select(
                Delivery.id,
                Delivery.sender_id,
                Delivery.created_at,
                Delivery.expires_at,
                Delivery.priority,
                and_(
                    Delivery.uncertains > 0,
                    Delivery.finished_at > moment - DAY,
                    Sender.deleted_at.is_(None),
                ),
            )
            .join(Message, Message.id == Delivery.message_pk)
            .join(Sender, Sender.id == Delivery.sender_id)
            .where(Delivery.id.in_(ids), Delivery.state == before, Message.content != b"")
        ).all()
        for delivery_id, sender_id, created_at, expires_at, priority, may_have_arrived in rows:
            # Its first life counts from when it was queued, a later one would be ever longer.
            life = min(expires_at - created_at, default_lifetime(priority)) if expires_at else None
            count += changed(
                session,
                update(Delivery)
                .where(Delivery.id == delivery_id, Delivery.state == before)
                .values(
                    state=states.check(before, "queued"),
                    attempts=0,
                    releases=0,
                    # What the server may have taken counts against the limit all the same, and
                    # keeps its bytes; but nobody can send those of a deleted sender.
                    **({} if may_have_arrived else {"uncertains": 0, "finished_at": None}),
                    next_attempt_at=moment,
                    expires_at=moment + life if life else None,
                ),
            )
            ring_after_commit(session, sender_id)
    if not count:
        raise Conflict("None of this is a dead letter, so nothing was queued again.")
    return count


_AGAIN: tuple[State, ...] = ("dead", "uncertain")


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
        Delivery.last_code,
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


def _deliveries(session: Session, public_id: str) -> list[int]:
    found = list(
        session.scalars(
            select(Delivery.id)
            .join(Message, Message.id == Delivery.message_pk)
            .where(_is(public_id))
        )
    )
    if not found:
        raise NotFound(f"There is no mail {public_id[:40]}.")
    return found
