"""Days of a customer's calendar: the one place that counts them from a moment.

A day is not 24 hours where clocks change, so whoever is told "7 days before 30 March 09:45" expects
23 March 09:45 on the own clock. Nothing about reminders may add days to a moment in another way.
"""

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

#: By how much days of a calendar and days of 24 hours may differ; zones have skipped a whole day.
_MOST_SHIFTED = timedelta(days=1)


def days_before(moment: datetime, days: int, zone: ZoneInfo) -> datetime:
    """The same time of day, *days* of the calendar of *zone* earlier (UTC); always before *moment*.

    A time that the clocks skip is taken as much later as they skip, one that comes twice is taken
    at its first (as RFC 5545 has it).

    Args:
        days: at least 1.
    """
    local = moment.astimezone(zone)
    day = local.date() - timedelta(days=days)
    clock = local.time().replace(fold=0)
    found = datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)
    if found >= moment:  # the zone skipped that day as a whole
        found = datetime.combine(day, clock.replace(fold=1), tzinfo=zone).astimezone(UTC)
    return found


def surely_after(moment: datetime, days: int) -> datetime:
    """A moment that nothing lies behind which is due, *days* before it, by *moment*.

    For queries, which know no zones: wide enough for every one. :func:`days_before` decides.
    """
    return moment + timedelta(days=days) + _MOST_SHIFTED


def reached(day: date, clock: time, zone: ZoneInfo, *, again: bool = False) -> datetime:
    """When clocks of *zone* show *clock* on *day* (UTC), or go past it where they skip it.

    Args:
        again: the second time, where it comes twice.
    """
    wanted = datetime.combine(day, clock, tzinfo=zone)
    found = wanted.replace(fold=int(again)).astimezone(UTC)
    if found.astimezone(zone).time() == clock:
        return found
    # By the offset of before it would be later than the clocks were put forward, by the other one
    # earlier; in between is the second in which they were.
    early, late = sorted(wanted.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return _changed(early, late, zone)


def put_back(first: datetime, last: datetime, zone: ZoneInfo) -> datetime | None:
    """When clocks of *zone* are put back after *first*, up to *last* (UTC), at most a day later.

    What they showed an hour before they show once more then.
    """
    if _offset(last, zone) >= _offset(first, zone):
        return None
    return _changed(first, last, zone)


def _changed(first: datetime, last: datetime, zone: ZoneInfo) -> datetime:
    """The second in which clocks of *zone* are changed, between these."""
    first, before = first.replace(microsecond=0), _offset(first, zone)
    passed = bisect_left(
        range(int((last - first).total_seconds())),
        True,
        key=lambda second: _offset(first + timedelta(seconds=second), zone) != before,
    )
    return first + timedelta(seconds=passed)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def beginning(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of *day* in *zone* (UTC), also where clocks change at midnight."""
    return datetime.combine(day, time(0), tzinfo=zone).astimezone(UTC)
