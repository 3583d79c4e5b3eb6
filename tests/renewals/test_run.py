"""Runs on real databases: who gets a mail, what the ledger keeps, and what is in the report."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smtp_admin import Message
from smtp_admin.clock import now
from smtp_admin.database import SYSTEM
from smtp_admin.delivery.actions import cancel
from smtp_admin.delivery.maintenance.prune import prune
from smtp_admin.renewals import scheduler
from smtp_admin.renewals.ledger import services_of
from smtp_admin.renewals.report import Report
from tests.app import HostApp
from tests.delivery.workbench import Workbench, deliveries
from tests.renewals.office import DAY, HOUR, Office
from tests.renewals.things import a_service
from tests.servers.scripted import Close, Reply, ScriptedServer

MakeBench = Callable[..., Workbench]


@pytest.fixture
def office(each: HostApp, bench_of: MakeBench, server: ScriptedServer) -> Office:
    """On each database in turn."""
    return Office(each, bench_of(each), server)


@pytest.fixture
def one_office(host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer) -> Office:
    """On SQLite, for what no database decides."""
    return Office(*host_with_bench, server)


def handing_over(services: Any) -> Any:
    """A host's method that hands over exactly these; with ``None`` it must not be asked."""

    def expiring_services(until: datetime, partner_id: str) -> Any:
        assert services is not None
        return services

    return expiring_services


def test_one_mail_for_all_that_expires(office: Office) -> None:
    office.have(3, 5)
    office.have(40, customer_id="c2")
    office.have(6.5, customer_id="c3")
    report = office.run()
    assert (report.due, report.customers, report.services) == (2, 2, 3)
    office.send()
    assert sorted(mail["To"] for mail in office.mails) == [
        "c1@customer.example",
        "c3@customer.example",
    ]
    first = next(mail for mail in office.mails if "c1@" in mail["To"])
    text = first.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "Hosting c1-0" in text
    assert "Hosting c1-1" in text
    assert "https://pay.example/1?a=1&b=2" in text
    notice, _ = office.notices()
    assert (notice.state, notice.on_demand, notice.recipient) == (
        "accepted", False, "c1@customer.example"
    )  # fmt: skip
    assert services_of(notice.services) == {
        one.service_id: one.expires_at for one in office.host.host.services[:2]
    }


def test_frequency_counts_from_acceptance_to_the_second(office: Office) -> None:
    office.have(6)
    assert office.run().due == 1
    office.later = 5 * HOUR  # so long nobody sent it
    office.send()
    accepted_at = office.customer().last_at
    assert accepted_at is not None
    office.later += 48 * HOUR - timedelta(seconds=30)
    assert office.run().skipped == {"too_soon": 1}
    office.later += timedelta(seconds=60)
    assert office.run().due == 1
    office.send()
    assert len(office.mails) == 2


def test_a_waiting_notice_blocks_however_often_it_is_run(office: Office) -> None:
    office.have(6)
    assert office.run().due == 1
    for _ in range(3):
        office.later += 20 * HOUR
        assert office.run().skipped == {"waiting": 1}
    office.send()
    assert len(office.mails) == 1
    assert len(deliveries(office.host)) == 1


def test_many_schedulers_at_once_write_one_notice_each(office: Office) -> None:
    for number in range(30):
        office.have(3, customer_id=f"c{number:02}")
    together = threading.Barrier(4)
    reports: list[Report] = []

    def work() -> None:
        with office.host.app.app_context():
            together.wait()
            reports.append(scheduler.run_now(office.bench.engine, "acme")["acme"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.due for report in reports) == 30
    assert len(deliveries(office.host)) == len(office.notices()) == 30
    assert all(report.due + report.skipped.total() == 30 for report in reports)
    office.send()
    assert len({mail["To"] for mail in office.mails}) == len(office.mails) == 30


def test_catching_up_after_an_outage_sends_one(one_office: Office) -> None:
    office = one_office
    office.have(6)
    office.server.behave("greeting", Reply("421 4.3.2 down"))
    office.run()
    for _ in range(8):
        office.later += 6 * HOUR
        office.send()
        office.run()
    assert not office.mails
    office.server.behave("greeting", None)
    office.later += 6 * HOUR
    for _ in range(3):
        office.send()
        office.run()
    assert len(office.mails) == 1


def test_a_notice_too_old_to_be_sent_counts_for_nothing(one_office: Office) -> None:
    office = one_office
    office.have(7)
    office.run()
    office.later += 73 * HOUR  # no worker was there for three days
    office.send()
    assert [one.state for one in office.notices()] == ["dropped"]
    assert not office.mails
    assert office.run().due == 1
    office.send()
    assert len(office.mails) == 1


def test_a_refused_notice_is_not_repeated_at_once(one_office: Office) -> None:
    office = one_office
    office.have(6)
    office.server.behave("rcpt", Reply("550 5.7.1 not wanted"))
    office.run()
    office.send()
    assert [one.state for one in office.notices()] == ["refused"]
    office.server.behave("rcpt", None)
    office.later += 47 * HOUR
    assert office.run().skipped == {"too_soon": 1}
    office.later += 2 * HOUR
    assert office.run().due == 1


def test_an_address_that_does_not_exist_gets_no_more(one_office: Office) -> None:
    office = one_office
    office.have(6)
    office.server.behave("rcpt", Reply("550 5.1.1 no such user"))
    office.run()
    office.send()
    office.server.behave("rcpt", None)
    office.later += 3 * DAY
    assert office.run().skipped == {"suppressed": 1}
    office.host.host.services = []
    office.have(3, customer_email="new@customer.example")
    assert office.run().due == 1


def test_a_recipients_limit_is_no_refusal(
    opened: Any, bench_of: MakeBench, server: ScriptedServer
) -> None:
    """What it keeps back is not written again at once, but the address is a good one."""
    host = opened(RECIPIENT_LIMITS={"renewal": "1 per 100 days"})
    office = Office(host, bench_of(host), server)
    office.have(3, customer_email="both@customer.example")
    office.have(3, customer_id="c2", customer_email="both@customer.example")
    assert office.run().due == 2
    office.send()
    assert sorted(one.state for one in office.notices()) == ["accepted", "dropped"]
    assert len(office.mails) == 1
    assert office.run().skipped == {"too_soon": 2}
    assert {office.customer(one).refused_address for one in ("c1", "c2")} == {""}
    office.later += 50 * HOUR
    assert office.run().due == 2


def test_a_notice_that_a_person_cancelled_is_not_written_again_at_once(one_office: Office) -> None:
    office = one_office
    office.have(6)
    office.run()
    session = office.host.db.session()
    cancel(session, office.notices()[0].mail_id)
    session.commit()
    office.send()
    assert office.run().skipped == {"too_soon": 1}


def test_an_unknown_outcome_counts_as_arrived(one_office: Office) -> None:
    office = one_office
    office.have(6)
    office.run()
    office.server.behave("dot", Close())  # it may have arrived
    office.send()
    assert deliveries(office.host)[0].state == "uncertain"
    office.later += 50 * HOUR
    assert office.run().skipped == {"waiting": 1}
    office.server.behave("dot", None)
    office.send()
    assert len({mail["Message-ID"] for mail in office.mails}) == 1
    assert office.run().skipped == {"too_soon": 1}


def test_the_ledger_outlives_the_mail(one_office: Office) -> None:
    office = one_office
    office.set(enabled=True, min_hours=24 * 40, window_days=90)
    office.have(80)
    office.run()
    office.send()
    office.later += 35 * DAY
    with office.in_time():
        assert prune(office.bench.engine, office.host.installation.config) == 1
    assert office.run().skipped == {"too_soon": 1}
    office.later += 6 * DAY
    assert office.run().due == 1


def test_each_reason_is_counted_and_named(one_office: Office) -> None:
    office = one_office
    office.have(3, customer_id="good")
    office.have(3, customer_id="mute", customer_email="nobody")
    office.have(3, customer_id="gone")
    office.have(-1, customer_id="late")
    office.run()
    office.unsubscribe("gone")
    office.send()
    report = office.run()
    assert report.skipped == {"too_soon": 1, "unsubscribed": 1, "no_address": 1, "expired": 1}
    assert report.examples == {"too_soon": ["good"], "no_address": ["mute"],
                               "unsubscribed": ["gone"], "expired": ["late"]}  # fmt: skip


def test_a_sender_that_cannot_send_is_a_reason(one_office: Office) -> None:
    office = one_office
    office.have(3)
    office.server.behave("greeting", Reply("554 5.7.1 go away"))
    office.host.plugin.send_message(Message("x", ["a@b.example"], "x"), partner_id="acme")
    office.host.db.session.commit()
    office.send()
    assert office.run().skipped == {"no_sender": 1}
    assert not office.notices()


def test_broken_records_are_named_and_stop_nothing(one_office: Office) -> None:
    office = one_office
    office.have(3, customer_id="a")
    bad: list[Any] = [
        None,
        a_service(3, expires_at=datetime(2026, 1, 1)),  # noqa: DTZ001 - the mistake that is meant
        a_service(3, price="a lot", service_id="dear"),
        a_service(3, payment_url="javascript:alert(1)"),
        a_service(3, customer_id=""),
        a_service(3, currency="Euro"),
        a_service(3, customer_name=None),
        a_service(3, customer_name="\ud800"),
        a_service(3, extra=[1]),
        a_service(3, balance="1e400000"),
        a_service(3, expires_at=datetime.max.replace(tzinfo=UTC)),
    ]
    office.host.host.services += bad
    office.have(3, customer_id="z")
    # The host of these tests looks at the times itself; this one hands over everything.
    office.host.host.expiring_services = handing_over(office.host.host.services)  # type: ignore[method-assign]
    report = office.run()
    assert (report.due, report.broken, report.failed) == (2, 11, 0)
    problems = "\n".join(report.problems)
    for words in ("NoneType", "time zone", "'dear'): price is not a number", "payment_url",
                  "customer_id must have", "currency", "customer_name is not text",
                  "extra is", "balance is", "year 9999"):  # fmt: skip
        assert words in problems


def test_another_partners_service_is_not_this_ones(one_office: Office) -> None:
    office = one_office
    foreign = a_service(3, partner_id="globex", now=now())
    office.host.host.expiring_services = handing_over([foreign])  # type: ignore[method-assign]
    report = office.run()
    assert (report.due, report.broken) == (0, 1)
    assert "its partner_id is 'globex'" in report.problems[0]


def test_a_host_that_fails_halfway_is_named(one_office: Office) -> None:
    office = one_office

    def failing(until: datetime, partner_id: str) -> Iterator[Any]:
        yield a_service(3, customer_id="whole", now=now())
        yield a_service(3, customer_id="half", now=now())
        raise RuntimeError("secret words")

    office.host.host.expiring_services = failing  # type: ignore[method-assign]
    report = office.run()
    assert (report.due, report.failed) == (1, 1)
    assert "failed with RuntimeError" in report.ended
    assert "secret words" not in report.as_json()
    assert [one.customer_id for one in office.notices()] == ["whole"]


def test_a_template_that_does_not_fit_fails_one_customer(one_office: Office) -> None:
    office = one_office
    office.have(3, customer_id="bad", service_name="two\nlines =?x?=")
    office.have(3, customer_id="good")
    report = office.run()
    assert (report.due, report.failed) == (1, 1)
    assert "'bad'" in report.problems[0]
    assert office.run().failed == 1  # and it is tried again


def test_a_customer_with_thousands_of_services(office: Office) -> None:
    office.have(*(3 + number / 1000 for number in range(2500)))
    assert office.run().due == 1
    office.send()
    assert len(services_of(office.customer().announced)) == 2500
    assert office.mails[0]["Subject"] == "2500 of your services expire soon"


def test_odd_values_cost_one_customer_only(one_office: Office) -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    office = one_office
    office.have(3, customer_id="bad", extra={"odd": Odd()})
    office.have(3, customer_id="good")
    report = office.run()
    assert (report.due, report.failed) == (1, 1)
    assert "RuntimeError" in report.problems[0]


def test_reminders_leave_half_of_the_queue_to_others(
    new_app: Any, opened: Any, bench_of: MakeBench, server: ScriptedServer
) -> None:
    host = opened(QUEUE_LIMIT=10)
    office = Office(host, bench_of(host), server)
    for number in range(9):
        office.have(3, customer_id=f"c{number}")
    report = office.run()
    assert (report.due, report.skipped) == (5, {"queue_full": 4})
    assert "queue is full" in report.ended
    office.send()
    assert office.run().due == 4


def test_each_partner_by_its_own_settings(one_office: Office) -> None:
    office = one_office
    office.set("acme", own=False)
    office.set("globex", enabled=True, window_days=2)
    for partner_id in ("acme", "globex", "initech", ""):
        office.host.host.services += [
            a_service(3, partner_id=partner_id, customer_id="x", now=now())
        ]
    assert {*scheduler.run_now(office.bench.engine)} == {"globex"}
    office.host.save_sender("")
    office.set(SYSTEM, enabled=True)
    reports = scheduler.run_now(office.bench.engine)
    assert {name: one.due for name, one in reports.items()} == {
        "": 1, "acme": 1, "globex": 0, "initech": 1
    }  # fmt: skip


def test_a_preview_writes_nothing(one_office: Office) -> None:
    office = one_office
    office.have(3)
    report = scheduler.look(office.bench.engine, "acme")["acme"]
    assert report.due == 1
    assert not office.notices()
    assert not office.runs()
    assert not deliveries(office.host)


def test_one_scheduler_a_slot(office: Office) -> None:
    office.have(3)
    here = office.host.installation
    assert scheduler.run_slot(office.bench.engine, here) == 1
    assert scheduler.run_slot(office.bench.engine, here) == 0
    here.renewals_seen = None  # as another process
    assert scheduler.run_slot(office.bench.engine, here) == 0
    office.later += timedelta(seconds=scheduler.SLOT_SECONDS)
    with office.in_time():
        assert scheduler.run_slot(office.bench.engine, here) == 1
    reports = [Report.from_json(run.report) for run in office.runs()]
    assert [one.due for one in reports] == [1, 0]


def test_reports_of_nothing_do_not_pile_up(one_office: Office) -> None:
    office = one_office
    here = office.host.installation
    for _ in range(5):
        office.later += timedelta(seconds=scheduler.SLOT_SECONDS)
        with office.in_time():
            scheduler.run_slot(office.bench.engine, here)
    office.have(3)
    office.run()
    assert [run.eventful for run in office.runs()] == [True]
    office.later += 40 * DAY
    with office.in_time():
        scheduler.run_slot(office.bench.engine, here)
    assert [run.eventful for run in office.runs()] == [False]


def test_nothing_is_asked_while_reminders_are_off(one_office: Office) -> None:
    office = one_office
    office.set(enabled=False)
    office.host.host.expiring_services = handing_over(None)  # type: ignore[method-assign]
    assert scheduler.run_now(office.bench.engine) == {}
    assert scheduler.run_slot(office.bench.engine, office.host.installation) == 0
