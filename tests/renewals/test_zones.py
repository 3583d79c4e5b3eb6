"""Runs by the calendars of customers, and by zones that nobody knows."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from smtp_admin.clock import now
from smtp_admin.renewals import scheduler
from smtp_admin.renewals.report import Report
from tests.app import HostApp
from tests.delivery.workbench import Workbench
from tests.renewals.office import DAY, HOUR, Office
from tests.renewals.things import a_service, changes
from tests.servers.scripted import ScriptedServer

MakeBench = Callable[..., Workbench]


@pytest.fixture
def office(each: HostApp, bench_of: MakeBench, server: ScriptedServer) -> Office:
    """On each database in turn."""
    return Office(each, bench_of(each), server)


@pytest.fixture
def one_office(host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer) -> Office:
    """On SQLite, for what no database decides."""
    return Office(*host_with_bench, server)


def put_back(zone: str, *, by: timedelta) -> datetime:
    """An expiry a little after the next time that the clocks of *zone* are put back so far."""
    there = ZoneInfo(zone)
    for change in changes(there, now().year, now().year + 2):
        offsets = [
            one.astimezone(there).utcoffset() or timedelta() for one in (change - HOUR, change)
        ]
        if change > now() + 8 * DAY and offsets[0] - offsets[1] == by:
            return change + DAY
    raise AssertionError("the clocks are put back every year")


def test_what_is_due_by_the_calendar_is_asked_for(office: Office) -> None:
    """A week in which the clocks are put back is longer than 168 hours."""
    expiry = put_back("Europe/Warsaw", by=HOUR)
    office.host.host.services.append(a_service(expires_at=expiry, time_zone="Europe/Warsaw"))
    office.later = expiry - now() - 7 * DAY - HOUR - timedelta(minutes=5)
    assert office.run().skipped == {"not_yet": 1}
    with office.in_time():
        assert scheduler.look(office.bench.engine, "acme")["acme"].due == 0
    office.later += timedelta(minutes=6)
    with office.in_time():
        assert scheduler.look(office.bench.engine, "acme")["acme"].due == 1
    assert office.run().due == 1
    office.send()
    assert len(office.mails) == 1


def test_unknown_zones_fall_back_and_the_report_says_whose(one_office: Office) -> None:
    office = one_office
    office.set(enabled=True, time_zone="Europe/Berlin")
    office.have(3, customer_id="lost", time_zone="Mars/Olympus")
    office.have(30, customer_id="far", time_zone="Mars/Olympus")
    office.have(3, customer_id="home", time_zone="Europe/Lisbon")
    office.have(3, customer_id="path", time_zone="../" * 40)
    report = office.run()
    assert (report.due, report.failed, report.problems, report.ended) == (3, 0, [], "")
    assert report.zone_sentences == [
        "Time zone 'Mars/Olympus' is not known; Europe/Berlin is taken for 1 customer: lost.",
        f"Time zone {('../' * 20)!r} is not known; Europe/Berlin is taken for 1 customer: path.",
    ]
    assert Report.from_json(report.as_json()) == report


def test_a_zone_of_the_settings_that_is_gone_stops_nothing(one_office: Office) -> None:
    """A machine with an older or smaller list of zones than the one that saved them."""
    office = one_office
    office.set(enabled=True, time_zone="Mars/Olympus", quiet_from=time(1), quiet_to=time(1))
    office.have(3, time_zone="Mars/Olympus")
    report = office.run()
    assert report.due == 1
    assert [one.partition(";")[2] for one in report.zone_sentences] == [
        " UTC is taken.",
        " UTC is taken for 1 customer: c1.",
    ]
    office.send()
    assert len(office.mails) == 1
    for path in ("", "/calendar", "/preview?customer=c1"):
        answer = office.host.client.get(f"/smtp-admin/renewals/partners/acme{path}")
        assert answer.status_code == 200
        assert "Mars/Olympus" in answer.text or path == "/calendar"


def test_very_many_unknown_zones_stay_a_small_report() -> None:
    report = Report()
    for number in range(1000):
        report.note_zone(f"c{number}", f"Mars/{number}", "UTC")
    assert len(report.zone_sentences) == 11
    first = report.zone_sentences[0]
    assert first.startswith(
        "Further time zones are not known; UTC is taken for 990 customers: c10,"
    )
    assert first.endswith(", ….")
    assert not report.eventful
