"""How often mail was tried: by the failures that are kept of each."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from smtp_admin.delivery.models import Attempt
from smtp_admin.delivery.states import State
from smtp_admin.transports.outcome import Verdict

#: What a server has taken; providers may have told more of it since.
ACCEPTED: frozenset[State] = frozenset({"sent", "delivered", "bounced", "complained"})


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
