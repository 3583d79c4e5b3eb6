"""How often mail was tried, and which failed: by the failures that are kept of each."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM
from smtp_admin.delivery.models import Attempt
from smtp_admin.delivery.states import State
from smtp_admin.senders.models import Sender
from smtp_admin.transports.outcome import Verdict

#: What a server has taken; providers may have told more of it since.
ACCEPTED: frozenset[State] = frozenset({"sent", "delivered", "bounced", "complained"})

#: What counts as a failed send; what was given back with its sender is none.
_FAILED = (Verdict.PERMANENT.value, Verdict.TEMPORARY.value, Verdict.UNCERTAIN.value)
#: So many of the newest are found: nobody reads more one by one.
_MOST_FAILED = 10_000


class Tried(NamedTuple):
    """How far a delivery got.

    Attributes:
        uncertains: how often its outcome stayed unknown.
    """

    id: int
    state: State
    uncertains: int


def tries_of(session: Session, deliveries: Sequence[Tried]) -> dict[int, int]:
    """How often each was tried, whoever's fault it was that it failed: one query.

    A success at once leaves no row of its own, and neither does one after a person queued the
    mail again. What a person settled as arrived was tried no more than its rows say.
    """
    if not deliveries:
        return {}
    rows = session.execute(
        select(
            Attempt.delivery_id,
            func.count(),
            func.sum(case((Attempt.verdict == Verdict.ACCEPTED.value, 1), else_=0)),
        )
        .where(Attempt.delivery_id.in_([one.id for one in deliveries]))
        .group_by(Attempt.delivery_id)
    )
    written = {delivery_id: (count, int(accepted)) for delivery_id, count, accepted in rows}
    found = {}
    for one in deliveries:
        count, accepted = written.get(one.id, (0, 0))
        at_once = one.state in ACCEPTED and not accepted and not one.uncertains
        found[one.id] = count + int(at_once)
    return found


def failed_after(
    session: Session, since: datetime, partner_ids: Collection[str] | None, sender_id: int = 0
) -> list[int]:
    """The deliveries of which a send failed after *since*, at most the newest 10,000.

    Args:
        partner_ids: only by senders that these partners' mail goes by; ``None`` for all.
        sender_id: only by this sender; 0 for any.
    """
    wanted = select(Attempt.delivery_id).where(Attempt.at > since, Attempt.verdict.in_(_FAILED))
    if sender_id:
        wanted = wanted.where(Attempt.sender_id == sender_id)
    elif partner_ids is not None:
        theirs = select(Sender.id).where(Sender.partner_id.in_([*partner_ids, SYSTEM]))
        wanted = wanted.where(Attempt.sender_id.in_(theirs))
    newest = wanted.distinct().order_by(Attempt.delivery_id.desc()).limit(_MOST_FAILED)
    return list(session.scalars(newest))
