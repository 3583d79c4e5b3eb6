"""The breaker of a sender: when it pauses, for how long, and when it is well again."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, case, exists, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.models import Lane
from smtp_admin.delivery.retry import pause_for
from smtp_admin.senders.models import Sender
from smtp_admin.transports.outcome import Outcome, SenderHealth


def judge_sender(
    session: Session,
    lane: HeldLane,
    revision: int,
    moment: datetime,
    *,
    works: bool,
    refused: int,
    last: Outcome | None,
) -> bool:
    """Pause the sender if it failed, or note that it works; whether it was paused now.

    Args:
        revision: of the settings that were used; what failed with others pauses nobody.
        works: whether the server accepted some of what is written down.
        refused: how many at the end, in the order of sending, were refused because of the sender.
        last: the last outcome that was written down.
    """
    sender_id = lane.sender_id
    if works:
        session.connection().execute(_WORKS, {"which": sender_id, "moment": moment})
    if refused:
        same = update(Sender).where(*_still(sender_id, revision))
        changed(session, same.values(refusals=Sender.refusals + refused))
    if last is not None and last.health is not SenderHealth.FINE:
        if _is_full(session, lane, last, moment):
            return False  # one connection more than the server wants; the others go on
        before = session.execute(_PAUSES, {"which": sender_id}).one()
        # Connections that break off together are one failure of the server, and one pause.
        together = before.paused_until is not None and before.paused_until > moment
        pause = pause_for(last, max(0, before.pauses - together))
        if pause is None or (together and moment + pause < before.paused_until + _GRAVER):
            return False
        return pause_sender(session, sender_id, revision, moment + pause, last, count=not together)
    return False


def _is_full(session: Session, lane: HeldLane, outcome: Outcome, moment: datetime) -> bool:
    """Whether the server is well, and only took no further connection."""
    if not outcome.opening or outcome.health not in {SenderHealth.DOWN, SenderHealth.LIMITED}:
        return False
    accepted = session.scalar(select(Sender.last_accepted_at).where(Sender.id == lane.sender_id))
    if accepted is None or moment - accepted >= _JUST_NOW:
        return False
    # Who says nothing may be down, unless another connection is at work.
    others = (Lane.sender_id == lane.sender_id, Lane.id != lane.lane_id, Lane.lease.is_not(None))
    return outcome.reply is not None or bool(session.scalar(select(exists().where(*others))))


#: Another worker's connection stays open for up to 75 seconds after its last mail.
_JUST_NOW = timedelta(seconds=90)
#: What pauses a sender for so much longer than another failure did is not the same failure.
_GRAVER = timedelta(minutes=1)
_PAUSES = (
    select(Sender.pauses, Sender.paused_until)
    .where(Sender.id == bindparam("which"))
    .with_for_update(key_share=True)
)
# A pause that began after this batch was claimed stays: it knows more.
_OVER = Sender.paused_until <= bindparam("moment")
_WORKS = (
    update(Sender)
    .where(Sender.id == bindparam("which"))
    .ordered_values(
        (Sender.last_accepted_at, bindparam("moment")),
        (Sender.refusals, 0),
        (Sender.pauses, case((_OVER, 0), else_=Sender.pauses)),
        (Sender.pause_code, case((_OVER, ""), else_=Sender.pause_code)),
        (Sender.pause_cause, case((_OVER, ""), else_=Sender.pause_cause)),
        (Sender.pause_reason, case((_OVER, ""), else_=Sender.pause_reason)),
        (Sender.pause_reply, case((_OVER, ""), else_=Sender.pause_reply)),
        # Last: MariaDB sets one after the other, and the others ask for this one.
        (Sender.paused_until, case((_OVER, None), else_=Sender.paused_until)),
    )
)


def pause_sender(
    session: Session,
    sender_id: int,
    revision: int,
    until: datetime,
    outcome: Outcome,
    *,
    count: bool = True,
) -> bool:
    """Nothing is sent for this sender before *until*, and people see why; whether it is so.

    Not if the settings changed after *revision*: what was wrong may be right by now.

    Args:
        count: off where a pause only becomes longer.
    """
    pausing = update(Sender).where(*_still(sender_id, revision))
    values = {
        "paused_until": until,
        "pause_code": outcome.code[:40],
        "pause_cause": outcome.cause[:60],
        "pause_reason": outcome.reason[:500],
        "pause_reply": str(outcome.reply or "")[:300],
        "pauses": Sender.pauses + int(count),
    }
    return bool(changed(session, pausing.values(values)))


def _still(sender_id: int, revision: int) -> tuple[ColumnElement[bool], ...]:
    """The sender, unless somebody has changed its settings after *revision*."""
    return (Sender.id == sender_id, Sender.current_revision == revision)
