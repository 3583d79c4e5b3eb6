"""Days of a customer's calendar: over every change of clocks, in zones of every kind."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtp_admin.renewals.days import beginning, days_before, reached, surely_after
from smtp_admin.renewals.schedule import Facts, Reason, decide, project
from smtp_admin.renewals.values import MOST_DAYS, RenewalValues
from tests.examples import examples
from tests.renewals.things import a_customer, a_service, changes, days_earlier

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
INSTANT = timedelta(microseconds=1)
#: By whole and half hours, east and west, at midnight, by two hours, over the date line, and never.
ZONES = (
    "Europe/Warsaw", "America/New_York", "America/St_Johns", "America/Sao_Paulo",
    "America/Havana", "Australia/Lord_Howe", "Africa/Cairo", "Africa/Casablanca",
    "Antarctica/Troll", "Asia/Beirut", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Apia",
    "Pacific/Chatham", "Pacific/Kiritimati", "Pacific/Kwajalein", "Etc/GMT+12", "UTC",
)  # fmt: skip


@pytest.mark.parametrize(
    ("expiry", "due"),
    [
        ("2027-03-30 09:45", "2027-03-23 09:45"),
        ("2027-11-02 09:45", "2027-10-26 09:45"),
        ("2027-03-29 00:30", "2027-03-22 00:30"),
        ("2027-04-04 02:30", "2027-03-28 03:30"),  # there is no 02:30 on that day
        ("2027-11-07 02:30", "2027-10-31 02:30"),  # the first of two
    ],
)
@pytest.mark.parametrize("steps", [(7,), ()])
def test_warsaw_is_due_at_the_same_time_of_day(
    expiry: str, due: str, steps: tuple[int, ...]
) -> None:
    zone = ZoneInfo("Europe/Warsaw")
    ends, begins = (datetime.fromisoformat(text).replace(tzinfo=zone) for text in (expiry, due))
    values = RenewalValues(enabled=True, steps=steps)
    customer = a_customer(a_service(expires_at=ends, time_zone=zone.key))
    at = begins.astimezone(UTC)
    before = decide(values, customer, Facts(), at - INSTANT)
    assert (before.reason, before.again_at) == (Reason.NOT_YET, at)
    assert decide(values, customer, Facts(), at).reason is None
    first = next(project(values, customer, Facts(), at - 20 * DAY, at + DAY))[1]
    assert first.again_at == at


@pytest.mark.parametrize("name", ZONES)
def test_around_every_change_of_clocks(name: str) -> None:
    """What lies a week after a change is due at the right time, be it skipped or repeated."""
    zone = ZoneInfo(name)
    quarters = [quarter * HOUR / 4 for quarter in range(-13, 14)]
    for change in [*changes(zone, 2011, 2012), *changes(zone, 2026, 2028)]:
        for days in (1, 7):
            for off in quarters:
                expiry = change + days * DAY + off
                due = days_before(expiry, days, zone)
                assert due == days_earlier(expiry, days, name), (change, days, off)
                assert due < expiry
                assert expiry <= surely_after(due, days)


MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(max_examples=examples(400))
@given(moment=MOMENTS, days=st.integers(1, MOST_DAYS), name=st.sampled_from(ZONES))
@example(datetime(2011, 12, 30, 20, 0, tzinfo=UTC), 1, "Pacific/Apia")
@example(datetime(1993, 8, 22, 0, 0, tzinfo=UTC), 1, "Pacific/Kwajalein")
def test_any_day_of_any_zone(moment: datetime, days: int, name: str) -> None:
    zone = ZoneInfo(name)
    due = days_before(moment, days, zone)
    assert due == days_earlier(moment, days, name)
    assert due < moment
    assert moment <= surely_after(due, days)  # a query by that moment does not miss it
    assert days_before(moment, days + 1, zone) <= due
    wanted = moment.astimezone(zone).replace(tzinfo=None) - days * DAY
    there = due.astimezone(zone)
    exists = {wanted.replace(tzinfo=zone, fold=fold).astimezone(UTC).astimezone(zone)
              .replace(tzinfo=None) for fold in (0, 1)} == {wanted}  # fmt: skip
    if exists:
        assert there.replace(tzinfo=None) == wanted
        assert there.fold == 0
    else:
        assert abs(there.replace(tzinfo=None) - wanted) <= DAY


@settings(max_examples=examples(200))
@given(day=st.dates(date(1990, 1, 1), date(2060, 1, 1)), name=st.sampled_from(ZONES))
@example(date(2026, 4, 24), "Africa/Cairo")  # the day has no midnight
@example(date(2026, 11, 1), "America/Havana")  # it has two
def test_a_day_begins_when_its_date_is_first_shown(day: date, name: str) -> None:
    zone = ZoneInfo(name)
    begins = beginning(day, zone)
    assert (begins - INSTANT).astimezone(zone).date() < day
    assert begins.astimezone(zone).date() in {day, day + DAY}  # or the zone has skipped it
    if begins.astimezone(zone).date() == day and begins.astimezone(zone).time() != time(0):
        assert (begins - INSTANT).astimezone(zone).time() > time(22, 0)


def test_a_time_that_is_skipped_is_reached_when_the_clocks_are_put_forward() -> None:
    """And one that comes twice twice."""
    berlin, howe = ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")
    for minute in (0, 1, 15, 59):
        skipped = reached(date(2026, 3, 29), time(2, minute), berlin)
        assert skipped == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert reached(date(2026, 3, 29), time(3), berlin) == datetime(2026, 3, 29, 1, tzinfo=UTC)
    by_half = reached(date(2026, 10, 4), time(2, 10), howe)
    assert by_half.astimezone(howe).time() == time(2, 30)
    twice = [reached(date(2026, 10, 25), time(2, 15), berlin, again=one) for one in (False, True)]
    assert twice[1] - twice[0] == HOUR


def test_a_days_begin_is_where_the_calendar_ends() -> None:
    cairo, havana = ZoneInfo("Africa/Cairo"), ZoneInfo("America/Havana")
    assert beginning(date(2026, 4, 24), cairo).astimezone(cairo).time() == time(1)
    assert beginning(date(2026, 11, 1), havana) == datetime(2026, 11, 1, 4, tzinfo=UTC)
