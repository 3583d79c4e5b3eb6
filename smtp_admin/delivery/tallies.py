"""Mail counted for many at once: a query for each kind of number, and never one for each sender.

Each statement has an arm for partners and one for senders, for another index leads to each. What
happened is read from counters. Those stand by sender, so a partner's are looked up by its own
senders and by the system's, which carry its mail while it has none. To sort all by a number, see
``rankings``.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    String,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, UTCDateTime, among, sum_of
from smtp_admin.delivery.copies import no_foreign_copy
from smtp_admin.delivery.counted import day_begins
from smtp_admin.delivery.models import IS_OPEN, IS_QUEUED, Counter, Delivery
from smtp_admin.senders.models import Sender

HOURS = 24
#: What :class:`Counter` rows stand for; named, they lead the primary key on to the time.
SPANS = (1, 60, 1440)
_MANY = 200


class Scope(NamedTuple):
    """Whose mail is counted: a partner's, what is with a sender, or both; else all there is."""

    partner_id: str | None = None
    sender_id: int | None = None


@dataclass(slots=True)
class Open:
    """Mail that is not finished, by state, and since when the oldest of it is queued."""

    queued: int = 0
    sending: int = 0
    uncertain: int = 0
    dead: int = 0
    oldest: datetime | None = None


@dataclass(slots=True)
class Day:
    """Sends of the last 24 hours.

    Attributes:
        seconds: from queued to accepted, summed over *sent*.
        bounced: what came back after it was accepted; its recipients may have got it earlier.
        hourly: accepted and failed in each hour, oldest first.
    """

    sent: int = 0
    failed: int = 0
    seconds: float = 0.0
    bounced: int = 0
    complained: int = 0
    hourly: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)] * HOURS)

    @property
    def average_seconds(self) -> float | None:
        """From queued to accepted; ``None`` without mail."""
        return round(self.seconds / self.sent, 3) if self.sent else None


@dataclass(frozen=True, slots=True)
class _Arm:
    """A part of a statement: what its rows are told apart by, and which they are."""

    kind: str
    by: tuple[Any, ...]
    where: tuple[ColumnElement[bool], ...]

    @property
    def keys(self) -> tuple[Any, Any, Any]:
        """The kind, the sender and the partner, as columns of the same names in every arm."""
        whose: Any = self.by[0] if self.by else literal_column("0")
        of: Any = self.by[1] if len(self.by) > 1 else literal_column("''", String)
        kind: Any = literal_column(f"'{self.kind}'", String)
        return kind.label("kind"), whose.label("whose"), of.label("of")


@dataclass(frozen=True)
class Tally:
    """Counts the mail of each of *scopes*."""

    session: Session
    scopes: Collection[Scope]

    def open_mail(self, *, oldest: bool = True) -> dict[Scope, Open]:
        """What is open.

        Args:
            oldest: since when the oldest is queued too, for which each mail has to be looked at.
        """
        found = {one: Open() for one in self.scopes}
        since: Any = func.min(Delivery.created_at) if oldest else null()
        measures = (Delivery.state, func.count(), since)
        arms = [
            select(*arm.keys, *measures).where(*which, *arm.where).group_by(*arm.by, Delivery.state)
            for arm in self._arms()
            # What is queued has an index that leads from the sender to it.
            for which in (
                [(IS_QUEUED,), (IS_OPEN, ~IS_QUEUED)] if arm.kind == "sender" else [(IS_OPEN,)]
            )
        ]
        for kind, sender_id, partner_id, state, count, at in _rows(self.session, arms):
            for scope in _scopes_of(kind, sender_id, partner_id):
                one = found.get(scope)
                if one is None:
                    continue
                setattr(one, state, getattr(one, state) + int(count))
                if state == "queued" and at is not None:
                    one.oldest = at if one.oldest is None else min(one.oldest, at)
        return found

    def last_day(self, moment: datetime) -> dict[Scope, Day]:
        """What happened in the 24 hours before *moment*, from a whole hour on."""
        found = {one: Day() for one in self.scopes}
        arms = [_day_arm(arm, moment) for arm in self._counted()]
        rows = _rows(self.session, arms, _hours_ago(moment))
        for kind, sender_id, partner_id, hours, sent, failed, seconds, bounced, complained in rows:
            hourly = [tuple(map(int, one.split(":"))) for one in hours.split(",")]
            for scope in _scopes_of(kind, sender_id, partner_id):
                one = found.get(scope)
                if one is None:
                    continue
                one.sent += sent
                one.failed += failed
                one.seconds += seconds
                one.bounced += bounced
                one.complained += complained
                for hour, its_sent, its_failed in hourly:
                    before = one.hourly[hour]
                    one.hourly[hour] = (before[0] + its_sent, before[1] + its_failed)
        return found

    def ever_sent(self) -> dict[Scope, int]:
        """How many mails were accepted since counting began."""
        found = dict.fromkeys(self.scopes, 0)
        arms = [
            _grouped(select(*arm.keys, func.sum(Counter.sent)).where(*arm.where), arm.by)
            for arm in self._counted()
        ]
        for kind, sender_id, partner_id, sent in _rows(self.session, arms):
            for scope in _scopes_of(kind, sender_id, partner_id):
                if scope in found:
                    found[scope] += int(sent or 0)
        return found

    def _arms(self) -> Iterator[_Arm]:
        """What is open, of deliveries."""
        owners = _owners(self.scopes)
        if owners:
            both = (Delivery.sender_id, Delivery.partner_id)
            # Of many, what is open is read whole: it is little, and nobody looks for each of them.
            mine = (
                among(self.session, Delivery.partner_id, owners) if len(owners) <= _MANY else true()
            )
            # Apart, because what goes by their own senders is counted along an index.
            carried = among(self.session, Delivery.sender_id, self._systems)
            yield _Arm("partner", both, (mine, ~carried))
            yield _Arm("partner", both, (mine, carried, no_foreign_copy()))
        yield from self._other_arms(Delivery)

    def _counted(self) -> Iterator[_Arm]:
        """The same of counters, whose key begins with the sender."""
        owners = _owners(self.scopes)
        if owners:
            both = (Counter.sender_id, Counter.partner_id)
            # By the sender's own row: of ids and owners apart, MariaDB would look for each pair.
            own = (
                Sender.id == Counter.sender_id,
                Sender.partner_id == Counter.partner_id,
                Sender.partner_id != SYSTEM,
                among(self.session, Sender.partner_id, owners),
            )
            yield _Arm("partner", both, own)
            theirs = among(self.session, Counter.sender_id, self._systems)
            yield _Arm("partner", both, (theirs, among(self.session, Counter.partner_id, owners)))
        yield from self._other_arms(Counter)

    @cached_property
    def _systems(self) -> list[int]:
        return systems_senders(self.session)

    def _other_arms(self, table: type[Counter] | type[Delivery]) -> Iterator[_Arm]:
        ids = sorted(
            one.sender_id
            for one in self.scopes
            if one.partner_id is None and one.sender_id is not None
        )
        if ids:
            yield _Arm("sender", (table.sender_id,), (among(self.session, table.sender_id, ids),))
        if Scope() in self.scopes:
            yield _Arm("all", (), ())


def _day_arm(arm: _Arm, moment: datetime) -> Any:
    recent = (*arm.where, Counter.span.in_(SPANS), Counter.minute >= day_begins(moment))
    each = (
        select(*arm.keys, _HOUR, Counter.sent, Counter.failed, Counter.seconds,
               Counter.bounced, Counter.complained)
        .where(*recent)
        .subquery()
    ).c  # fmt: skip
    hour = (
        select(each.kind, each.whose, each.of, each.hour, *_sums(each))
        .group_by(each.kind, each.whose, each.of, each.hour)
        .subquery()
    ).c
    # Its hours as one text: to read 24 rows of each sender takes longer than to count them.
    colon = literal_column("':'", String)
    numbers = [cast(one, String) for one in (hour.hour, hour.sent, hour.failed)]
    hours = func.aggregate_strings(numbers[0] + colon + numbers[1] + colon + numbers[2], ",")
    return select(hour.kind, hour.whose, hour.of, hours, *_sums(hour)).group_by(
        hour.kind, hour.whose, hour.of
    )


def _sums(of: Any) -> list[ColumnElement[Any]]:
    """What is summed of counters, under the names that they have there."""
    return [
        sum_of(of.sent).label("sent"), sum_of(of.failed).label("failed"),
        func.sum(of.seconds).label("seconds"),
        sum_of(of.bounced).label("bounced"), sum_of(of.complained).label("complained"),
    ]  # fmt: skip


def _hour(first: int, end: int) -> ColumnElement[int]:
    """Which hour a counter is of, if it is from *first* to *end* hours old: by halves."""
    if end - first == 1:
        return literal_column(str(HOURS - end), Integer)
    middle = (first + end) // 2
    ago = bindparam(f"hours_ago_{middle}", type_=UTCDateTime)
    return case((Counter.minute > ago, _hour(first, middle)), else_=_hour(middle, end))


#: Made once: it is the larger part of the statement.
_HOUR = _hour(0, HOURS).label("hour")


def _hours_ago(moment: datetime) -> dict[str, datetime]:
    return {f"hours_ago_{number}": moment - timedelta(hours=number) for number in range(1, HOURS)}


def systems_senders(session: Session) -> list[int]:
    """The ids of the system's senders, deleted ones too, and of what never found a sender."""
    return [0, *session.scalars(select(Sender.id).where(Sender.partner_id == SYSTEM))]


def _owners(scopes: Iterable[Scope]) -> list[str]:
    return sorted({one.partner_id for one in scopes if one.partner_id is not None})


def _scopes_of(kind: str, sender_id: int, partner_id: str) -> tuple[Scope, ...]:
    """Whom a row counts for."""
    if kind == "partner":
        return Scope(partner_id), Scope(partner_id, sender_id)
    return (Scope(None, sender_id),) if kind == "sender" else (Scope(),)


def _grouped(statement: Any, by: tuple[Any, ...]) -> Any:
    return statement.group_by(*by) if by else statement


def _rows(
    session: Session, arms: list[Any], values: Mapping[str, Any] | None = None
) -> Iterable[Any]:
    if not arms:
        return ()
    statement: Any = arms[0] if len(arms) == 1 else union_all(*arms)
    return session.connection().execute(statement, values)
