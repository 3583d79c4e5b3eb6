"""Claiming, sending and recording: what every reply of a mail server leads to."""

import threading
import time
from collections import Counter as Tally
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, select, update

from smtp_admin import signals
from smtp_admin.clock import now
from smtp_admin.database import host_engine, transaction, worker_engine
from smtp_admin.delivery import engine, lanes, leases
from smtp_admin.delivery.claim import claim
from smtp_admin.delivery.engine import work_lane
from smtp_admin.delivery.maintenance.expire import expire
from smtp_admin.delivery.maintenance.rescue import rescue
from smtp_admin.delivery.maintenance.settle_unknown import settle_unknown
from smtp_admin.delivery.models import Counter, Delivery, Message
from smtp_admin.delivery.queries import summary
from smtp_admin.delivery.record import Result, _count, give_back, record
from smtp_admin.delivery.retry import Decision
from smtp_admin.delivery.sensitive import erase_sensitive
from smtp_admin.senders.models import Sender
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict
from tests.app import HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import (
    Workbench,
    attempts,
    deliveries,
    letter,
    queue,
    row_of,
    sender_row,
)
from tests.patience import SECONDS
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import Close, Reply, ScriptedServer, Session
from tests.worker.running import until

MakeBench = Callable[..., Workbench]


def test_eight_threads_send_each_of_five_hundred_once(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    each.save_sender(port=server.port, max_connections=8)
    everybody = [f"r{number}@example.org" for number in range(500)]
    each.plugin.send_message(letter(*everybody[:1], bcc=everybody[1:]), partner_id="acme")
    each.db.session.commit()
    bench = bench_of(each)
    sender_id = sender_row(each).id
    each.db.session.rollback()

    def send() -> None:
        with each.app.app_context():
            work_lane(bench.context(), sender_id)

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(send) for _ in range(8)]:
            done.result()
    bench.tick()
    reached = [one for message in server.messages for one in message.recipients]
    assert sorted(reached) == sorted(everybody)
    assert Tally(one.state for one in deliveries(each)) == {"sent": 500}
    assert server.connections > 1


def test_a_claim_takes_no_more_than_it_was_asked_for(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    """PostgreSQL may run a limited subquery of an UPDATE again for every row it updates."""
    each.save_sender(port=server.port)
    queue(each, *(f"r{number}@example.org" for number in range(300)))
    bench = bench_of(each)
    lane = lanes.acquire(bench.engine, sender_row(each).id, "me")
    assert lane is not None
    for _ in range(3):
        batch = claim(bench.engine, lane, 10)
        assert batch is not None
        assert len(batch.deliveries) == 10
    assert Tally(one.state for one in deliveries(each)) == {"sending": 30, "queued": 270}


def test_no_transaction_is_open_while_a_server_is_talked_to(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    each.save_sender(port=server.port)
    queue(each, "a@example.org", "b@example.org")
    bench = bench_of(each)
    open_ones: list[int] = []
    depth = 0

    def count(step: int) -> Callable[[object], None]:
        def happened(_connection: object) -> None:
            nonlocal depth
            depth += step

        return happened

    for name, step in (("begin", 1), ("commit", -1), ("rollback", -1)):
        event.listen(bench.engine, name, count(step))

    def look(server: ScriptedServer, session: Session, line: str) -> None:
        open_ones.append(depth)

    server.behave("mail", look)
    server.behave("dot", look)
    bench.work()
    assert open_ones == [0] * 4


def test_three_retries_are_four_sends(
    opened: NewHost, database: str, server: ScriptedServer, bench_of: MakeBench
) -> None:
    host = opened(uri=database, RETRY_ATTEMPTS=3, RETRY_DELAY=30, RETRY_FACTOR=4)
    host.save_sender(port=server.port)
    queue(host, "grey@example.org")
    bench = bench_of(host)
    server.behave("rcpt", Reply("451 4.7.1 Greylisted"))
    due = timedelta()
    for number, wait in enumerate((30, 120, 480), 1):
        bench.tick(due)
        (one,) = deliveries(host)
        assert (one.state, one.attempts) == ("queued", number)
        bench.tick(due + timedelta(seconds=wait - 5))
        assert server.occurrences("rcpt") == number
        due += timedelta(seconds=wait + 1)
    bench.tick(due)
    (one,) = deliveries(host)
    assert (one.state, one.attempts, server.occurrences("rcpt")) == ("dead", 4, 4)
    assert one.last_reply == "451 4.7.1 Greylisted"
    assert [each.verdict for each in attempts(host)] == ["temporary"] * 4
    bench.tick(due + timedelta(days=2))
    assert server.occurrences("rcpt") == 4


def test_a_permanent_refusal_is_final_for_that_recipient_alone(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    each.save_sender(port=server.port)
    server.behave("rcpt", [None, Reply("550 5.1.1 No such user"), None])
    queue(each, "a@example.org", "gone@example.org", "c@example.org")
    reasons: list[str] = []

    def heard(_app: object, *, reason: str, recipient: str, **_more: object) -> None:
        reasons.append(f"{recipient}: {reason}")

    with signals.delivery_dead.connected_to(heard):
        bench_of(each).tick()
    states = {one.recipient: (one.state, one.attempts) for one in deliveries(each)}
    assert states == {
        "a@example.org": ("sent", 0),
        "gone@example.org": ("dead", 1),
        "c@example.org": ("sent", 0),
    }
    assert reasons == ["gone@example.org: The server refused the recipient."]
    assert sender_row(each).paused_until is None


@pytest.mark.parametrize(
    ("stage", "text"),
    [("mail", "550 5.7.1 Go away"), ("rcpt", "553 5.1.2 No"), ("dot", "554 5.6.0 Looks bad")],
)
def test_a_permanent_refusal_is_not_tried_again(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer, stage: str, text: str
) -> None:
    host, bench = host_with_bench
    server.behave(stage, Reply(text))  # type: ignore[arg-type]  # one of the server's stages
    queue(host)
    bench.tick()
    bench.tick(timedelta(days=1))
    (one,) = deliveries(host)
    assert (one.state, one.attempts) == ("dead", 1)
    assert server.occurrences("mail") == 1


def test_mail_that_is_too_old_is_not_sent(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    each.save_sender(port=server.port)
    queue(each, "late@example.org", expires_at=now() + timedelta(minutes=5))
    queue(each, "fresh@example.org", expires_at=now() + timedelta(minutes=50))
    bench_of(each).tick(timedelta(minutes=10))
    assert [one.state for one in deliveries(each)] == ["expired", "sent"]
    assert [message.recipients for message in server.messages] == [["fresh@example.org"]]


def test_mail_for_later_waits(each: HostApp, server: ScriptedServer, bench_of: MakeBench) -> None:
    each.save_sender(port=server.port)
    queue(each, send_at=now() + timedelta(hours=2))
    bench = bench_of(each)
    bench.tick(timedelta(hours=1))
    assert not server.messages
    bench.tick(timedelta(hours=2, minutes=1))
    assert len(server.messages) == 1


def test_urgent_mail_overtakes(each: HostApp, server: ScriptedServer, bench_of: MakeBench) -> None:
    each.save_sender(port=server.port)
    context = {"services": [], "name": "Sam", "balance": "1", "currency": "EUR"}
    each.plugin.send("renewal", to="bulk@example.org", partner_id="acme", context=context)
    queue(each, *(f"normal@{number}.example" for number in range(40)))
    reset = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}
    each.plugin.send("password_reset", to="urgent@example.org", partner_id="acme", context=reset)
    each.db.session.commit()
    bench_of(each).tick()
    order = [message.recipients[0].partition("@")[0] for message in server.messages]
    assert order == ["urgent", *["normal"] * 40, "bulk"]


def test_a_worker_that_lost_its_lease_writes_nothing(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    """It was stopped for longer than the lease, and wakes up with results in its hand.

    One of its mails is uncertain by then, the other one another worker's.
    """
    each.save_sender(port=server.port)
    queue(each, "a@example.org", "b@example.org")
    bench = bench_of(each)
    lane = lanes.acquire(bench.engine, sender_row(each).id, "stale")
    assert lane is not None
    batch = claim(bench.engine, lane, 50)
    assert batch is not None
    first, second = batch.deliveries
    bench.redis.rpush(f"smtp_admin:journal:{lane.lease}", f"b:{first.id},{second.id}")
    bench.lose_lease()
    rescue(bench.engine, bench.redis)
    successor = lanes.acquire(bench.engine, sender_row(each).id, "successor")
    assert successor is not None
    taken = claim(bench.engine, successor, 50)
    assert taken is not None
    assert [one.id for one in taken.deliveries] == [second.id]
    before = [(one.state, one.attempts, one.next_attempt_at) for one in deliveries(each)]
    late = [
        Result(first, Outcome(Verdict.RELEASED, SenderHealth.DOWN, "x", code="timeout")),
        Result(second, Outcome(Verdict.ACCEPTED)),
    ]
    config = each.installation.config
    for results in (late, late[:1], late[1:]):
        written = record(bench.engine, lane, results, config=config, revision=1, worker="stale")
        assert written.entries == []
    after = [(one.state, one.attempts, one.next_attempt_at) for one in deliveries(each)]
    assert after == before
    assert attempts(each) == []
    assert each.db.session.scalars(select(Counter)).all() == []
    assert sender_row(each).paused_until is None
    assert sender_row(each).last_accepted_at is None
    assert claim(bench.engine, lane, 50) is None


def test_the_numbers_are_right(each: HostApp, server: ScriptedServer, bench_of: MakeBench) -> None:
    for partner_id in ("acme", "globex"):
        each.save_sender(partner_id, port=server.port)
    server.behave("rcpt", [None, None, Reply("550 5.1.1 no"), Reply("450 4.2.0 busy"), None])
    queue(each, *(f"{name}@example.org" for name in "abcd"))
    queue(each, partner_id="globex")
    queue(each, "later@example.org", send_at=now() + timedelta(hours=1))
    bench_of(each).tick()
    session = each.db.session()
    acme = summary(session, "acme", sender_row(each).id)
    assert (acme.pending, acme.sending, acme.dead, acme.uncertain) == (2, 0, 1, 0)
    assert (acme.sent, acme.sent_24h, acme.sent_this_hour, acme.failed_24h) == (2, 2, 2, 2)
    assert acme.average_seconds is not None
    assert 0 <= acme.average_seconds < 30
    assert acme.oldest_pending_seconds is not None
    assert acme.hourly[-1] == (2, 2)
    assert sum(map(sum, acme.hourly)) == 4
    everybody = summary(session, None)
    assert (everybody.sent, everybody.sent_this_hour, everybody.pending) == (3, 3, 2)
    assert sender_row(each).last_accepted_at is not None
    counted = session.scalars(select(Counter).where(Counter.partner_id == "acme")).all()
    assert [sum(getattr(row, name) for row in counted) for name in ("sent", "failed", "dead")] == [
        2,
        2,
        1,
    ]


def test_sensitive_text_is_kept_while_somebody_still_needs_it(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    each.save_sender(port=server.port)
    reset = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}
    public_id = each.plugin.send(
        "password_reset", to=["a@example.org", "b@example.org"], partner_id="acme", context=reset
    )
    each.db.session.commit()
    server.behave("rcpt", [None, Reply("450 4.2.0 busy"), None])
    bench = bench_of(each)
    bench.tick()
    assert b"x.example" in row_of(each, public_id).content
    bench.tick(timedelta(minutes=1))
    assert [one.state for one in deliveries(each)] == ["sent", "sent"]
    assert row_of(each, public_id).content == b""
    assert b"x.example" in server.messages[1].data


def test_an_open_transaction_of_the_host_holds_nobody_up(
    opened: NewHost, shared_database: str, server: ScriptedServer, bench_of: MakeBench
) -> None:
    """A host that queues a mail and then works on for minutes must not stop its sender.

    A new delivery refers to its sender, and that locks the sender's row until the host commits.
    """
    host = opened(uri=shared_database)
    host.save_sender(port=server.port)
    queue(host, "waiting@example.org")
    bench = bench_of(host)
    sender_id = sender_row(host).id
    host.plugin.send_message(letter("undecided@example.org"), partner_id="acme")

    def send() -> None:
        with host.app.app_context():
            work_lane(bench.context(), sender_id)

    with ThreadPoolExecutor(1) as threads:
        working = threads.submit(send)
        try:
            working.result(timeout=SECONDS)
        except TimeoutError:
            pytest.fail("The sender waits for the host's transaction.")
        finally:
            host.db.session.rollback()
    assert [message.recipients for message in server.messages] == [["waiting@example.org"]]


def test_what_a_person_has_begun_to_change_holds_up_no_other_mail(
    opened: NewHost, shared_database: str, bench_of: MakeBench
) -> None:
    """A host that cancels or tries again commits when it likes; the clock goes on."""
    host = opened(uri=shared_database)
    host.save_sender()
    old = [queue(host, f"old{number}@example.org") for number in range(2)]
    unknown = [queue(host, f"unknown{number}@example.org") for number in range(2)]
    session = host.db.session()
    for ids, values in (
        (old, {"expires_at": now() - timedelta(minutes=1)}),
        (unknown, {"state": "uncertain", "uncertains": 1, "finished_at": now()}),
    ):
        mine = select(Message.id).where(Message.public_id.in_(ids)).scalar_subquery()
        session.execute(
            update(Delivery)
            .where(Delivery.message_pk.in_(mine))
            .values(**values)
            .execution_options(synchronize_session=False)
        )
    session.commit()
    bench = bench_of(host)
    host.plugin.cancel(old[0])
    host.plugin.retry(unknown[0])

    def tick() -> tuple[int, int]:
        with host.app.app_context():
            return expire(bench.engine), settle_unknown(host.app, bench.engine)

    with ThreadPoolExecutor(1) as threads:
        ticking = threads.submit(tick)
        try:
            assert ticking.result(timeout=SECONDS) == (1, 1)
        except TimeoutError:
            pytest.fail("The clock waits for the host's transaction.")
        finally:
            session.commit()
    states = {one.recipient.partition("@")[0]: one.state for one in deliveries(host)}
    assert states == {
        "old0": "cancelled",
        "old1": "expired",
        "unknown0": "queued",
        "unknown1": "queued",
    }


def test_a_host_that_cancels_the_rest_of_a_mail_holds_up_no_result(
    opened: NewHost, shared_database: str, bench_of: MakeBench
) -> None:
    """It commits when it likes; what is under way is none of its business."""
    host = opened(uri=shared_database)
    host.save_sender()
    public_id = queue(host, "a@example.org", "b@example.org")
    bench = bench_of(host)
    lane = lanes.acquire(bench.engine, sender_row(host).id, "bench")
    assert lane is not None
    batch = claim(bench.engine, lane, 1)
    assert batch is not None
    host.db.session.rollback()
    assert host.plugin.cancel(public_id) == 1
    results = [Result(batch.deliveries[0], Outcome(Verdict.ACCEPTED))]
    config = host.installation.config
    with ThreadPoolExecutor(1) as threads:
        recording = threads.submit(
            record, bench.engine, lane, results, config=config, revision=1, worker="bench"
        )
        try:
            recording.result(timeout=SECONDS)
        except TimeoutError:
            pytest.fail("The result waits for the host's transaction.")
        finally:
            host.db.session.commit()
    assert [one.state for one in deliveries(host)] == ["sent", "cancelled"]


def test_a_receiver_that_fails_holds_up_no_mail(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    each.save_sender(port=server.port)
    queue(each, "a@example.org")
    bench = bench_of(each)

    def fail(_app: object, **_about: object) -> None:
        raise RuntimeError("the host's mistake")

    server.behave("rcpt", [None, Reply("550 5.1.1 no"), None])
    with signals.delivery_sent.connected_to(fail), signals.delivery_dead.connected_to(fail):
        bench.work()
        queue(each, "b@example.org")
        bench.work()
        queue(each, "c@example.org")
        bench.work()
    assert [one.state for one in deliveries(each)] == ["sent", "dead", "sent"]


def test_what_a_receiver_leaves_open_holds_up_no_mail(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    """Like a request's, the host's session ends with the signal."""
    each.save_sender(port=server.port)
    queue(each, "a@example.org")
    bench = bench_of(each)
    sessions = []

    def leave_open(_app: object, **_about: object) -> None:
        session = each.db.session()
        session.execute(update(Counter).values(dead=7))
        sessions.append(session)

    began = time.monotonic()
    with signals.delivery_sent.connected_to(leave_open):
        bench.work()
    assert time.monotonic() - began < 20, "a worker waits half a minute for a lock"
    assert [one.in_transaction() for one in sessions] == [False]
    assert [one.state for one in deliveries(each)] == ["sent"]


def test_only_so_many_bytes_are_held_at_once(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    each.save_sender(port=server.port)
    for number in range(5):
        message = letter(f"r{number}@example.org", body="A long letter.\n" * 100_000)
        each.plugin.send_message(message, partner_id="acme")
    each.db.session.commit()
    bench = bench_of(each)
    lane = lanes.acquire(bench.engine, sender_row(each).id, "bench")
    assert lane is not None
    # Nobody knows this server; it may be one of many that say nothing.
    batch = claim(bench.engine, lane, 50)
    assert batch is not None
    assert [one.recipient for one in batch.deliveries] == ["r0@example.org"]
    give_back(bench.engine, lane, [one.id for one in batch.deliveries])
    with transaction(bench.engine) as session:
        session.execute(update(Sender).values(last_accepted_at=now()))
    batch = claim(bench.engine, lane, 50)
    assert batch is not None
    assert [one.recipient for one in batch.deliveries] == ["r0@example.org", "r1@example.org"]
    assert [one.state for one in deliveries(each)] == ["sending"] * 2 + ["queued"] * 3
    assert [one.lease for one in deliveries(each)] == [lane.lease] * 2 + [None] * 3
    give_back(bench.engine, lane, [one.id for one in batch.deliveries])
    lanes.release(bench.engine, lane)
    bench.work()
    assert {one.state for one in deliveries(each)} == {"sent"}
    assert len(server.messages) == 5


def test_who_slept_through_its_lease_sends_no_more(
    opened: NewHost,
    server: ScriptedServer,
    bench_of: MakeBench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A rescuer has given the rest to somebody else by then."""
    host = opened()
    bench = bench_of(host)
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 120.0)

    def take_long(server: ScriptedServer, session: Session, line: str) -> None:
        (lease,) = bench.leases._kept.values()
        lease.renewed(time.monotonic() - lanes.LEASE_SECONDS)
        assert lease.ran_out

    server.behave("dot", take_long)
    host.save_sender(port=server.port)
    queue(host, *(f"r{number}@example.org" for number in range(5)))
    bench.work()
    assert len(server.messages) == 1
    assert [one.state for one in deliveries(host)] == ["sent"] + ["queued"] * 4


def test_a_batch_that_redis_does_not_know_is_sent_under_another_lease(
    host_with_bench: tuple[HostApp, Workbench],
    server: ScriptedServer,
    redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the batch before left in Redis would say of this one that it was never begun."""
    host, bench = host_with_bench
    monkeypatch.setattr(engine, "FIRST_BATCH", 2)
    host.save_sender(port=server.port)
    queue(host, *(f"r{number}@example.org" for number in range(6)))

    def lose_redis(server: ScriptedServer, session: Session, line: str) -> None:
        redis.stop()

    server.behave("dot", lose_redis)
    assert bench.work()
    assert [one.state for one in deliveries(host)] == ["sent"] * 2 + ["queued"] * 4
    assert all(one.lease is None for one in deliveries(host))
    bench.work()
    assert {one.state for one in deliveries(host)} == {"sent"}
    assert len(server.messages) == 6


def test_a_server_that_hangs_up_after_a_refusal_delays_nobody_else(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer
) -> None:
    """The others go back to the queue, and no bell would ring for them."""
    host, bench = host_with_bench
    queue(host, *(f"r{number}@example.org" for number in range(4)))

    server.behave("rcpt", [Reply("550 5.1.1 no such user"), None])
    server.behave("data", [Close(), None])
    assert bench.work(), "more is due"
    bench.work()
    assert Tally(one.state for one in deliveries(host)) == {"dead": 1, "sent": 3}


def test_urgent_mail_does_not_wait_for_a_long_batch_of_a_slow_server(
    host_with_bench: tuple[HostApp, Workbench],
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host, bench = host_with_bench
    monkeypatch.setattr(engine, "_LONGEST_BATCH_SECONDS", 0.5)
    monkeypatch.setattr(engine, "_BATCH_SECONDS", 0.25)
    queue(host, *(f"r{number}@example.org" for number in range(12)))

    def slowly(server: ScriptedServer, session: Session, line: str) -> None:
        time.sleep(0.2)

    server.behave("dot", slowly)
    assert bench.work()
    assert 1 <= len(server.messages) <= 4
    reset = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}
    host.plugin.send("password_reset", to="u@example.org", partner_id="acme", context=reset)
    host.db.session.commit()
    before = len(server.messages)
    bench.work()
    assert server.messages[before].recipients == ["u@example.org"]
    while bench.work():
        pass
    assert {one.state for one in deliveries(host)} == {"sent"}
    assert server.connections <= 2, "only the first batch is cut; the next is not so large"


def test_mail_that_becomes_too_old_behind_others_is_not_sent(
    opened: NewHost,
    server: ScriptedServer,
    bench_of: MakeBench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = opened()
    monkeypatch.setattr(engine, "_LONGEST_BATCH_SECONDS", 60)
    host.save_sender(port=server.port)
    for name in ("first", "late", "last"):
        queue(host, f"{name}@example.org")

    def slowly(server: ScriptedServer, session: Session, line: str) -> None:
        time.sleep(6.2)

    server.behave("dot", [slowly, None])
    bench = bench_of(host)
    late = update(Delivery).where(Delivery.recipient == "late@example.org")
    host.db.session.execute(late.values(expires_at=now() + timedelta(seconds=6)))
    host.db.session.commit()
    assert bench.work(), "more is due"
    bench.tick()
    assert [one.state for one in deliveries(host)] == ["sent", "expired", "sent"]
    assert len(server.messages) == 2


def test_a_sensitive_text_is_erased_also_when_two_connections_end_together(
    opened: NewHost, shared_database: str, server: ScriptedServer, bench_of: MakeBench
) -> None:
    """Each saw the other's recipient as one who still waits."""
    host = opened(uri=shared_database)
    host.save_sender(port=server.port)
    reset = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}
    public_id = host.plugin.send(
        "password_reset", to=["a@example.org", "b@example.org"], partner_id="acme", context=reset
    )
    host.db.session.commit()
    first, second = ((one.id, one.message_pk) for one in deliveries(host))
    host.db.session.rollback()
    bench = bench_of(host)
    both = threading.Barrier(2)

    def end(delivery_id: int, message_pk: int) -> None:
        with transaction(bench.engine) as session:
            sent = update(Delivery).where(Delivery.id == delivery_id).values(state="sent")
            session.execute(sent)
            both.wait(SECONDS)
            erase_sensitive(session, [message_pk])
            time.sleep(0.3)

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(end, *one) for one in (first, second)]:
            done.result()
    assert row_of(host, public_id).content == b""


def test_connections_that_count_for_the_same_partners_do_not_lock_each_other_out(
    opened: NewHost, shared_database: str, bench_of: MakeBench
) -> None:
    host = opened(uri=shared_database)
    host.save_sender()
    queue(host)
    bench = bench_of(host)
    lane = lanes.acquire(bench.engine, sender_row(host).id, "test")
    assert lane is not None
    batch = claim(bench.engine, lane, 1)
    assert batch is not None
    (one,) = batch.deliveries
    accepted = Outcome(Verdict.ACCEPTED)
    names = [f"p{number}" for number in range(30)]
    pairs = [
        (Result(replace(one, partner_id=name), accepted), Decision("sent", 0, 0, 0))
        for name in names
    ]
    both = threading.Barrier(2)

    def count(pairs: list[tuple[Result, Decision]]) -> None:
        for _ in range(10):
            both.wait(SECONDS)
            with transaction(bench.engine) as session:
                _count(session, lane.sender_id, pairs, batch.moment)

    host.db.session.rollback()
    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(count, each) for each in (pairs, pairs[::-1])]:
            done.result()


def test_a_heart_beats_on_when_it_had_to_wait_too_long_for_a_connection(
    each: HostApp, bench_of: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    each.save_sender()
    bench = bench_of(each)
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 0.1)
    lane = lanes.acquire(bench.engine, sender_row(each).id, "test")
    assert lane is not None
    each.db.session.rollback()
    small = worker_engine(host_engine(), pool_size=1, max_overflow=0)
    small.pool._timeout = 0.1  # type: ignore[attr-defined]
    beating = leases.Leases(small)
    with beating.kept(lane, time.monotonic()) as lease:
        held = small.connect()
        time.sleep(0.6)
        held.close()
        before = lease._until
        assert until(lambda: lease._until > before)
    beating.close()
    small.dispose()
