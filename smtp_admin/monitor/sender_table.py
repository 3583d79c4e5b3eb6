"""The table of senders: all that one may see, worst first, with a page of numbers.

The order needs the state of every sender, and those are found together. Numbers are counted for
the lines that are shown, and for all only where somebody sorts by them. So neither the number of
queries nor the length of the page grows with partners.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, get_args

from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, database_now
from smtp_admin.delivery.tallies import Day, Open, Scope, last_day, open_mail
from smtp_admin.host import Partner
from smtp_admin.monitor.overview import drains_in_minutes, scope_of
from smtp_admin.sender_state.facts import states_of
from smtp_admin.sender_state.state import NAMES, Key, State
from smtp_admin.senders.queries import senders_by_owner
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext

PER_PAGE = 50
#: So many are named that have no sender; more would be a list of its own.
MOST_NAMED = 5
_LONGEST_SEARCH = 100
_LAST_PAGE = 1_000_000


@dataclass(slots=True)
class Line:
    """A sender with what is shown of it.

    Attributes:
        partner: whose it is; ``None`` for the system's.
        owner: what people call them.
        alone: whether it is the only sender of its owner.
    """

    partner: Partner | None
    owner: str
    sender: ResolvedSender
    state: State
    alone: bool
    open: Open = field(default_factory=Open)
    day: Day = field(default_factory=Day)

    @property
    def scope(self) -> Scope:
        """Which mail its numbers count."""
        return scope_of(self.sender, alone=self.alone)

    @property
    def name(self) -> str:
        """What it is called among others of its owner; empty for one that is alone."""
        return "" if self.alone else self.sender.label or self.sender.key or gettext("Default")

    @property
    def limits(self) -> list[tuple[int, int, str]]:
        """Used, limit and for how long, of each limit that is shown."""
        values, state = self.sender.values, self.state
        both = (
            (state.used_hour, values.max_per_hour, "hour"),
            (state.used_day, values.max_per_day, "day"),
        )
        return [(used, most, span) for used, most, span in both if used is not None and most]

    @property
    def drains_in_minutes(self) -> int | None:
        """When what is due will be gone at the rate of the limit; ``None`` if nobody can say."""
        used = self.state.used_hour or 0
        return drains_in_minutes(self.state, self.sender.values.max_per_hour, used)

    def has(self, words: str) -> bool:
        """Whether *words*, folded, stand in anything that one knows it by."""
        sender = self.sender
        texts = (
            self.owner, sender.partner_id, sender.key, sender.label, sender.values.from_email,
            sender.values.host,
        )  # fmt: skip
        return any(words in text.casefold() for text in texts)


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to see: cleaned, so that no address leads to an error.

    Attributes:
        sort: one of :data:`SORTS`; *reverse* the other way round than usual.
    """

    words: str = ""
    state: Key | None = None
    sort: str = "state"
    reverse: bool = False
    page: int = 1

    @classmethod
    def read(cls, words: str, state: str, sort: str, page: str) -> "Asked":
        """From the texts of an address; what says nothing is left out."""
        name = sort.removeprefix("-")
        known = name in SORTS
        return cls(
            words=" ".join(words.split())[:_LONGEST_SEARCH],
            state=next((one for one in get_args(Key) if one == state), None),
            sort=name if known else "state",
            reverse=known and sort.startswith("-"),
            page=min(int(page), _LAST_PAGE) if page.isascii() and page[:9].isdigit() else 1,
        )


@dataclass(frozen=True, slots=True)
class Table:
    """A page of lines.

    Attributes:
        all: how many senders there are, *found* of which fit.
        states: each state that occurs among those that fit the words, and how often.
        missing: the first of those without a sender, and *missing_count* of them all.
    """

    lines: Sequence[Line]
    all: int
    found: int
    page: int
    states: dict[Key, int]
    missing: Sequence[Line]
    missing_count: int

    @property
    def pages(self) -> int:
        """How many there are, at least one."""
        return max(1, ceil(self.found / PER_PAGE))

    @property
    def first(self) -> int:
        """The number of the first line that is shown."""
        return (self.page - 1) * PER_PAGE + 1

    @property
    def last(self) -> int:
        """The number of the last."""
        return self.first + len(self.lines) - 1


def _share(line: Line) -> float:
    return max((used / most for used, most, _ in line.limits), default=-1.0)


def _average(line: Line) -> float:
    return -1.0 if line.day.average_seconds is None else line.day.average_seconds


#: What one may sort by: how, and which numbers that takes.
SORTS: dict[str, tuple[Callable[[Line], Any], str]] = {
    "state": (lambda line: (line.state.urgency, -line.state.waiting), ""),
    "name": (lambda _: 0, ""),
    "queued": (lambda line: -(line.open.queued + line.open.sending), "open"),
    "sent": (lambda line: -line.day.sent, "day"),
    "failed": (lambda line: -line.day.failed, "day"),
    "dead": (lambda line: -line.open.dead, "open"),
    "limit": (lambda line: -_share(line), ""),
    "average": (lambda line: -_average(line), "day"),
}


def table(
    session: Session,
    partners: Sequence[Partner],
    asked: Asked,
    *,
    system: str = "",
    everybody: bool = False,
    only_partners: bool = False,
) -> Table:
    """The senders of *partners*, in the order and with the numbers that were asked for.

    Args:
        system: what the system is called, where its senders are listed too.
        everybody: whether *partners* are all there are, so that the database need not choose.
        only_partners: whether the system's are only named where it has none.
    """
    every = list(_lines(session, partners, system, everybody=everybody))
    missing = [one for one in every if one.state.key == "unconfigured" and not one.sender.key]
    every = [one for one in every if one.partner or not only_partners]
    words = asked.words.casefold()
    fitting = [one for one in every if one.has(words)] if words else every
    states = Counter(one.state.key for one in fitting)
    if asked.state is not None:
        fitting = [one for one in fitting if one.state.key == asked.state]
    moment = database_now(session)
    order, takes = SORTS[asked.sort]
    _count(session, fitting if takes == "open" else (), "open", moment)
    _count(session, fitting if takes == "day" else (), "day", moment)
    fitting.sort(key=_by_name)
    fitting.sort(key=order, reverse=asked.reverse)
    if asked.sort == "name" and asked.reverse:
        fitting.reverse()
    page = max(1, min(asked.page, ceil(len(fitting) / PER_PAGE)))
    shown = fitting[(page - 1) * PER_PAGE : page * PER_PAGE]
    _count(session, shown if takes != "open" else (), "open", moment)
    _count(session, shown, "hours", moment)
    return Table(
        lines=shown,
        all=len(every),
        found=len(fitting),
        page=page,
        states={key: states[key] for key in NAMES if states[key]},
        missing=missing[:MOST_NAMED],
        missing_count=len(missing),
    )


def _lines(
    session: Session, partners: Sequence[Partner], system: str, *, everybody: bool
) -> Iterator[Line]:
    owners: list[tuple[Partner | None, str]] = [(one, one.name) for one in partners]
    if system:
        owners.insert(0, (None, system))
    ids = [partner.id if partner else SYSTEM for partner, _ in owners]
    known = senders_by_owner(session, ids, everybody=everybody)
    listed = [
        (partner, name, sender, len(known[owner]) == 1)
        for (partner, name), owner in zip(owners, ids, strict=True)
        for sender in known[owner]
    ]
    states = states_of(session, [sender for _, _, sender, _ in listed])
    for (partner, name, sender, alone), state in zip(listed, states, strict=True):
        yield Line(partner, name, sender, state, alone)


def _by_name(line: Line) -> tuple[bool, str, str, str]:
    return line.partner is not None, line.owner.casefold(), line.sender.partner_id, line.sender.key


def _count(session: Session, lines: Sequence[Line], what: str, moment: Any) -> None:
    if not lines:
        return
    scopes = {one.scope for one in lines}
    if what == "open":
        found = open_mail(session, scopes)
        for one in lines:
            one.open = found[one.scope]
        return
    days = last_day(session, scopes, moment, hourly=what == "hours")
    for one in lines:
        one.day = days[one.scope]
