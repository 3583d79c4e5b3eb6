"""Mail servers that say nothing cost a worker next to nothing, wherever they fall silent."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from tests.app import HostApp
from tests.delivery.workbench import queue
from tests.endurance.sink import Sink
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer, Stall
from tests.servers.silent import SILENCES, Silence, SilentServer
from tests.worker.running import PROMPTLY, Site, Worker, until

RESET = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}
#: Seconds. On a machine with nothing else to do it is a tenth; who waits for a server that says
#: nothing does so for ten at least.
SOON = 9.0


@contextmanager
def at_work(
    folder: Path, redis: RedisServer, concurrency: int
) -> Iterator[tuple[HostApp, Worker, ScriptedServer]]:
    """A worker, and a partner whose server is well and has taken mail before."""
    site = Site(folder, redis.url)
    with ScriptedServer() as well, site.opened() as host:
        host.save_sender("initech", port=well.port)
        with site.worker("--concurrency", str(concurrency)) as worker:
            worker.ready()
            queue(host, "before@example.org", partner_id="initech")
            assert well.wait_for_messages(1), worker.output
            yield host, worker, well


def longest_wait(host: HostApp, well: ScriptedServer, count: int = 5) -> float:
    """Seconds until a mail and a password reset arrived, the longest of some."""
    longest = 0.0
    for number in range(count):
        before = len(well.messages)
        began = time.monotonic()
        queue(host, f"n{number}@example.org", partner_id="initech")
        host.plugin.send(
            "password_reset", to=f"u{number}@example.org", partner_id="initech", context=RESET
        )
        host.db.session.commit()
        assert well.wait_for_messages(before + 2)
        longest = max(longest, time.monotonic() - began)
    return longest


@pytest.mark.parametrize(("partners", "connections"), [(1, 20), (8, 2)])
def test_whoever_leaves_the_final_dot_unanswered_holds_up_nobody(
    tmp_path: Path, redis: RedisServer, partners: int, connections: int
) -> None:
    """Sixteen threads, all of a worker's, sat there within 18 seconds."""
    with SilentServer("dot") as tarpit, at_work(tmp_path, redis, 2) as (host, _, well):
        for number in range(partners):
            host.save_sender(f"p{number}", port=tarpit.port, max_connections=connections)
            for _ in range(60 // partners):
                queue(host, "r@example.org", partner_id=f"p{number}")
        assert until(lambda: tarpit.conversations >= partners)
        assert longest_wait(host, well) < SOON
        assert tarpit.conversations == partners, "none is opened beside a silent one"
        assert longest_wait(host, well) < SOON


@pytest.mark.parametrize("silence", SILENCES)
def test_a_crowd_of_silent_servers_holds_up_nobody(
    tmp_path: Path, redis: RedisServer, silence: Silence
) -> None:
    """Of a thousand that never greeted, sixteen filled a worker for a minute, then the next."""
    crowd = 40
    with SilentServer(silence) as silent, at_work(tmp_path, redis, 1) as (host, worker, well):
        for number in range(crowd):
            host.save_sender(f"p{number}", port=silent.port)
            queue(host, "r@example.org", partner_id=f"p{number}")
        assert until(lambda: silent.conversations >= crowd // 2), silent.conversations
        assert longest_wait(host, well) < SOON
        with Redis.from_url(redis.url) as client:
            assert sum(1 for _ in client.scan_iter("rq:job:*")) <= 100
        if silence == "greeting":
            assert worker.stop() < PROMPTLY


def test_a_silent_server_that_speaks_after_all_gets_its_mail(
    tmp_path: Path, redis: RedisServer
) -> None:
    """Who gave up its place goes on without one."""
    slow_seconds = 1.5

    with ScriptedServer() as slow, at_work(tmp_path, redis, 1) as (host, _, well):

        def take_long(_server: ScriptedServer, _session: object, _line: str) -> None:
            time.sleep(slow_seconds)

        slow.behave("dot", [take_long, None])
        host.save_sender("acme", port=slow.port)
        queue(host, *(f"r{number}@example.org" for number in range(30)), partner_id="acme")
        assert until(lambda: slow.occurrences("dot") == 1)
        assert longest_wait(host, well, 1) < slow_seconds + SOON
        assert slow.wait_for_messages(30)


def test_a_burst_sends_all_that_it_can_while_a_server_is_silent(
    tmp_path: Path, redis: RedisServer
) -> None:
    """A lane that gave way left most of its mail until the last silent server spoke."""
    site = Site(tmp_path, redis.url)
    with SilentServer("dot") as silent, Sink() as well, site.opened() as host:
        host.save_sender("initech", port=well.port)
        for number in range(30):
            host.save_sender(f"p{number}", port=silent.port)
            queue(host, "r@example.org", partner_id=f"p{number}")
        queue(host, *(f"r{number}@example.org" for number in range(400)), partner_id="initech")
        with site.worker("--burst") as worker:
            assert until(lambda: len(well.accepted) >= 400), worker.output


def test_a_slow_server_is_sent_to_over_all_its_connections(
    tmp_path: Path, redis: RedisServer
) -> None:
    """Three tenths of a second for each mail is no silence."""
    with Sink((0.3, 0.3)) as slow, at_work(tmp_path, redis, 4) as (host, _, well):
        host.save_sender("acme", port=slow.port, max_connections=4)
        queue(host, *(f"r{number}@example.org" for number in range(60)), partner_id="acme")
        assert longest_wait(host, well, 2) < SOON
        assert slow.wait_for_messages(60)
        assert slow.most_sending >= 3


def test_a_provider_that_hangs_takes_not_all_conversations(
    tmp_path: Path, redis: RedisServer
) -> None:
    """All of its partners had sent before, so nothing but the place tells them apart."""
    host_of_many = 40
    with at_work(tmp_path, redis, 2) as (host, worker, well), ScriptedServer() as provider:
        names = [f"p{number}" for number in range(host_of_many)]
        for name in names:
            host.save_sender(name, port=provider.port)
            queue(host, "before@example.org", partner_id=name)
        assert provider.wait_for_messages(host_of_many), worker.output
        provider.behave("dot", Stall())
        before = provider.occurrences("dot")
        for name in names:
            queue(host, "r@example.org", partner_id=name)
        assert until(lambda: provider.occurrences("dot") >= before + 32)
        assert longest_wait(host, well) < SOON
        assert provider.occurrences("dot") - before <= 32 + 2
