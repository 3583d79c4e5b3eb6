"""No more mails in an hour than the sender may send, however many workers there are."""

import time
from collections import Counter as Tally
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from smtp_admin.database import database_now, transaction
from smtp_admin.delivery import lanes
from smtp_admin.delivery.claim import Batch, _turn, claim
from smtp_admin.delivery.engine import work_lane
from smtp_admin.delivery.models import Delivery
from smtp_admin.senders.models import Sender
from tests.app import HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import Workbench, deliveries, queue, sender_row
from tests.servers.scripted import Reply, ScriptedServer

MakeBench = Callable[..., Workbench]


def work_with_eight_threads(host: HostApp, bench: Workbench) -> None:
    sender_id = sender_row(host).id
    host.db.session.rollback()

    def send() -> None:
        with host.app.app_context():
            for _ in range(3):
                work_lane(bench.context(), sender_id)

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(send) for _ in range(8)]:
            done.result()


def urgent(host: HostApp, *recipients: str) -> None:
    reset = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}
    for recipient in recipients:
        host.plugin.send("password_reset", to=recipient, partner_id="acme", context=reset)
    host.db.session.commit()


def test_eight_threads_together_send_exactly_the_limit(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    """A tenth of it is kept for urgent mail, which may use all of it."""
    each.save_sender(port=server.port, max_per_hour=40, max_connections=8)
    queue(each, *(f"r{number}@example.org" for number in range(100)))
    bench = bench_of(each)
    work_with_eight_threads(each, bench)
    assert len(server.messages) == 36
    urgent(each, *(f"u{number}@example.org" for number in range(10)))
    work_with_eight_threads(each, bench)
    assert len(server.messages) == 40
    assert Tally(one.state for one in deliveries(each)) == {"sent": 40, "queued": 70}
    bench.tick(timedelta(minutes=59))
    assert len(server.messages) == 40
    bench.tick(timedelta(minutes=61))
    assert len(server.messages) == 76
    assert all(one.attempts == 0 for one in deliveries(each))


@pytest.mark.parametrize("limit", [1, 2, 5, 10, 11])
def test_ordinary_mail_goes_out_at_any_limit(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer, limit: int
) -> None:
    """A reserve for urgent mail must leave something for the rest."""
    host, bench = host_with_bench
    host.save_sender(port=server.port, max_per_hour=limit)
    queue(host, *(f"r{number}@example.org" for number in range(20)))
    bench.tick()
    assert 1 <= len(server.messages) <= limit


def test_what_was_refused_does_not_count(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    host.save_sender(port=server.port, max_per_hour=10)
    server.behave("rcpt", [*[Reply("550 5.1.1 no")] * 5, None])
    queue(host, *(f"r{number}@example.org" for number in range(20)))
    for _ in range(5):
        bench.tick()
    assert len(server.messages) == 9


def test_a_lower_limit_holds_at_once(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    host.save_sender(port=server.port, max_per_hour=20)
    queue(host, *(f"r{number}@example.org" for number in range(10)))
    bench.tick()
    host.save_sender(port=server.port, max_per_hour=10)
    urgent(host, "u@example.org")
    bench.tick()
    assert len(server.messages) == 10
    host.save_sender(port=server.port, max_per_hour=None)
    bench.tick()
    assert len(server.messages) == 11


def test_the_limits_of_two_senders_are_their_own(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    for partner_id, limit in (("acme", 10), ("globex", 20)):
        host.save_sender(partner_id, port=server.port, max_per_hour=limit)
        names = [f"{partner_id}{number}@example.org" for number in range(30)]
        queue(host, *names, partner_id=partner_id)
    bench.tick()
    sent = Tally(one.partner_id for one in deliveries(host) if one.state == "sent")
    assert sent == {"acme": 9, "globex": 18}


def test_losing_redis_breaks_no_limit(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    host.save_sender(port=server.port, max_per_hour=10)
    queue(host, *(f"r{number}@example.org" for number in range(30)))
    bench.tick()
    bench.redis.flushall()
    bench.tick()
    assert len(server.messages) == 9


def test_a_claim_that_waited_for_the_lock_still_knows_the_time(
    opened: NewHost, shared_database: str, bench_of: MakeBench
) -> None:
    """Else results would be dated back, and leave the limit's window before their time."""
    host = opened(uri=shared_database)
    host.save_sender()
    queue(host, "a@example.org")
    bench = bench_of(host)
    lane = lanes.acquire(bench.engine, sender_row(host).id, "test")
    assert lane is not None
    host.db.session.rollback()
    with ThreadPoolExecutor(1) as threads:
        with transaction(bench.engine) as session:
            session.execute(select(Sender.id).with_for_update()).all()
            claiming = threads.submit(claim, bench.engine, lane, 1)
            time.sleep(1.0)
        batch = claiming.result()
    assert batch is not None
    with transaction(bench.engine) as session:
        late = database_now(session) - batch.now()
    assert late < timedelta(seconds=0.5)


def test_a_claim_that_waited_for_another_counts_what_that_one_took(
    opened: NewHost,
    shared_database: str,
    bench_of: MakeBench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the database's own default is that a transaction sees what was when it began."""
    host = opened(uri=shared_database)
    stricter = {
        "postgresql": "ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'",
        "mysql": "SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    }[host.db.engine.dialect.name]
    host.db.session.execute(text(stricter.format(host.db.engine.url.database)))
    host.db.session.commit()
    host.save_sender("", max_per_hour=1, max_connections=2)
    queue(host, "a@example.org", partner_id="acme")
    queue(host, "g@example.org", partner_id="globex")
    bench = bench_of(host)
    sender_id = sender_row(host, "").id
    first, second = (lanes.acquire(bench.engine, sender_id, "test") for _ in range(2))
    assert first is not None
    assert second is not None
    # Another worker, in which it is another partner's turn.
    monkeypatch.setitem(_turn, sender_id, "acme")
    host.db.session.rollback()

    def take() -> Batch | None:
        with host.app.app_context():
            return claim(bench.engine, second, 1)

    with ThreadPoolExecutor(1) as threads:
        with transaction(bench.engine) as session:
            session.execute(select(Sender.id).with_for_update()).all()
            claiming = threads.submit(take)
            time.sleep(1.0)
            session.execute(
                update(Delivery)
                .where(Delivery.partner_id == "acme")
                .values(state="sending", lease=first.lease)
            )
        assert claiming.result() is None
