"""A customer asks for a reminder: at once, too soon, or not at all, each with its own words."""

import threading
from collections.abc import Callable
from datetime import time, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

from smtp_admin.clock import now
from smtp_admin.database import transaction
from smtp_admin.renewals.on_demand import in_words
from smtp_admin.senders.models import Sender
from tests.app import ADMIN, CUSTOMER, HostApp
from tests.delivery.workbench import Workbench, deliveries
from tests.renewals.office import HOUR, Office
from tests.servers.scripted import Reply, ScriptedServer

URL = "/smtp-admin/renewals/remind-me"
JSON = {"Accept": "application/json"}


@pytest.fixture
def office(each: HostApp, bench_of: Callable[..., Workbench], server: ScriptedServer) -> Office:
    """On each database in turn, for a customer who is signed in."""
    each.actor = CUSTOMER
    return Office(each, bench_of(each), server)


@pytest.fixture
def one_office(host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer) -> Office:
    """On SQLite."""
    host_with_bench[0].actor = CUSTOMER
    return Office(*host_with_bench, server)


def ask(office: Office, **headers: str) -> TestResponse:
    """One click, as a script does."""
    with office.in_time():
        return office.host.client.post(URL, headers=JSON | headers)


def error(answer: TestResponse) -> dict[str, Any]:
    assert answer.json is not None
    found: dict[str, Any] = answer.json["error"]
    return found


def test_sent_at_once_then_refused_until_the_day_is_over(office: Office) -> None:
    office.have(3)
    answer = ask(office)
    assert answer.status_code == 202
    assert answer.json is not None
    assert answer.json["to"] == "c1@customer.example"
    assert answer.json["services"] == ["Hosting c1-0"]
    assert answer.json["next_in_seconds"] == 24 * 3600
    office.send()
    accepted_at = office.customer().last_at
    assert accepted_at is not None
    assert len(office.mails) == 1
    assert office.notices()[0].on_demand

    office.later = 23 * HOUR + timedelta(minutes=59, seconds=20)
    answer = ask(office)
    assert answer.status_code == 429
    assert error(answer)["code"] == "rate_limited"
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert "in 1 minute." in error(answer)["message"]
    office.later = 24 * HOUR + timedelta(seconds=5)
    assert ask(office).status_code == 202
    office.send()
    assert len(office.mails) == 2


def test_counts_towards_the_automatic_ones_and_they_towards_it(office: Office) -> None:
    office.have(6)
    office.run()
    office.send()
    office.later = 12 * HOUR
    answer = ask(office)
    assert answer.status_code == 429
    assert 11.9 * 3600 < int(answer.headers["Retry-After"]) <= 12 * 3600
    assert "in 12 hours." in error(answer)["message"]
    office.later = 30 * HOUR
    assert ask(office).status_code == 202
    office.send()
    office.later = 60 * HOUR
    assert office.run().skipped == {"too_soon": 1}
    office.later = 79 * HOUR
    assert office.run().due == 1


def test_two_clicks_at_once_are_one_mail(office: Office) -> None:
    office.have(3)
    together = threading.Barrier(6)
    answers: list[int] = []

    def click() -> None:
        client = office.host.app.test_client()
        together.wait()
        answers.append(client.post(URL, headers=JSON).status_code)

    threads = [threading.Thread(target=click) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [202, *[429] * 5]
    assert len(deliveries(office.host)) == len(office.notices()) == 1


def test_hammering_does_nothing(one_office: Office) -> None:
    office = one_office
    office.have(3)
    ask(office)
    before = (office.customer().version, len(deliveries(office.host)))
    for _ in range(30):
        assert ask(office).status_code == 429
    assert (office.customer().version, len(deliveries(office.host))) == before


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ("off", 409, "Reminders are switched off here."),
        ("nothing", 409, "None of your services expires soon"),
        ("nowhere", 409, "no valid e-mail address for you"),
        ("unsubscribed", 409, "You asked for no more reminders"),
        ("refused", 409, "refused our last reminder"),
        ("paused", 503, "cannot be sent right now"),
        ("template", 503, "cannot be sent right now"),
    ],
)
def test_each_refusal_has_its_own_words(
    one_office: Office, change: str, status: int, words: str
) -> None:
    office = one_office
    if change == "nowhere":
        office.have(3, customer_email="nobody")
    elif change == "template":
        office.have(3, service_name="=?x?=")
    elif change != "nothing":
        office.have(3)
    if change == "off":
        office.set(enabled=False)
    elif change == "unsubscribed":
        ask(office)
        office.send()
        office.unsubscribe()
        office.later = 30 * HOUR
    elif change == "refused":
        office.server.behave("rcpt", Reply("550 5.1.1 no such user"))
        ask(office)
        office.send()
        office.later = 30 * HOUR
    elif change == "paused":
        with transaction(office.bench.engine) as session:
            session.execute(update(Sender).values(paused_until=now() + HOUR, pauses=1))
    answer = ask(office)
    assert answer.status_code == status
    assert words in error(answer)["message"]


def test_services_of_two_partners_are_two_mails(one_office: Office) -> None:
    office = one_office
    office.have(3)
    office.have(4, partner_id="globex")
    office.host.save_sender("globex", port=office.server.port)
    office.set("globex", enabled=True)
    assert ask(office).status_code == 202
    assert {one.partner_id for one in office.notices()} == {"acme", "globex"}


def test_steps_and_quiet_hours_do_not_hold_up_who_asks(one_office: Office) -> None:
    office = one_office
    office.set(enabled=True, steps=(14, 1), quiet_from=time(0), quiet_to=time(23, 59))
    office.have(10)
    assert ask(office).status_code == 202


def test_somebody_elses_services_are_not_asked_for(one_office: Office) -> None:
    office = one_office
    office.have(3, customer_id="other")
    assert ask(office).status_code == 409
    office.host.actor = ADMIN
    assert ask(office).status_code == 403
    office.host.actor = None
    assert ask(office).status_code == 401


def test_the_page_without_scripts(one_office: Office) -> None:
    office = one_office
    office.have(3)
    client = office.host.client
    page = client.get(URL, headers={"Accept": "text/html"}).text
    assert "Send me a reminder now" in page
    assert "Hosting c1-0" in page
    done = client.post(URL, headers={"Accept": "text/html"}, follow_redirects=True)
    assert "A reminder is being sent to c1@customer.example." in done.text
    again = client.post(URL, headers={"Accept": "text/html"})
    assert again.status_code == 429
    assert again.headers["Retry-After"] == str(24 * 3600)
    assert "You can ask for the next one in 1 day." in again.text
    assert "<time datetime=" in again.text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 minute"), (60, "1 minute"), (61, "2 minutes"), (86399, "1 day"),
     (86340, "23 hours 59 minutes"), (3600, "1 hour"), (90061, "1 day 1 hour")],
)  # fmt: skip
def test_time_in_words(seconds: int, words: str) -> None:
    assert in_words(seconds) == words
