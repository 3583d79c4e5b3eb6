"""What a person can do with deliveries, each action one function on some of them.

All take ids, do what is possible with those whose state allows it, and leave the others alone. The
caller commits. An action has one moment, which every delivery that it ends keeps as its end: by it
the same deliveries are found again if somebody wants it undone.
"""

from collections import Counter as Tally
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, case, exists, func, or_, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import among, changed
from smtp_admin.delivery import states
from smtp_admin.delivery.acts import NOBODY, Doer, note
from smtp_admin.delivery.batch_models import Batch
from smtp_admin.delivery.copies import counted_for
from smtp_admin.delivery.doorbell import ring_after_commit
from smtp_admin.delivery.held import IS_HELD, as_before_the_end
from smtp_admin.delivery.limits import DAY
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.outbox import default_lifetime
from smtp_admin.delivery.queue_ends import count_batches_again, end_queued
from smtp_admin.delivery.record import add_to_counter, count_as_sent
from smtp_admin.delivery.sensitive import erase_sensitive
from smtp_admin.delivery.states import State
from smtp_admin.delivery.suppressed_mail import suppress_again
from smtp_admin.senders.models import Sender
from smtp_admin.translation import gettext

ActionName = Literal["retry", "hurry", "cancel", "discard", "arrived", "lost", "release"]
#: Whether its batch, if it is of one, was not cancelled: then only resuming that brings it back.
_GOES_ON = ~exists().where(Batch.id == Delivery.batch_id, Batch.cancelled_at.is_not(None))
#: The code of what somebody cancelled.
CANCELLED = "cancelled"
_CANCELLED_WORDS = gettext("Cancelled before it was sent.")
_LOST_WORDS = gettext("It is unknown whether it arrived, and someone gave it up.")


class Acted(NamedTuple):
    """How many deliveries an action changed, and how many it kept back: they are suppressed."""

    changed: int
    kept_back: int = 0


#: Some deliveries, the moment, and who does it → what came of it.
_Act = Callable[[Session, Sequence[int], datetime, Doer], Acted]


@dataclass(frozen=True, slots=True)
class MailAction:
    """One thing to do.

    Attributes:
        states: what it can be done with.
        audited: what the audit log calls it.
        can_be_undone: whether the state before can be had again.
    """

    name: ActionName
    states: tuple[State, ...]
    audited: str
    act: _Act
    can_be_undone: bool = False


def queue_again(session: Session, ids: Sequence[int], moment: datetime, by: Doer = NOBODY) -> Acted:
    """Queue dead letters, and mails whose outcome is unknown, once more.

    They start again with all their attempts and a new time to live, with the same bytes: as long
    as at first, but no longer than mail of their priority usually has. What was erased stays, and
    what goes to a suppressed address is kept back.
    """
    return _queue(session, ids, moment, "retry", by)


def release(session: Session, ids: Sequence[int], moment: datetime, by: Doer = NOBODY) -> Acted:
    """Send after all what a limit kept back, or a suppression that is no longer there."""
    return _queue(session, ids, moment, "release", by)


def _queue(
    session: Session,
    ids: Sequence[int],
    moment: datetime,
    kind: Literal["retry", "release"],
    by: Doer,
) -> Acted:
    queued: list[int] = []
    for before in MAIL_ACTIONS[kind].states:
        rows = session.execute(
            _lives(ids, moment).where(Delivery.state == before, Message.content != b"", _GOES_ON)
        ).all()
        anew = _of_one(before).values(
            state=states.check(before, "queued"), attempts=0, releases=0, next_attempt_at=moment
        )
        # What the server may have taken counts against the limit all the same, and keeps its bytes;
        # but nobody can send those of a deleted sender.
        forgotten = anew.values(uncertains=0, finished_at=None)
        for row in rows:
            statement = anew if row.may_have_arrived else forgotten
            again = changed(session, statement, _its_own(row, moment))
            queued += [row.id] if again else []
        for sender_id in {row.sender_id for row in rows}:
            ring_after_commit(session, sender_id)
    kept_back = 0
    if suppress_again(session, ids, moment):
        # With the last recipient, the copy to an archive was kept back too.
        mine = (Delivery.id.in_(queued), Delivery.state == "suppressed")
        kept_back = session.scalar(select(func.count()).where(*mine)) or 0
    note(session, queued, kind, moment, by, Delivery.state == "queued")
    count_batches_again(session, ids)
    return Acted(len(queued) - kept_back, kept_back)


def _lives(ids: Sequence[int], moment: datetime) -> Any:
    """What a second life depends on."""
    return (
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
            ).label("may_have_arrived"),
        )
        .join(Message, Message.id == Delivery.message_pk)
        .join(Sender, Sender.id == Delivery.sender_id)
        .where(Delivery.id.in_(ids))
    )


def _of_one(before: State) -> Any:
    """What a row gets that still is in this state; made once for many, for that takes longest.

    The rest of it is :func:`_its_own`.
    """
    one = update(_DELIVERIES).where(
        _DELIVERIES.c.id == bindparam("its_id"), _DELIVERIES.c.state == before
    )
    return one.values(expires_at=bindparam("its_end"))


_DELIVERIES: Any = Delivery.__table__


def _its_own(row: Any, moment: datetime) -> dict[str, Any]:
    return {"its_id": row.id, "its_end": _new_end(row, moment)}


def _new_end(row: Any, moment: datetime) -> datetime | None:
    """When it is too old. Its first life counts from when it was queued, a later one would grow."""
    if row.expires_at is None:
        return None
    end: datetime = moment + min(row.expires_at - row.created_at, default_lifetime(row.priority))
    return end


def hurry(session: Session, ids: Sequence[int], moment: datetime, by: Doer = NOBODY) -> int:
    """Try mail now that failed before and waits for its next attempt."""
    later = _waits_after_a_failure(moment)
    rows = session.execute(
        select(Delivery.id, Delivery.sender_id).where(Delivery.id.in_(ids), *later)
    ).all()
    for sender_id in {row.sender_id for row in rows}:
        ring_after_commit(session, sender_id)
    mine = [row.id for row in rows]
    count = changed(
        session,
        update(Delivery).where(Delivery.id.in_(mine), *later).values(next_attempt_at=moment),
    )
    note(session, mine, "hurry", moment, by, Delivery.next_attempt_at == moment)
    return count


def hurried_among(session: Session, ids: Collection[int], moment: datetime) -> list[int]:
    """Those of *ids* that :func:`hurry` would try now."""
    mine = select(Delivery.id).where(
        among(session, Delivery.id, ids), *_waits_after_a_failure(moment)
    )
    return list(session.scalars(mine.order_by(Delivery.id.desc())))


def _waits_after_a_failure(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    failed = or_(Delivery.attempts > 0, Delivery.releases > 0, Delivery.last_code != "")
    return (Delivery.state == "queued", Delivery.next_attempt_at > moment, failed, ~IS_HELD)


def cancel_queued(session: Session, ids: Sequence[int], moment: datetime, by: Doer = NOBODY) -> int:
    """Do not send what is queued."""
    count = end_queued(session, ids, "cancelled", moment, CANCELLED, _CANCELLED_WORDS)
    note(session, ids, "cancel", moment, by, *_was_ended(moment))
    return count


def discard(
    session: Session,
    ids: Sequence[int],
    moment: datetime,
    by: Doer = NOBODY,
    kind: Literal["discard", "corrected"] = "discard",
) -> int:
    """Put dead letters aside: they are counted no more. What they failed of stays with them."""
    count = _end(session, ids, "dead", "cancelled", finished_at=moment)
    note(session, ids, kind, moment, by, *_was_ended(moment))
    return count


def _was_ended(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    return (Delivery.state == "cancelled", Delivery.finished_at == moment)


def note_arrived(session: Session, ids: Sequence[int], moment: datetime, by: Doer = NOBODY) -> int:
    """Settle unknown outcomes: the recipient has it."""
    rows = _held(session, ids, "uncertain")
    count_as_sent(session, rows, moment)
    ids = [row.id for row in rows]
    note(session, ids, "arrived", moment, by)
    return _end(
        session, ids, "uncertain", "sent",
        finished_at=func.coalesce(Delivery.finished_at, moment), last_code="", last_cause="",
        last_error="",
    )  # fmt: skip


def note_lost(session: Session, ids: Sequence[int], moment: datetime, by: Doer = NOBODY) -> int:
    """Settle unknown outcomes: they are dead letters, to be sent again or not."""
    rows = _held(session, ids, "uncertain")
    _end(
        session, [row.id for row in rows], "uncertain", "dead",
        finished_at=func.coalesce(Delivery.finished_at, moment), last_error=_LOST_WORDS,
    )  # fmt: skip
    note(session, [row.id for row in rows], "lost", moment, by)
    minute = moment.replace(second=0, microsecond=0)
    owners = counted_for(session, rows)
    tallies = Tally((row.sender_id, owners[row.id]) for row in rows)
    for (sender_id, partner_id), number in sorted(tallies.items()):
        add_to_counter(session, sender_id, partner_id, minute, Tally(dead=number))
    return len(rows)


def _held(session: Session, ids: Sequence[int], state: State) -> Sequence[Any]:
    """Those of *ids* in this state, which nobody else changes until the caller commits."""
    mine = select(
        Delivery.id, Delivery.sender_id, Delivery.partner_id, Delivery.message_pk,
        Delivery.created_at, Delivery.finished_at,
    ).where(Delivery.id.in_(ids), Delivery.state == state).order_by(Delivery.id)  # fmt: skip
    return session.execute(mine.with_for_update()).all()


def _end(session: Session, ids: Sequence[int], before: State, after: State, **values: Any) -> int:
    count = changed(
        session,
        update(Delivery)
        .where(Delivery.id.in_(ids), Delivery.state == before)
        .values(state=states.check(before, after), **values),
    )
    messages = select(Delivery.message_pk).where(Delivery.id.in_(ids)).distinct()
    erase_sensitive(session, session.scalars(messages).all())
    count_batches_again(session, ids)
    return count


def _counted(act: Callable[[Session, Sequence[int], datetime, Doer], int]) -> _Act:
    """*act* as an action that keeps nothing back."""
    return lambda session, ids, moment, by: Acted(act(session, ids, moment, by))


MAIL_ACTIONS: dict[ActionName, MailAction] = {
    one.name: one
    for one in (
        MailAction("retry", ("dead", "uncertain"), "mail.retried", queue_again),
        MailAction("hurry", ("queued",), "mail.hurried", _counted(hurry)),
        MailAction(
            "cancel", ("queued",), "mail.cancelled", _counted(cancel_queued), can_be_undone=True
        ),
        MailAction("discard", ("dead",), "mail.discarded", _counted(discard), can_be_undone=True),
        MailAction("arrived", ("uncertain",), "mail.settled", _counted(note_arrived)),
        MailAction("lost", ("uncertain",), "mail.given_up", _counted(note_lost)),
        MailAction("release", ("suppressed",), "mail.released", release),
    )
}


def undoable(at: datetime) -> Any:
    """The ids of what an action ended at *at*, as far as it can be had again.

    Mail without its text stays as it is: there is nothing left of it to send.
    """
    return (
        select(Delivery.id)
        .join(Message, Message.id == Delivery.message_pk)
        .where(*_ended_at(at), Message.content != b"", _GOES_ON)
    )


def _ended_at(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return (Delivery.state == "cancelled", Delivery.finished_at == at)


def undo(
    session: Session, ids: Sequence[int], at: datetime, moment: datetime, by: Doer = NOBODY
) -> set[int]:
    """Bring back what an action ended at *at*: cancelled mail waits again, discarded is dead again.

    With a cancelled mail its copy to an archive comes back; all that did is returned.
    """
    mine = _ended_at(at)
    held = [row.id for row in _held(session, ids, "cancelled")]
    rows = session.execute(
        _lives(held, moment)
        .add_columns(Delivery.last_code, Delivery.message_pk)
        .where(*mine, Message.content != b"", _GOES_ON)
    ).all()
    waits = [row for row in rows if row.last_code == CANCELLED]
    _wait_again(session, waits, moment)
    copies = _bring_back_copies(session, {row.message_pk for row in waits}, moment)
    suppress_again(session, [row.id for row in waits], moment)
    for sender_id in {row.sender_id for row in waits}:
        ring_after_commit(session, sender_id)
    changed(
        session,
        update(Delivery)
        .where(Delivery.id.in_([row.id for row in rows if row.last_code != CANCELLED]), *mine)
        .values(state=states.check("cancelled", "dead"), finished_at=moment),
    )
    note(session, [row.id for row in rows], "undo", moment, by)
    count_batches_again(session, ids)
    return {row.id for row in rows} | copies


def _bring_back_copies(
    session: Session, message_pks: Collection[int], moment: datetime
) -> set[int]:
    """Let the copies for archives go out after all: they ended with the last recipient."""
    copies = select(Delivery.id).where(
        Delivery.message_pk.in_(message_pks),
        Delivery.archive.is_(True),
        Delivery.state == "cancelled",
        Delivery.last_code == CANCELLED,
    )
    ids = session.scalars(copies).all()
    _wait_again(session, session.execute(_lives(ids, moment)).all(), moment)
    return set(ids)


def _wait_again(session: Session, rows: Sequence[Any], moment: datetime) -> None:
    """Queue what was cancelled, as it was before."""
    waiting = _of_one("cancelled").values(
        state=states.check("cancelled", "queued"),
        finished_at=case((Delivery.uncertains > 0, Delivery.finished_at), else_=None),
        **as_before_the_end(),
    )
    for row in rows:
        changed(session, waiting, _its_own(row, moment))
