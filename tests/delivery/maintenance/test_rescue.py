"""A worker was killed: what it had under way is settled by whoever comes next."""

import time
from collections import Counter as Tally
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from smtp_admin.clock import shifted
from smtp_admin.database import transaction
from smtp_admin.delivery import lanes
from smtp_admin.delivery.claim import Batch, claim
from smtp_admin.delivery.engine import work_lane
from smtp_admin.delivery.journal import Journal, read
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.maintenance.rescue import rescue
from smtp_admin.delivery.models import Lane
from smtp_admin.delivery.queries import summary
from smtp_admin.delivery.shared_redis import redis_client
from smtp_admin.worker.process import WorkerProcess
from tests.app import HostApp
from tests.delivery.workbench import Workbench, deliveries, queue, row_of, sender_row
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import until

MakeBench = Callable[..., Workbench]
LATER = timedelta(minutes=3)


def claimed(bench: Workbench, size: int = 50) -> tuple[HeldLane, Batch]:
    """A worker's work, at the moment when it is killed."""
    lane = lanes.acquire(bench.engine, sender_row(bench.host).id, "doomed")
    assert lane is not None
    batch = claim(bench.engine, lane, size)
    assert batch is not None
    return lane, batch


def journal_of(bench: Workbench, lane: HeldLane, batch: Batch, accepted: int) -> None:
    journal = Journal(bench.lines, lane.lease)
    journal.begin([one.id for one in batch.deliveries])
    for one in batch.deliveries[:accepted]:
        journal.accepted(one.id)

    def arrived() -> bool:
        found = read(bench.redis, lane.lease)
        return found is not None and len(found.accepted) == accepted

    assert until(arrived), "what was written without waiting takes a moment"


def states(host: HostApp) -> dict[str, str]:
    return {one.recipient[0]: one.state for one in deliveries(host)}


def test_the_journal_decides(each: HostApp, server: ScriptedServer, bench_of: MakeBench) -> None:
    each.save_sender(port=server.port)
    queue(each, *(f"{name}@example.org" for name in "abcde"))
    bench = bench_of(each)
    lane, batch = claimed(bench)
    journal_of(bench, lane, batch, accepted=2)
    bench.lose_lease()
    assert rescue(bench.engine, bench.redis) == 5
    assert states(each) == {
        "a": "sent",
        "b": "sent",
        "c": "uncertain",
        "d": "queued",
        "e": "queued",
    }
    assert all(one.attempts == 0 and one.lease is None for one in deliveries(each))
    assert read(bench.redis, lane.lease) is not None
    numbers = summary(each.db.session(), "acme", sender_row(each).id)
    assert (numbers.sent, numbers.sent_this_hour) == (2, 3)
    bench.tick()
    bench.tick(LATER)
    assert set(states(each).values()) == {"sent"}
    reached = Tally(message.recipients[0][0] for message in server.messages)
    assert reached == {"c": 1, "d": 1, "e": 1}


def test_a_lane_is_not_free_before_it_was_rescued(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    each.save_sender(port=server.port, max_connections=1)
    queue(each)
    bench = bench_of(each)
    claimed(bench)
    assert rescue(bench.engine, bench.redis) == 0, "its worker may be alive"
    bench.lose_lease()
    assert lanes.acquire(bench.engine, sender_row(each).id, "hasty") is None
    rescue(bench.engine, bench.redis)
    assert lanes.acquire(bench.engine, sender_row(each).id, "patient") is not None


def test_a_beating_heart_keeps_the_lane(each: HostApp, bench_of: MakeBench) -> None:
    each.save_sender()
    queue(each)
    bench = bench_of(each)
    lane, _batch = claimed(bench)
    with shifted(timedelta(seconds=40)):
        with transaction(bench.engine) as session:
            assert lanes.beat(session, [lane]) == ({lane.lease}, set())
        assert rescue(bench.engine, bench.redis) == 0
    with shifted(timedelta(seconds=80)):
        assert rescue(bench.engine, bench.redis) == 0
    with shifted(timedelta(seconds=90)):
        assert rescue(bench.engine, bench.redis) == 1
        with transaction(bench.engine) as session:
            assert lanes.beat(session, [lane]) == (set(), {lane.lease})


@pytest.mark.parametrize("redis_is", ["away", "flushed"])
def test_without_the_journal_everything_is_unknown_and_nothing_is_lost(
    each: HostApp,
    server: ScriptedServer,
    bench_of: MakeBench,
    redis: RedisServer,
    redis_is: str,
) -> None:
    each.save_sender(port=server.port)
    queue(each, *(f"{name}@example.org" for name in "abc"))
    bench = bench_of(each)
    lane, batch = claimed(bench)
    journal_of(bench, lane, batch, accepted=1)
    if redis_is == "away":
        redis.stop()
    else:
        redis.flush()
    bench.lose_lease()
    assert rescue(bench.engine, bench.redis) == 3
    assert set(states(each).values()) == {"uncertain"}
    redis.start()
    bench.tick(LATER)
    assert set(states(each).values()) == {"sent"}
    assert sorted(message.recipients[0][0] for message in server.messages) == ["a", "b", "c"]


def test_redis_that_does_not_answer_for_a_moment_has_nothing_sent_twice(
    each: HostApp, bench_of: MakeBench, closed_port: int
) -> None:
    """It still knows what was accepted, and can tell at the next look."""
    each.save_sender()
    queue(each, *(f"{name}@example.org" for name in "abc"))
    bench = bench_of(each)
    lane, batch = claimed(bench)
    journal_of(bench, lane, batch, accepted=1)
    silent = redis_client(f"redis://127.0.0.1:{closed_port}/0")
    with shifted(timedelta(seconds=50)):
        assert rescue(bench.engine, silent) == 0
        assert rescue(bench.engine, bench.redis) == 3
    assert states(each) == {"a": "sent", "b": "uncertain", "c": "queued"}


def test_redis_that_stays_away_holds_up_no_rescue(
    each: HostApp, bench_of: MakeBench, closed_port: int
) -> None:
    each.save_sender(max_connections=1)
    queue(each, "a@example.org")
    bench = bench_of(each)
    claimed(bench)
    silent = redis_client(f"redis://127.0.0.1:{closed_port}/0")
    with shifted(timedelta(seconds=80)):
        assert rescue(bench.engine, silent) == 1
    assert states(each) == {"a": "uncertain"}
    assert lanes.acquire(bench.engine, sender_row(each).id, "idle") is not None
    with shifted(timedelta(seconds=50)):
        assert rescue(bench.engine, silent) == 0
        assert lanes.acquire(bench.engine, sender_row(each).id, "next") is not None


def test_eight_rescuers_settle_everything_once(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    each.save_sender(port=server.port)
    queue(each, *(f"r{number}@example.org" for number in range(20)))
    bench = bench_of(each)
    lane, batch = claimed(bench)
    journal_of(bench, lane, batch, accepted=20)
    bench.lose_lease()
    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(lambda _: rescue(bench.engine, bench.redis), range(8)))
    assert sum(counts) == 20
    assert Tally(one.state for one in deliveries(each)) == {"sent": 20}
    assert summary(each.db.session(), "acme").sent == 20


def test_what_was_recorded_before_stays_as_it_was(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    """The worker came as far as the commit, and died before it could give its lane back."""
    each.save_sender(port=server.port)
    queue(each)
    bench = bench_of(each)
    bench.work()
    before = deliveries(each)[0].finished_at
    lane = lanes.acquire(bench.engine, sender_row(each).id, "doomed")
    assert lane is not None
    bench.lose_lease()
    assert rescue(bench.engine, bench.redis) == 0
    (one,) = deliveries(each)
    assert (one.state, one.finished_at) == ("sent", before)
    assert set(each.db.session.scalars(select(Lane.lease))) == {None}


def test_a_sensitive_text_is_erased_also_when_a_rescuer_finds_it_accepted(
    each: HostApp, bench_of: MakeBench
) -> None:
    each.save_sender()
    reset = {"name": "Sam", "reset_url": "https://x.example/secret", "expires_minutes": 5}
    public_id = each.plugin.send(
        "password_reset", to="a@example.org", partner_id="acme", context=reset
    )
    each.db.session.commit()
    bench = bench_of(each)
    lane, batch = claimed(bench)
    journal_of(bench, lane, batch, accepted=1)
    bench.lose_lease()
    rescue(bench.engine, bench.redis)
    assert states(each) == {"a": "sent"}
    assert row_of(each, public_id).content == b""


def test_a_bell_while_the_lane_is_just_finishing_is_not_lost(
    opened: Callable[..., HostApp],
    server: ScriptedServer,
    bench_of: MakeBench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its last claim found nothing; then mail comes, whose bell meets a lane that is still held."""
    host = opened()
    host.save_sender(port=server.port, max_connections=1)
    queue(host, "first@example.org")
    bench = bench_of(host)
    sender_id = sender_row(host).id
    really_release = lanes.release
    heard: list[bool] = []

    def release(*held: Any) -> bool:
        monkeypatch.setattr(lanes, "release", really_release)
        queue(host, "second@example.org")
        heard.append(work_lane(bench.context(), sender_id))
        return really_release(*held)

    monkeypatch.setattr(lanes, "release", release)
    more = work_lane(bench.context(), sender_id)
    assert len(server.messages) == 1
    assert more or heard == [True], "somebody must look again before the next sweep"


def test_a_clock_that_is_set_forward_takes_no_lane_from_who_holds_it(
    each: HostApp, bench_of: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mail would go out twice; a holder that is really gone is rescued a moment later."""
    monkeypatch.setattr("smtp_admin.delivery.maintenance.rescue._SETTLE_SECONDS", 0.5)
    each.save_sender(max_connections=2)
    bench = bench_of(each)
    sender_id = sender_row(each).id
    each.db.session.rollback()
    alive = lanes.acquire(bench.engine, sender_id, "alive")
    gone = lanes.acquire(bench.engine, sender_id, "gone")
    assert alive is not None
    assert gone is not None
    process = WorkerProcess(each.app)

    def held() -> set[str | None]:
        with transaction(bench.engine) as session:
            return set(session.scalars(select(Lane.lease).where(Lane.lease.is_not(None))))

    process._rescue()
    with shifted(timedelta(hours=1)):
        process._rescue()
        assert held() == {alive.lease, gone.lease}
        with transaction(bench.engine) as session:
            assert lanes.beat(session, [alive])

        def rescued() -> bool:
            process._rescue()
            return held() == {alive.lease}

        assert until(rescued)
    process._close()


@pytest.mark.parametrize("saw_it", [True, False])
def test_a_clock_that_is_set_back_keeps_no_lane_of_the_dead(
    each: HostApp, bench_of: MakeBench, monkeypatch: pytest.MonkeyPatch, saw_it: bool
) -> None:
    """Their leases end an hour from now; who lives has renewed its own before they are taken."""
    where = "smtp_admin.delivery.maintenance.rescue"
    monkeypatch.setattr(f"{where}._SETTLE_SECONDS", 0.2)
    each.save_sender(max_connections=2)
    bench = bench_of(each)
    sender_id = sender_row(each).id
    each.db.session.rollback()
    process = WorkerProcess(each.app)
    with shifted(timedelta(hours=1)):
        alive = lanes.acquire(bench.engine, sender_id, "alive")
        gone = lanes.acquire(bench.engine, sender_id, "gone")
        assert alive is not None
        assert gone is not None
        if saw_it:
            process._rescue()

    def held() -> set[str | None]:
        with transaction(bench.engine) as session:
            return set(session.scalars(select(Lane.lease).where(Lane.lease.is_not(None))))

    process._rescue()
    assert held() == {alive.lease, gone.lease}, "it may be that the others beat in a moment"
    with transaction(bench.engine) as session:
        assert lanes.beat(session, [alive])
    monkeypatch.setattr(f"{where}.LEASE_SECONDS", 0)  # as if so much time had gone by

    def rescued() -> bool:
        process._rescue()
        return held() == {alive.lease}

    assert until(rescued)
    process._close()


def test_a_lease_of_now_is_never_too_far_ahead(each: HostApp, bench_of: MakeBench) -> None:
    each.save_sender()
    bench = bench_of(each)
    assert lanes.acquire(bench.engine, sender_row(each).id, "alive") is not None
    assert rescue(bench.engine, bench.redis, ahead=True) == 0
    with transaction(bench.engine) as session:
        assert session.scalar(select(Lane.lease).where(Lane.lease.is_not(None)))


def test_a_frozen_redis_is_waited_for_once_and_not_for_each_lane(
    opened: Callable[..., HostApp], bench_of: MakeBench, redis: RedisServer, redis_seconds: float
) -> None:
    """The sweep comes behind it, and is all that finds mail meanwhile."""
    host = opened()
    host.save_sender(port=25, max_connections=20)
    bench = bench_of(host)
    queue(host, *(f"r{number}@example.org" for number in range(10)))
    for _ in range(10):
        claimed(bench, size=1)
    bench.lose_lease()
    redis.pause()
    try:
        began = time.monotonic()
        assert rescue(bench.engine, bench.redis) == 10
        assert time.monotonic() - began < 5 * redis_seconds
    finally:
        redis.resume()
    assert {one.state for one in deliveries(host)} == {"uncertain"}


def test_a_lane_whose_holder_is_in_the_way_holds_up_no_other(
    host_with_bench: tuple[HostApp, Workbench],
) -> None:
    """Of two transactions that wait for each other MariaDB ends one: here the rescuer's."""
    host, bench = host_with_bench
    queue(host, "a@example.org", "b@example.org")
    for _ in range(2):
        claimed(bench, size=1)
    bench.lose_lease()
    chosen: list[str] = []

    def end(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith("UPDATE smtp_admin_delivery ") and not chosen:
            chosen.append(statement)
            raise OperationalError(statement, {}, Exception(1213, "Deadlock found"))

    event.listen(bench.engine, "before_cursor_execute", end)
    assert rescue(bench.engine, bench.redis) == 1
    event.remove(bench.engine, "before_cursor_execute", end)
    assert sorted(one.state for one in deliveries(host)) == ["sending", "uncertain"]
    assert rescue(bench.engine, bench.redis) == 1
    assert {one.state for one in deliveries(host)} == {"uncertain"}
