"""The table of senders: all that one may see, worst first, with a page of numbers.

The order needs the state of every sender, and those are found together; on a large platform a
worker has found them (:mod:`smtp_admin.monitor.kept_order`). What is shown of a line is as it is
now. So neither the number of queries nor the length of the page grows with partners.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import get_args

from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM
from smtp_admin.delivery.tallies import Day, Open, Scope, Tally
from smtp_admin.host import Partner
from smtp_admin.monitor.kept_order import Order, kept_order
from smtp_admin.monitor.overview import drains_in_minutes, scope_of
from smtp_admin.monitor.sender_order import (
    SORTS,
    Everyone,
    Placed,
    everyone,
    limits_of,
    placed,
)
from smtp_admin.sender_state.state import NAMES, Key, State
from smtp_admin.senders.queries import senders_by_owner
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext

PER_PAGE = 50
#: So many are named that have no sender; more would be a list of its own.
MOST_NAMED = 5
_LONGEST_SEARCH = 100


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
        return limits_of(self.sender, self.state)

    @property
    def drains_in_minutes(self) -> int | None:
        """When what is due will be gone at the rate of the limit; ``None`` if nobody can say."""
        used = self.state.used_hour or 0
        return drains_in_minutes(self.state, self.sender.values.max_per_hour, used)


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
            page=int(page[:6]) if page.isascii() and page[:6].isdigit() else 1,
        )


@dataclass(frozen=True, slots=True)
class Table:
    """A page of lines.

    Attributes:
        all: how many senders there are, *found* of which fit.
        states: each state that occurs among those that fit the words, and how often.
        missing: the first of those without a sender, and *missing_count* of them all.
        as_of: when the order, the filter and the counts of states were found, if that was not now.
    """

    lines: Sequence[Line]
    all: int
    found: int
    page: int
    states: dict[Key, int]
    missing: Sequence[Line]
    missing_count: int
    as_of: datetime | None = None

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
        partners: by name.
        system: what the system is called, where its senders are listed too.
        everybody: whether *partners* are all there are, so that the database need not choose.
        only_partners: whether the system's are only named where it has none.
    """
    named: list[Partner | None] = [*partners]
    if system:
        named.insert(0, None)
    order, every = kept_order(session, named), None
    if order is None:
        every = everyone(session, named, everybody=everybody)
        found = placed(session, every, [asked.sort])
    else:
        found = _up_to_date(session, order, named, asked.sort)
    missing = [one for one in found if one.state == "unconfigured" and not one.key]
    shown = [one for one in found if one.partner_id or not only_partners]
    fitting = shown
    if asked.words:
        having = _having(session, named, asked.words.casefold(), system, everybody=everybody)
        fitting = [one for one in shown if (one.partner_id, one.key) in having]
    states = Counter(one.state for one in fitting)
    if asked.state is not None:
        fitting = [one for one in fitting if one.state == asked.state]
    # They are in the order of names, and a sort keeps what is equal in its order.
    ordered = sorted(fitting, key=lambda one: one.ranks[asked.sort], reverse=asked.reverse)
    if asked.sort == "name" and asked.reverse:
        ordered.reverse()
    page = max(1, min(asked.page, ceil(len(ordered) / PER_PAGE)))
    here = ordered[(page - 1) * PER_PAGE : page * PER_PAGE]
    first_missing = missing[:MOST_NAMED]
    if every is None:
        which = {one.partner_id for one in (*here, *first_missing)}
        every = everyone(session, [one for one in named if _id(one) in which])
    places = {(one.partner_id, one.key): place for place, one in enumerate(every.senders)}
    lines = [_line(every, places[one[:2]], system) for one in here if one[:2] in places]
    _count(session, lines, every.looked.moment)
    return Table(
        lines=lines,
        all=len(shown),
        found=len(ordered),
        page=page,
        states={key: states[key] for key in NAMES if states[key]},
        missing=[
            _line(every, places[one[:2]], system) for one in first_missing if one[:2] in places
        ],
        missing_count=len(missing),
        as_of=order.moment if order else None,
    )


def _up_to_date(
    session: Session, order: Order, named: Sequence[Partner | None], sort: str
) -> list[Placed]:
    """All as they stand in *order*; who is new, or was changed since, as they are now."""
    owners = [*map(_id, named)]
    unknown = order.unknown(owners)
    news: list[Placed] = []
    if unknown:
        every = everyone(session, [one for one in named if _id(one) in unknown])
        news = placed(session, every, [sort])
    return order.with_news(owners, news)


def _id(owner: Partner | None) -> str:
    return owner.id if owner else SYSTEM


def _having(
    session: Session, named: Sequence[Partner | None], words: str, system: str, *, everybody: bool
) -> set[tuple[str, str]]:
    """Owner and key of those that have *words*, folded, in anything that one knows them by."""
    names = {_id(one): one.name if one else system for one in named}
    known = senders_by_owner(session, names, everybody=everybody)
    return {
        (owner, one.key)
        for owner, senders in known.items()
        for one in senders
        if any(
            words in text.casefold()
            for text in (
                names[owner], owner, one.key, one.label, one.values.from_email, one.values.host,
            )
        )
    }  # fmt: skip


def _line(every: Everyone, place: int, system: str) -> Line:
    """All of it, but for numbers."""
    partner = every.partners[place]
    return Line(
        partner,
        partner.name if partner else system,
        every.senders[place],
        every.state(place),
        every.alone[place],
    )


def _count(session: Session, lines: Sequence[Line], moment: datetime) -> None:
    """Add the numbers of what is shown."""
    if not lines:
        return
    tally = Tally(session, {one.scope for one in lines})
    found, days = tally.open_mail(oldest=False), tally.last_day(moment)
    for one in lines:
        one.open, one.day = found[one.scope], days[one.scope]
