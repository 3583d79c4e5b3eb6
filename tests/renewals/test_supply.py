"""A host's mistakes, in every place that asks it: named, and nobody else's loss."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any

import pytest
from flask import render_template_string
from sqlalchemy import text

from smtp_admin.clock import now
from smtp_admin.host import ExpiringService
from smtp_admin.renewals import calendar, scheduler
from smtp_admin.renewals.values import RenewalValues
from tests.app import CUSTOMER, HostApp
from tests.delivery.workbench import Workbench, deliveries
from tests.renewals.office import Office
from tests.renewals.things import a_service
from tests.servers.databases import PostgreSQL
from tests.servers.scripted import ScriptedServer

BASE = "/smtp-admin/renewals"
HTML, JSON = {"Accept": "text/html"}, {"Accept": "application/json"}


@pytest.fixture
def office(host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer) -> Office:
    """Acme with reminders on."""
    return Office(*host_with_bench, server)


def raising(_: object) -> Any:
    """As ``int(customer_id)`` does with what somebody typed."""
    raise ValueError("secret words")


def nothing(_: object) -> Any:
    """Forgot to return."""
    return None


@pytest.mark.parametrize("customer_services", [raising, nothing])
def test_a_host_that_fails_for_one_customer_is_named_to_who_can_mend_it(
    office: Office, customer_services: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office.host.host, "customer_services", customer_services)
    for path in ("preview?customer=abc", "preview/mail?customer=%00"):
        answer = office.host.client.get(f"{BASE}/partners/acme/{path}", headers=HTML)
        assert answer.status_code == 503
        assert "The app&#39;s customer_services() failed with" in answer.text
        assert "secret words" not in answer.text
    command = ["smtp-admin", "renewals", "preview", "--partner", "acme", "--customer", "abc"]
    result = office.host.app.test_cli_runner().invoke(args=command)
    assert result.exit_code == 1
    assert "The app's customer_services() failed with" in result.output


def test_a_customer_whose_services_cannot_be_looked_up_is_told_so(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = """
    {% from "smtp_admin/renewals/macros.html" import remind_me %}<main>{{ remind_me() }}</main>
    """
    office.host.app.add_url_rule("/mine", "mine", lambda: render_template_string(template))
    monkeypatch.setattr(office.host.host, "customer_services", raising)
    office.host.actor = CUSTOMER
    client = office.host.client
    page = client.get(f"{BASE}/remind-me", headers=HTML)
    assert (page.status_code, "cannot be loaded right now" in page.text) == (200, True)
    assert "None of your services" not in page.text
    for accept in (HTML, JSON):
        answer = client.post(f"{BASE}/remind-me", headers=accept)
        assert answer.status_code == 503
        assert "Reminders cannot be sent right now." in answer.text
        assert "customer_services" not in answer.text
    embedded = client.get("/mine")
    assert (embedded.status_code, "cannot be sent right now" in embedded.text) == (200, True)


def test_a_customer_id_that_is_a_number_is_taken_as_text(office: Office) -> None:
    office.have(3, customer_id="42")
    office.host.actor = replace(CUSTOMER, customer_id=42)  # type: ignore[arg-type]  # on purpose
    answer = office.host.client.post(f"{BASE}/remind-me", headers=JSON)
    assert answer.status_code == 202


def test_what_belongs_to_another_customer_is_not_sent(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        office.host.host, "customer_services",
        lambda _: [a_service(3, customer_id="other", now=now())],
    )  # fmt: skip
    office.host.actor = CUSTOMER
    assert office.host.client.post(f"{BASE}/remind-me", headers=JSON).status_code == 409
    assert deliveries(office.host) == []


def test_what_is_known_of_others_is_not_lost_with_one_that_fails(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.have(3)
    office.have(3, customer_id="gone")
    office.have(3, customer_id="odd")
    office.run()
    office.unsubscribe("gone")

    def customer_services(customer_id: str) -> list[ExpiringService]:
        if customer_id == "odd":
            raise RuntimeError
        return [one for one in office.host.host.services if one.customer_id == customer_id]

    monkeypatch.setattr(office.host.host, "customer_services", customer_services)
    office.send()
    assert sorted(mail["To"] for mail in office.mails) == [
        "c1@customer.example", "odd@customer.example",
    ]  # fmt: skip


def test_a_record_that_cannot_be_used_is_no_sign_of_a_renewal(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    office.have(3)
    office.run()
    naive = [replace(one, expires_at=one.expires_at.replace(tzinfo=None))
             for one in office.host.host.services]  # fmt: skip
    monkeypatch.setattr(office.host.host, "customer_services", lambda _: naive)
    office.send()
    assert len(office.mails) == 1
    assert "expires_at is not a time with a time zone" in caplog.text


def test_services_in_no_order_are_one_mail_with_all_of_them(office: Office) -> None:
    for day in range(1, 5):
        for customer in ("a", "b"):
            office.host.host.services.append(
                a_service(day, customer_id=customer, service_id=f"{customer}{day}", now=now())
            )
    report = office.run()
    assert (report.due, report.customers, report.services) == (2, 2, 8)
    assert report.skipped == {}
    (problem,) = report.problems
    assert "does not order by customer" in problem
    office.send()
    for mail in office.mails:
        assert mail["Subject"] == "4 of your services expire soon"
    found = calendar.look_ahead(office.host.db.engine, "acme", RenewalValues(enabled=True))
    assert found.customers == 2


class _NoOffset(tzinfo):
    """A zone that does not know itself."""

    def utcoffset(self, _: datetime | None) -> None:
        """None."""

    def dst(self, _: datetime | None) -> None:
        """None."""

    def tzname(self, _: datetime | None) -> str:
        return "?"


class _Price:
    """Raises when it is looked at, as a row of a closed session does."""

    def __str__(self) -> str:
        raise RuntimeError


def test_records_that_raise_when_they_are_looked_at_stop_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = a_service(3, now=now())
    bad = [replace(good, expires_at=good.expires_at.replace(tzinfo=_NoOffset())),
           replace(good, price=_Price())]  # type: ignore[arg-type]  # on purpose  # fmt: skip
    monkeypatch.setattr(office.host.host, "expiring_services", lambda *_: [*bad, good])
    report = office.run()
    assert (report.due, report.broken) == (1, 2)
    assert "not a time with a time zone" in report.problems[0]
    assert "failed with RuntimeError" in report.problems[1]


@pytest.mark.parametrize(
    "name", ["Web\x00site", "\x1b[31mWeb", "Web\r\nBcc: a@b.example", "L" * 999]
)
def test_odd_names_cost_nobody_a_notice(office: Office, name: str) -> None:
    office.have(3, service_name=name, customer_name=name)
    assert office.run().due == 1
    office.send()
    (mail,) = office.mails
    assert len(mail["Subject"]) < 250
    assert mail["Bcc"] is None
    assert "\nBcc" not in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_a_slow_host_does_not_hold_up_the_calendar(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def expiring_services(until: datetime, partner_id: str) -> Iterator[ExpiringService]:
        for number in range(90):
            asked.append(number)
            yield a_service(3, customer_id=f"c{number}", now=now())

    monkeypatch.setattr(office.host.host, "expiring_services", expiring_services)
    monkeypatch.setattr(calendar, "_SECONDS", 0.0)
    found = calendar.look_ahead(office.host.db.engine, "acme", RenewalValues(enabled=True))
    assert (found.complete, found.customers, len(asked)) == (False, 1, 2)


def test_partners_that_cannot_be_listed_are_named(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.set("", enabled=True)

    def partners() -> Any:
        raise RuntimeError("secret words")

    monkeypatch.setattr(office.host.host, "partners", partners)
    result = office.host.app.test_cli_runner().invoke(args=["smtp-admin", "renewals", "run"])
    assert result.exit_code == 1
    assert "The app's partners() failed with RuntimeError." in result.output
    assert "secret words" not in result.output


def test_a_query_that_fails_for_one_partner_is_not_the_next_ones(
    opened: Callable[..., HostApp], bench_of: Callable[..., Workbench], postgresql: PostgreSQL,
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    host = opened(uri=postgresql.create_database())
    office = Office(host, bench_of(host), server)
    host.save_sender("globex", port=server.port)
    office.set("globex", enabled=True)

    def expiring_services(until: datetime, partner_id: str) -> list[ExpiringService]:
        # In the app's own session, which PostgreSQL keeps failing after the first failure.
        host.db.session.execute(text("select 1/0" if partner_id == "acme" else "select 1"))
        return [a_service(3, partner_id=partner_id, now=now())]

    monkeypatch.setattr(host.host, "expiring_services", expiring_services)
    reports = scheduler.run_now(office.bench.engine)
    assert "failed with DataError" in reports["acme"].ended
    assert reports["globex"].due == 1
