"""What happens beside the sending: the next batch is claimed, and results are committed."""

import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from smtp_admin.delivery import engine, lanes
from smtp_admin.delivery.context import WorkerContext
from smtp_admin.delivery.engine import work_lane
from tests.app import HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import Workbench, deliveries, queue, sender_row
from tests.patience import SECONDS
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer, Session
from tests.worker.running import until

MakeBench = Callable[..., Workbench]
RECIPIENTS = [f"r{number}@example.org" for number in range(12)]


@pytest.fixture(autouse=True)
def _batches_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "FIRST_BATCH", 4)
    monkeypatch.setattr(engine, "MOST_AT_ONCE", 4)
    monkeypatch.setattr(engine, "_AHEAD_SECONDS", 120.0)


@contextmanager
def working(host: HostApp, context: WorkerContext) -> Iterator[Future[bool]]:
    """A lane that is worked in a thread of its own."""
    sender_id = sender_row(host).id
    host.db.session.rollback()

    def send() -> bool:
        with host.app.app_context():
            return work_lane(context, sender_id)

    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(send)


def states(host: HostApp) -> dict[str, int]:
    """How many deliveries are in each state."""
    return dict(Tally(one.state for one in deliveries(host)))


def test_the_next_batch_is_claimed_and_the_last_committed_while_one_is_sent(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    each.save_sender(port=server.port)
    queue(each, *RECIPIENTS)
    context = bench_of(each)
    reached, go_on = threading.Event(), threading.Event()

    def hold(server: ScriptedServer, session: Session, line: str) -> None:
        reached.set()
        assert go_on.wait(SECONDS)

    # The second of the second batch: its first is the sign to claim the third.
    server.behave("dot", [*[None] * 5, hold, None])
    with working(each, context.context()) as done:
        try:
            assert reached.wait(SECONDS)
            assert until(lambda: states(each) == {"sent": 4, "sending": 8}), states(each)
        finally:
            go_on.set()
        assert done.result(SECONDS) is False
    assert states(each) == {"sent": 12}
    assert [one.recipients for one in server.messages] == [[one] for one in RECIPIENTS]
    assert server.connections == 1
    assert all(one.lease is None for one in deliveries(each))


def test_batches_follow_each_other_in_one_stream(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer
) -> None:
    """Else every batch would cost another round trip."""
    host, context = host_with_bench
    host.save_sender(port=server.port)
    queue(host, *RECIPIENTS)
    together: list[bool] = []

    def look(server: ScriptedServer, session: Session, line: str) -> None:
        # What is sent together may be read in two parts.
        together.append(session.comes(5 if len(together) < 11 else 0))

    server.behave("dot", look)
    context.work()
    assert len(together) == 12
    assert not together[-1]
    assert all(together[:-1]), "an envelope came with each body but the last"


def test_a_lane_gives_way_to_a_sender_that_waits(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer
) -> None:
    host, context = host_with_bench
    host.save_sender(port=server.port)
    queue(host, *RECIPIENTS)
    with working(host, replace(context.context(), wanted=lambda: True)) as done:
        assert done.result(SECONDS) is True, "the rest is for later"
    assert len(server.messages) == 4
    assert states(host) == {"sent": 4, "queued": 8}


def test_a_further_connection_is_called_for_only_while_one_is_free(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer
) -> None:
    """Else the bells of one busy sender would interrupt its own lanes."""
    host, context = host_with_bench
    host.save_sender(port=server.port, max_connections=2)
    sender_id = sender_row(host).id
    rung: list[int] = []
    for expected in ([sender_id], []):
        queue(host, *RECIPIENTS)
        with working(host, replace(context.context(), more=rung.append)) as done:
            done.result(SECONDS)
        assert rung == expected
        rung.clear()
        if expected:
            assert lanes.acquire(context.engine, sender_id, "another") is not None
    assert states(host) == {"sent": 24}


def test_settings_that_change_meanwhile_hold_for_the_next_batch(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer
) -> None:
    host, context = host_with_bench
    host.save_sender(port=server.port)
    queue(host, *RECIPIENTS)
    with ScriptedServer() as other:

        def change(server: ScriptedServer, session: Session, line: str) -> None:
            with host.app.app_context():
                host.save_sender(port=other.port)

        server.behave("dot", [change, None])
        context.work()
        first = [one.recipients for one in server.messages]
        second = [one.recipients for one in other.messages]
    assert first + second == [[one] for one in RECIPIENTS]
    assert len(first) in {4, 8}, "whole batches, of which one may have been claimed before"


def test_what_was_claimed_ahead_goes_back_when_it_is_time_to_stop(
    opened: NewHost, server: ScriptedServer, bench_of: MakeBench
) -> None:
    host = opened(RETRY_DELAY=30)
    context = bench_of(host)
    host.save_sender(port=server.port)
    queue(host, *RECIPIENTS)

    def stop(server: ScriptedServer, session: Session, line: str) -> None:
        assert until(lambda: sending(host) > 2), "the next batch is claimed"
        context.stopping.set()

    server.behave("dot", [None, stop, None])
    context.work()
    assert states(host) == {"sent": 2, "queued": 10}
    assert all(one.lease is None for one in deliveries(host))


def sending(host: HostApp) -> int:
    """How many mails are claimed, seen from a thread of the server's."""
    with host.app.app_context():
        return states(host).get("sending", 0)


def test_without_redis_each_result_is_committed_before_the_next_body_is_sent(
    opened: NewHost, server: ScriptedServer, bench_of: MakeBench, redis: RedisServer
) -> None:
    """Nobody could tell otherwise what a worker that dies has achieved."""
    host = opened(RETRY_DELAY=30)
    context = bench_of(host)
    host.save_sender(port=server.port)
    queue(host, *RECIPIENTS)
    redis.stop()
    seen: list[dict[str, int]] = []

    def look(server: ScriptedServer, session: Session, line: str) -> None:
        with host.app.app_context():
            seen.append(states(host))

    server.behave("body", look)
    context.work()
    assert [one.get("sent", 0) for one in seen] == list(range(12))
