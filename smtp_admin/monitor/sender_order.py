"""The order of senders: a thousand of them sorted by their places in lists.

There is no object for any of them here, nor a sentence: of a thousand, those are what takes long.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM
from smtp_admin.delivery.rankings import NOTHING, Sums, last_day_of_all, open_of_all
from smtp_admin.delivery.states import State as MailState
from smtp_admin.delivery.tallies import Scope
from smtp_admin.host import Partner
from smtp_admin.monitor.overview import scope_of
from smtp_admin.sender_state.facts import Looked, look_at
from smtp_admin.sender_state.state import State
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


@dataclass(frozen=True, slots=True)
class Everyone:
    """All senders that one may see, by name: a place in one list is the same in each.

    Attributes:
        looked: what their states follow from.
    """

    partners: list[Partner | None]
    senders: list[ResolvedSender]
    alone: list[bool]
    system: str
    looked: Looked

    def owner(self, place: int) -> str:
        """What people call the owner of the sender at *place*."""
        partner = self.partners[place]
        return partner.name if partner else self.system

    def scope(self, place: int) -> Scope:
        """Which mail its numbers count."""
        return scope_of(self.senders[place], alone=self.alone[place])

    def state(self, place: int) -> State:
        """Its state."""
        return self.looked.state_of(self.senders[place])

    def has(self, place: int, words: str) -> bool:
        """Whether *words*, folded, stand in anything that one knows it by."""
        sender = self.senders[place]
        texts = (
            self.owner(place), sender.partner_id, sender.key, sender.label,
            sender.values.from_email, sender.values.host,
        )  # fmt: skip
        return any(words in text.casefold() for text in texts)


def everyone(
    session: Session, partners: Sequence[Partner], system: str, *, everybody: bool
) -> Everyone:
    """Find the senders of *partners*, and what their states follow from.

    Args:
        system: what the system is called, where its senders are listed too.
        everybody: whether *partners* are all there are, so that the database need not choose.
    """
    named: list[Partner | None] = [*sorted(partners, key=lambda one: (one.name.casefold(), one.id))]
    if system:
        named.insert(0, None)
    owners = [one.id if one else SYSTEM for one in named]
    known = senders_by_owner(session, owners, everybody=everybody)
    senders = [sender for owner in owners for sender in known[owner]]
    return Everyone(
        [one for one, owner in zip(named, owners, strict=True) for _ in known[owner]],
        senders,
        [len(known[owner]) == 1 for owner in owners for _ in known[owner]],
        system,
        look_at(session, senders),
    )


def rank(sort: str, sender: ResolvedSender, state: State) -> Any:
    """What comes first is the least of these, where the state says enough to sort by it."""
    if sort == "state":
        return *state.urgency, -state.waiting
    if sort == "limit":
        return -max((used / most for used, most, _ in limits_of(sender, state)), default=-1.0)
    return 0


def ranks_counted(
    session: Session, every: Everyone, places: Sequence[int], sort: str
) -> Mapping[int, float]:
    """The same where all have to be counted; nothing where they need not."""
    if not places or (sort not in _OPEN and sort not in _DAY):
        return {}
    owners = {every.senders[place].partner_id for place in places}
    if sort in _OPEN:
        counts = open_of_all(session, owners, _OPEN[sort])
        return {place: -counts.get(every.scope(place), 0) for place in places}
    sums = last_day_of_all(session, owners, every.looked.moment)
    return {place: _DAY[sort](sums.get(every.scope(place), NOTHING)) for place in places}


def limits_of(sender: ResolvedSender, state: State) -> list[tuple[int, int, str]]:
    """Used, limit and for how long, of each limit of *sender* that is shown."""
    values = sender.values
    both = (
        (state.used_hour, values.max_per_hour, "hour"),
        (state.used_day, values.max_per_day, "day"),
    )
    return [(used, most, span) for used, most, span in both if used is not None and most]
