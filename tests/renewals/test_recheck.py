"""Just before a notice is sent: what was renewed, switched off or replaced meanwhile stays home."""

from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta

import pytest

from smtp_admin.clock import now
from smtp_admin.delivery import lanes
from smtp_admin.delivery.actions import retry
from smtp_admin.delivery.checks import NOT_NEEDED, register, still_wanted
from smtp_admin.delivery.claim import claim
from smtp_admin.delivery.record import give_back
from smtp_admin.host import ExpiringService, Host
from smtp_admin.senders.pauses import pause
from smtp_admin.senders.resolve import load_sender
from tests.app import ADMIN, HostApp, TestHost
from tests.delivery.workbench import Workbench, deliveries, queue, sender_row, step_in
from tests.renewals.office import DAY, HOUR, Office
from tests.servers.scripted import Reply, ScriptedServer


@pytest.fixture
def office(each: HostApp, bench_of: Callable[..., Workbench], server: ScriptedServer) -> Office:
    """On each database in turn, with one customer's notice on its way."""
    made = Office(each, bench_of(each), server)
    made.have(3, 5)
    return made


def check(office: Office) -> list[str]:
    """Claim what is due as the engine does, and ask; the recipients that are left."""
    with office.in_time():
        engine = office.bench.engine
        lane = lanes.acquire(engine, sender_row(office.host).id, "test")
        assert lane is not None
        batch = claim(engine, lane, 10)
        left = still_wanted(engine, lane, batch.deliveries) if batch else []
        give_back(engine, lane, [one.id for one in left])
        lanes.release(engine, lane)
        office.bench.tick()
    return [one.recipient for one in left]


def renew(office: Office, *numbers: int) -> None:
    """Let the customer renew these services for a year."""
    services: list[ExpiringService] = office.host.host.services
    for number in numbers:
        later = services[number].expires_at + 365 * DAY
        services[number] = replace(services[number], expires_at=later)


def test_what_still_holds_is_sent(office: Office) -> None:
    office.run()
    queue(office.host, "other@example.org")
    assert sorted(check(office)) == ["c1@customer.example", "other@example.org"]


def test_one_of_two_renewed_is_still_sent(office: Office) -> None:
    office.run()
    renew(office, 0)
    assert check(office) == ["c1@customer.example"]


def test_everything_renewed_is_not_sent_and_counts_for_nothing(office: Office) -> None:
    office.run()
    renew(office, 0, 1)
    assert check(office) == []
    (one,) = deliveries(office.host)
    assert (one.state, one.last_code, one.lease) == ("cancelled", NOT_NEEDED, None)
    assert "renewed or cancelled" in one.last_error
    office.have(4, customer_id="c1", service_name="bought since")
    assert office.run().due == 1


def test_everything_cancelled_is_not_sent(office: Office) -> None:
    office.run()
    office.host.host.services.clear()
    assert check(office) == []


@pytest.fixture
def one_office(host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer) -> Office:
    """On SQLite."""
    made = Office(*host_with_bench, server)
    made.have(3)
    return made


def test_switched_off_meanwhile(one_office: Office) -> None:
    one_office.run()
    one_office.set(enabled=False)
    assert check(one_office) == []


def test_unsubscribed_meanwhile(one_office: Office) -> None:
    one_office.run()
    one_office.unsubscribe()
    assert check(one_office) == []


def test_quiet_hours_began_meanwhile(one_office: Office) -> None:
    office = one_office
    office.run()
    begins = (now() - HOUR).time().replace(second=0, microsecond=0)
    ends = (now() + HOUR).time().replace(second=0, microsecond=0)
    office.set(enabled=True, quiet_from=begins, quiet_to=ends)
    assert check(office) == []
    assert office.run().skipped == {"quiet": 1}
    office.later = timedelta(hours=2)
    assert office.run().due == 1
    office.set(enabled=True, quiet_from=time(0), quiet_to=time(0))
    assert check(office) == ["c1@customer.example"]


def test_a_dead_notice_that_is_sent_again_must_be_the_newest(one_office: Office) -> None:
    office = one_office
    office.host.host.services.clear()
    office.have(7)
    office.server.behave("rcpt", Reply("550 5.7.1 not wanted"))
    office.run()
    office.send()
    first = office.notices()[0].mail_id
    office.server.behave("rcpt", None)
    office.later += 50 * HOUR
    assert office.run().due == 1
    session = office.host.db.session()
    retry(session, [first])
    session.commit()
    assert len(check(office)) == 1  # the new one only
    assert {one.state for one in deliveries(office.host)} == {"cancelled", "sent"}


def test_a_dead_notice_that_is_sent_again_blocks_the_next(one_office: Office) -> None:
    office = one_office
    office.server.behave("rcpt", Reply("550 5.1.1 no such user"))
    office.run()
    office.send()
    session = office.host.db.session()
    retry(session, [office.notices()[0].mail_id])
    session.commit()
    with office.in_time():
        engine = office.bench.engine
        lane = lanes.acquire(engine, sender_row(office.host).id, "test")
        assert lane is not None
        batch = claim(engine, lane, 10)
        assert batch is not None
        assert len(still_wanted(engine, lane, batch.deliveries)) == 1
    office.later += 49 * HOUR
    assert office.run().skipped == {"waiting": 1}


def test_a_host_that_fails_holds_no_mail_up(
    one_office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    office = one_office
    office.run()

    def failing(customer_id: str) -> list[ExpiringService]:
        raise RuntimeError("the host's own mistake")

    monkeypatch.setattr(office.host.host, "customer_services", failing)
    assert check(office) == ["c1@customer.example"]
    assert "customer_services() of the app's own Host raised" in caplog.text


def test_a_host_that_does_not_tell_is_not_taken_for_one_that_denies(
    one_office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = one_office
    office.run()
    monkeypatch.setattr(TestHost, "customer_services", Host.customer_services)
    assert check(office) == ["c1@customer.example"]


def test_a_lost_lease_changes_nothing(one_office: Office) -> None:
    office = one_office
    register(office.host.installation, "message", lambda _, ours: {one.id: "no" for one in ours})
    queue(office.host)
    engine = office.bench.engine
    lane = lanes.acquire(engine, sender_row(office.host).id, "test")
    assert lane is not None
    batch = claim(engine, lane, 10)
    assert batch is not None
    assert still_wanted(engine, replace(lane, lease="another"), batch.deliveries) == []
    assert deliveries(office.host)[-1].state == "sending"


def test_the_archive_gets_what_the_customer_gets(office: Office) -> None:
    """Its copy counts for nothing, whatever becomes of it, and brings no notice back to life."""
    office.host.save_sender(port=office.server.port, archive_to="archive@acme.example")
    office.server.behave("rcpt", [None, Reply("450 4.2.0 Mailbox busy"), None])
    office.run()
    office.send()
    states = {one.archive: one.state for one in deliveries(office.host)}
    assert states == {False: "sent", True: "queued"}
    (notice,) = office.notices()
    assert notice.state == "accepted"
    version = office.customer().version
    office.later += HOUR
    office.send()
    assert {one.state for one in deliveries(office.host)} == {"sent"}
    (notice,) = office.notices()
    assert (notice.state, office.customer().version) == ("accepted", version)


def test_the_archive_gets_no_notice_that_stays_home(office: Office) -> None:
    office.host.save_sender(port=office.server.port, archive_to="archive@acme.example")
    office.run()
    renew(office, 0, 1)
    assert check(office) == []
    assert {one.state for one in deliveries(office.host)} == {"cancelled"}


def test_a_notice_is_settled_also_where_another_sender_took_over_its_customer(
    office: Office,
) -> None:
    """The archive has its copy from the first sender, whose bytes stay with it."""
    port = office.server.port
    office.host.save_sender("", port=port)
    office.host.save_sender(port=port, archive_to="a@acme.example", fallbacks=("system",))
    office.server.behave("rcpt", [Reply("450 4.2.0 Mailbox busy"), None])
    office.run()
    office.send()
    assert [one.state for one in deliveries(office.host)] == ["queued", "sent"]
    (notice,) = office.notices()
    assert notice.state == "waiting"
    office.later += HOUR
    session = office.host.db.session()
    with office.in_time():
        pause(session, load_sender(session, "acme"), ADMIN)
        session.commit()
        assert step_in(office.host) == 1
    office.send()
    assert [one.state for one in deliveries(office.host)] == ["sent", "sent"]
    (notice,) = office.notices()
    assert notice.state == "accepted"
    assert {one["From"].addresses[0].addr_spec for one in office.mails} == {
        "noreply@acme.example",
        "noreply@platform.example",
    }
