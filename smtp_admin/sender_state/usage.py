"""How much of their limits senders have used, and until when those wait that used all of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import and_, case, false, func, or_, select
from sqlalchemy.orm import Session

from smtp_admin.database import among, sum_of
from smtp_admin.delivery.limits import COUNTED, DAY, HOUR, kept_for_urgent
from smtp_admin.delivery.models import Delivery, Lane
from smtp_admin.sender_state.which import these
from smtp_admin.senders.resolve import ResolvedSender

_WEIGHT = Delivery.uncertains + case((Delivery.state.in_(COUNTED), 1), else_=0)
_READ_AT_ONCE = 250


@dataclass(frozen=True, slots=True)
class UsedUp:
    """A limit that is used up.

    Attributes:
        until: when it goes on; ``None`` if nobody can say.
        urgent: whether there is something left for urgent mail.
    """

    until: datetime | None
    urgent: bool

    def and_also(self, other: "UsedUp") -> "UsedUp":
        """Both at once."""
        known = None if self.until is None or other.until is None else max(self.until, other.until)
        return UsedUp(known, self.urgent and other.urgent)


@dataclass(frozen=True, slots=True)
class Usage:
    """By sender: what counts for its hourly limit and for its daily one, and what is used up."""

    hour: dict[int, int] = field(default_factory=dict)
    day: dict[int, int] = field(default_factory=dict)
    full: dict[int, UsedUp] = field(default_factory=dict)


def usage_of(session: Session, senders: Sequence[ResolvedSender], moment: datetime) -> Usage:
    """How much each of *senders* has used, and who may send nothing but urgent mail, if that."""
    limits = [
        (one.sender_id, one.values["max_per_hour"], one.values["max_per_day"]) for one in senders
    ]
    hourly = {one: most for one, most, _ in limits if most is not None}
    daily = {one: most for one, _, most in limits if most is not None}
    if not hourly and not daily:
        return Usage()
    under_way = _under_way(session, [one for one, _, _ in limits])
    in_hour, in_day = _finished(session, hourly, daily, moment)
    found = Usage(_with(hourly, in_hour, under_way), _with(daily, in_day, under_way))
    for window, most, used in ((HOUR, hourly, found.hour), (DAY, daily, found.day)):
        for sender_id, used_up in _used_up(session, most, used, under_way, moment - window):
            one = replace(used_up, until=used_up.until and used_up.until + window)
            before = found.full.get(sender_id)
            found.full[sender_id] = one.and_also(before) if before else one
    return found


def _with(
    most: Mapping[int, int], finished: Mapping[int, int], under_way: Mapping[int, int]
) -> dict[int, int]:
    return {one: finished.get(one, 0) + under_way.get(one, 0) for one in most}


def _finished(
    session: Session, hourly: Mapping[int, int], daily: Mapping[int, int], moment: datetime
) -> tuple[dict[int, int], dict[int, int]]:
    """What was finished in the hour and in the day; no mail is read twice.

    Two questions, each along the index: of both in one, PostgreSQL makes work for several
    processes, and starting them takes longer than the work.
    """
    hour_ago, day_ago = moment - HOUR, moment - DAY
    sender, at = Delivery.sender_id, Delivery.finished_at
    in_hour: dict[int, int] = {}
    in_day: dict[int, int] = {}
    connection = session.connection()
    if only_hourly := hourly.keys() - daily.keys():
        asked = (
            select(sender, sum_of(_WEIGHT))
            .where(among(session, sender, sorted(only_hourly)), at > hour_ago)
            .group_by(sender)
        )
        rows = connection.execute(asked).yield_per(_READ_AT_ONCE)
        in_hour = {row[0]: row[1] for row in rows}
    if daily:
        recent = sum_of(case((at > hour_ago, _WEIGHT), else_=0))
        whole = (
            select(sender, recent, sum_of(_WEIGHT))
            .where(among(session, sender, sorted(daily)), at > day_ago)
            .group_by(sender)
        )
        for sender_id, hour, day in connection.execute(whole).yield_per(_READ_AT_ONCE):
            in_hour[sender_id], in_day[sender_id] = hour, day
    return in_hour, in_day


def _used_up(
    session: Session,
    most: Mapping[int, int],
    used: Mapping[int, int],
    under_way: Mapping[int, int],
    since: datetime,
) -> Iterator[tuple[int, UsedUp]]:
    """Of the senders in *most*, those that have used up that number, until what is to grow old."""
    full = {
        one: limit - kept_for_urgent(limit) - under_way.get(one, 0)
        for one, limit in most.items()
        if used[one] >= limit - kept_for_urgent(limit)
    }
    if not full:
        return
    # Counted from the newest back, the mail that fills the limit is the one that must grow old.
    running = (
        select(
            Delivery.sender_id,
            Delivery.finished_at,
            func.sum(_WEIGHT)
            .over(partition_by=Delivery.sender_id, order_by=Delivery.finished_at.desc())
            .label("newer"),
        )
        .where(among(session, Delivery.sender_id, full), Delivery.finished_at > since)
        .subquery()
    )
    enough = or_(
        *(
            and_(running.c.sender_id == one, running.c.newer >= left)
            for one, left in full.items()
            if left > 0
        ),
        false(),
    )
    newest = session.execute(
        select(running.c.sender_id, func.max(running.c.finished_at))
        .where(enough)
        .group_by(running.c.sender_id)
    )
    opens: dict[int, datetime] = {int(sender_id): at for sender_id, at in newest}
    for one in full:
        yield one, UsedUp(opens.get(one), urgent=used[one] < most[one])


def _under_way(session: Session, ids: Sequence[int]) -> dict[int, int]:
    """How many mails of each sender are with a server; found by the leases that are held."""
    rows = session.execute(
        select(Lane.sender_id, func.count())
        .join(Delivery, Delivery.lease == Lane.lease)
        .where(
            these(session, Lane.sender_id, ids),
            Delivery.lease.is_not(None),
            Delivery.state == "sending",
        )
        .group_by(Lane.sender_id)
    )
    return {int(sender_id): int(count) for sender_id, count in rows}
