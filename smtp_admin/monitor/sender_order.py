"""What puts senders in order: of each, its state and what the ways to sort compare.

No sentence is made for any of them here: of a thousand, that is what takes long.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM
from smtp_admin.delivery.rankings import NOTHING, Sums, last_day_of_all, open_of_all
from smtp_admin.delivery.states import State as MailState
from smtp_admin.delivery.tallies import Scope
from smtp_admin.host import Partner
from smtp_admin.monitor.overview import scope_of
from smtp_admin.sender_state.facts import Looked, look_at
from smtp_admin.sender_state.state import AFTER_TROUBLE, Key, State
from smtp_admin.senders.queries import senders_by_owner
from smtp_admin.senders.resolve import ResolvedSender

#: What one may sort by.
SORTS = ("state", "name", "queued", "sent", "failed", "dead", "limit", "average")
#: Which open mail two of them count.
_OPEN: dict[str, tuple[MailState, ...]] = {"queued": ("queued", "sending"), "dead": ("dead",)}
#: What of the last day the others compare: the most comes first.
_DAY: dict[str, Callable[[Sums], float]] = {
    "sent": lambda sums: -sums[0],
    "failed": lambda sums: -sums[1],
    "average": lambda sums: -sums[2] / sums[0] if sums[0] else 1.0,
}

_COUNTED = frozenset({*_OPEN, *_DAY})


@dataclass(frozen=True, slots=True)
class Everyone:
    """Some owners' senders: a place in one list is the same in each.

    Attributes:
        partners: whose each is; ``None`` for the system's.
        looked: what their states follow from.
    """

    partners: list[Partner | None]
    senders: list[ResolvedSender]
    alone: list[bool]
    looked: Looked

    def scope(self, place: int) -> Scope:
        """Which mail its numbers count."""
        return scope_of(self.senders[place], alone=self.alone[place])

    def state(self, place: int) -> State:
        """Its state."""
        return self.looked.state_of(self.senders[place])


class Placed(NamedTuple):
    """One sender in the order of all.

    Attributes:
        partner_id: whose it is; ``""`` for the system's.
        ranks: by what one may sort by, as far as it was asked for: the least comes first.
    """

    partner_id: str
    key: str
    state: Key
    ranks: Mapping[str, Any]


def everyone(
    session: Session, owners: Sequence[Partner | None], *, everybody: bool = False
) -> Everyone:
    """Find the senders of *owners*, ``None`` for the system, and what their states follow from.

    Args:
        everybody: whether these are about all there are, so that the database need not choose.
    """
    ids = [one.id if one else SYSTEM for one in owners]
    known = senders_by_owner(session, ids, everybody=everybody)
    senders = [sender for owner in ids for sender in known[owner]]
    return Everyone(
        [one for one, owner in zip(owners, ids, strict=True) for _ in known[owner]],
        senders,
        [len(known[owner]) == 1 for owner in ids for _ in known[owner]],
        look_at(session, senders),
    )


def placed(session: Session, every: Everyone, sorts: Collection[str]) -> list[Placed]:
    """Each of *every* with what *sorts* compare."""
    wanted = {*sorts, "dead"} if "state" in sorts else {*sorts}
    counted = {sort: _counted(session, every, sort) for sort in wanted & _COUNTED}
    dead = counted.get("dead")
    found = []
    for place, sender in enumerate(every.senders):
        state = every.state(place)
        ranks = {
            sort: counted[sort][place]
            if sort in counted
            else _rank(sort, sender, state, dead[place] if dead else 0)
            for sort in sorts
        }
        found.append(Placed(sender.partner_id, sender.key, state.key, ranks))
    return found


def _rank(sort: str, sender: ResolvedSender, state: State, dead: float) -> Any:
    """What *sort* compares of one sender; *dead* is the lower, the more dead letters it has.

    Dead letters wait for somebody, however well the sender is.
    """
    if sort == "state":
        if dead and state.urgency > AFTER_TROUBLE:
            return [*AFTER_TROUBLE, dead]
        return [*state.urgency, -state.waiting]
    if sort == "limit":
        return -max((used / most for used, most, _ in limits_of(sender, state)), default=-1.0)
    return 0  # by name, which is the order that they have


def _counted(session: Session, every: Everyone, sort: str) -> list[float]:
    """What *sort* compares, at each place: counted, for the state does not say it."""
    owners = {one.partner_id for one in every.senders}
    scopes = map(every.scope, range(len(every.senders)))
    if sort in _OPEN:
        counts = open_of_all(session, owners, _OPEN[sort])
        return [-counts.get(scope, 0) for scope in scopes]
    sums = last_day_of_all(session, owners, every.looked.moment)
    return [_DAY[sort](sums.get(scope, NOTHING)) for scope in scopes]


def limits_of(sender: ResolvedSender, state: State) -> list[tuple[int, int, str]]:
    """Used, limit and for how long, of each limit of *sender* that is shown."""
    values = sender.values
    both = (
        (state.used_hour, values.max_per_hour, "hour"),
        (state.used_day, values.max_per_day, "day"),
    )
    return [(used, most, span) for used, most, span in both if used is not None and most]
