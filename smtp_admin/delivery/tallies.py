"""Mail counted for many at once: a query for each kind of number, and never one for each sender.

Each statement has an arm for partners and one for senders, for another index leads to each. What
happened is read from counters. Those stand by sender, so a partner's are looked up by its own
senders and by the system's, which carry its mail while it has none.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    String,
    case,
    func,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, among
from smtp_admin.delivery.models import IS_OPEN, IS_QUEUED, Counter, Delivery
from smtp_admin.senders.models import Sender

HOURS = 24
DAY = timedelta(hours=HOURS)
#: What :class:`Counter` rows stand for; named, they lead the primary key on to the time.
_SPANS = (1, 60, 1440)
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
        hourly: accepted and failed in each hour, oldest first; empty where nobody asked for it.
    """

    sent: int = 0
    failed: int = 0
    seconds: float = 0.0
    bounced: int = 0
    complained: int = 0
    hourly: list[tuple[int, int]] | None = None

    @property
    def average_seconds(self) -> float | None:
        """From queued to accepted; ``None`` without mail."""
        return round(self.seconds / self.sent, 3) if self.sent else None


def open_mail(session: Session, scopes: Collection[Scope]) -> dict[Scope, Open]:
    """What is open for each of *scopes*."""
    found = {one: Open() for one in scopes}
    measures = (Delivery.state, func.count(), func.min(Delivery.created_at))
    arms = [
        select(*arm.keys, *measures).where(*which, *arm.where).group_by(*arm.by, Delivery.state)
        for arm in _arms(session, Delivery, scopes)
        # What is queued has an index that leads from the sender to it.
        for which in (
            [(IS_QUEUED,), (IS_OPEN, ~IS_QUEUED)] if arm.kind == "sender" else [(IS_OPEN,)]
        )
    ]
    for kind, sender_id, partner_id, state, count, oldest in _rows(session, arms):
        for scope in _scopes_of(kind, sender_id, partner_id):
            one = found.get(scope)
            if one is None:
                continue
            setattr(one, state, getattr(one, state) + int(count))
            if state == "queued":
                one.oldest = oldest if one.oldest is None else min(one.oldest, oldest)
    return found


def last_day(
    session: Session, scopes: Collection[Scope], moment: datetime, *, hourly: bool = True
) -> dict[Scope, Day]:
    """What happened in the 24 hours before *moment*, for each of *scopes*."""
    found = {one: Day(hourly=[(0, 0)] * HOURS if hourly else None) for one in scopes}
    arms = [_day_arm(arm, moment, hourly=hourly) for arm in _counted(session, scopes)]
    for kind, sender_id, partner_id, hour, sent, failed, seconds, bounced, complained in _rows(
        session, arms
    ):
        for scope in _scopes_of(kind, sender_id, partner_id):
            one = found.get(scope)
            if one is None:
                continue
            one.sent += int(sent)
            one.failed += int(failed)
            one.seconds += float(seconds)
            one.bounced += int(bounced)
            one.complained += int(complained)
            if one.hourly is not None:
                before = one.hourly[hour]
                one.hourly[hour] = (before[0] + int(sent), before[1] + int(failed))
    return found


def ever_sent(session: Session, scopes: Collection[Scope]) -> dict[Scope, int]:
    """How many mails were accepted, for each of *scopes*, since counting began."""
    found = dict.fromkeys(scopes, 0)
    arms = [
        _grouped(select(*arm.keys, func.sum(Counter.sent)).where(*arm.where), arm.by)
        for arm in _counted(session, scopes)
    ]
    for kind, sender_id, partner_id, sent in _rows(session, arms):
        for scope in _scopes_of(kind, sender_id, partner_id):
            if scope in found:
                found[scope] += int(sent or 0)
    return found


def _day_arm(arm: "_Arm", moment: datetime, *, hourly: bool) -> Any:
    recent = (*arm.where, Counter.span.in_(_SPANS), Counter.minute > moment - DAY)
    if not hourly:
        sums = [func.sum(one) for one in _SUMMED]
        # Without a group there is a row even of nothing, which has no sums.
        whole = select(*arm.keys, literal_column("0"), *sums).where(*recent)
        return _grouped(whole, arm.by or (Counter.span,))
    each = (
        select(*arm.keys, _hour(moment, 0, HOURS).label("hour"), *_SUMMED).where(*recent).subquery()
    )
    one = each.c
    by = (one.kind, one.whose, one.of, one.hour)
    return select(*by, *(func.sum(one[column.key]) for column in _SUMMED)).group_by(*by)


_SUMMED: tuple[Any, ...] = (
    Counter.sent, Counter.failed, Counter.seconds, Counter.bounced, Counter.complained,
)  # fmt: skip


def _hour(moment: datetime, first: int, end: int) -> ColumnElement[int]:
    """Which hour a counter is of, if it is from *first* to *end* hours old: by halves."""
    if end - first == 1:
        return literal_column(str(HOURS - end), Integer)
    middle = (first + end) // 2
    return case(
        (Counter.minute > moment - timedelta(hours=middle), _hour(moment, first, middle)),
        else_=_hour(moment, middle, end),
    )


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


def _arms(
    session: Session, table: type[Counter] | type[Delivery], scopes: Collection[Scope]
) -> Iterator[_Arm]:
    owners = _owners(scopes)
    if owners:
        both = (table.sender_id, table.partner_id)
        # Of many, what is open is read whole: it is little, and nobody looks for each of them.
        mine = among(session, table.partner_id, owners) if len(owners) <= _MANY else true()
        yield _Arm("partner", both, (mine,))
    yield from _other_arms(session, table, scopes)


def _counted(session: Session, scopes: Collection[Scope]) -> Iterator[_Arm]:
    """The same of counters, whose key begins with the sender."""
    owners = _owners(scopes)
    if owners:
        rows = session.execute(
            select(Sender.id, Sender.partner_id).where(
                among(session, Sender.partner_id, [SYSTEM, *owners])
            )
        )
        own: list[int] = []
        systems = [0]  # what never found a sender
        for sender_id, partner_id in rows:
            (systems if partner_id == SYSTEM else own).append(sender_id)
        both = (Counter.sender_id, Counter.partner_id)
        mine = among(session, Counter.partner_id, owners)
        for ids in (own, systems):
            yield _Arm("partner", both, (among(session, Counter.sender_id, ids), mine))
    yield from _other_arms(session, Counter, scopes)


def _other_arms(
    session: Session, table: type[Counter] | type[Delivery], scopes: Collection[Scope]
) -> Iterator[_Arm]:
    ids = sorted(
        one.sender_id for one in scopes if one.partner_id is None and one.sender_id is not None
    )
    if ids:
        yield _Arm("sender", (table.sender_id,), (among(session, table.sender_id, ids),))
    if Scope() in scopes:
        yield _Arm("all", (), ())


def _owners(scopes: Iterable[Scope]) -> list[str]:
    return sorted({one.partner_id for one in scopes if one.partner_id is not None})


def _scopes_of(kind: str, sender_id: int, partner_id: str) -> tuple[Scope, ...]:
    """Whom a row counts for."""
    if kind == "partner":
        return Scope(partner_id), Scope(partner_id, sender_id)
    return (Scope(None, sender_id),) if kind == "sender" else (Scope(),)


def _grouped(statement: Any, by: tuple[Any, ...]) -> Any:
    return statement.group_by(*by) if by else statement


def _rows(session: Session, arms: list[Any]) -> Iterable[Any]:
    if not arms:
        return ()
    statement: Any = arms[0] if len(arms) == 1 else union_all(*arms)
    return session.execute(statement)
