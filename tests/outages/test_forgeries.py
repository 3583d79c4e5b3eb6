"""What else somebody who can write to Redis may leave there, beside the jobs of the worker's tests.

A bell only makes a worker look into the database; who may send what is decided there.
"""

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import update

from smtp_admin.clock import now
from smtp_admin.delivery.doorbell import RING_FUNCTION, queue_name
from smtp_admin.delivery.maintenance.rescue import rescue
from smtp_admin.senders.models import Sender
from tests.app import HostApp
from tests.delivery.maintenance.test_rescue import claimed
from tests.delivery.workbench import Workbench, deliveries, queue, sender_row
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import Site, until
from tests.worker.test_forged_jobs import EVIL, Explosive, call, forge

from .surroundings import ready

#: Two sweeps, and some time for a slow machine.
SECONDS = 30


@pytest.fixture
def connection(redis: RedisServer) -> Iterator[Redis]:
    with closing(Redis.from_url(redis.url)) as client:
        yield client


def heard(connection: Redis, name: str) -> bool:
    """Whether a worker took everything out of the queue in time."""
    return until(lambda: connection.llen(f"rq:queue:{name}") == 0, 2 * SECONDS)


def test_a_forged_bell_makes_nobody_send_what_the_database_forbids(
    tmp_path: Path, redis: RedisServer, connection: Redis
) -> None:
    """A paused sender, one at its limit, mail for tomorrow; and each one's mail is its own."""
    site = Site(tmp_path, redis.url)
    tomorrow = now() + timedelta(days=1)
    with ScriptedServer() as sink, ScriptedServer() as other, site.opened() as host:
        host.save_sender("acme", port=sink.port)
        host.save_sender("globex", port=sink.port, max_per_hour=1)
        host.save_sender("initech", port=other.port)
        queue(host, "paused@example.org", partner_id="acme")
        queue(host, "first@example.org", "second@example.org", partner_id="globex")
        queue(host, "tomorrow@example.org", partner_id="initech", send_at=tomorrow)
        queue(host, "today@example.org", partner_id="initech")
        pause = update(Sender).where(Sender.partner_id == "acme")
        host.db.session.execute(pause.values(paused_until=tomorrow))
        host.db.session.commit()
        name = queue_name(host.db.engine)
        senders = [sender_row(host, partner).id for partner in ("acme", "globex", "initech")]
        for number, sender_id in enumerate(20 * senders):
            forge(connection, name, number, {"data": call(RING_FUNCTION, sender_id)})
        with site.worker() as worker:
            ready(worker)
            assert heard(connection, name), worker.output
            assert until(lambda: bool(sink.messages and other.messages), SECONDS), worker.output
            worker.stop()
        assert [message.recipients for message in sink.messages] == [["first@example.org"]]
        assert [message.recipients for message in other.messages] == [["today@example.org"]]


#: Fields of a bell that RQ reads before or after it rings, with what cannot be read.
MANGLED: tuple[dict[str, bytes], ...] = (
    {"timeout": b"-1"},
    {"created_at": b"yesterday"},
    {"description": b"\xff" * 1000},
    {"origin": b"another queue"},
    {"result_ttl": b"x"},
    {"retries_left": b"3", "retry_intervals": b"[0, 0, 0]"},
    {"dependency_ids": b'["nobody", 7]'},
    {"repeats_left": b"3", "repeat_intervals": b"[0]"},
    {"success_callback_name": b"os.system", "success_callback_timeout": b"x"},
)


def test_mangled_bells_do_not_end_the_worker(
    tmp_path: Path, redis: RedisServer, connection: Redis
) -> None:
    site = Site(tmp_path, redis.url)
    with ScriptedServer() as sink, site.opened() as host, site.worker() as worker:
        host.save_sender(port=sink.port)
        ready(worker)
        name, sender_id = queue_name(host.db.engine), sender_row(host).id
        for number, fields in enumerate(MANGLED):
            forge(connection, name, number, {"data": call(RING_FUNCTION, sender_id)} | fields)
        assert heard(connection, name), worker.output
        queue(host)
        assert sink.wait_for_messages(1, timeout=SECONDS), worker.output
        assert worker.alive


def test_what_rq_keeps_beside_the_queue_runs_nothing_either(
    tmp_path: Path, redis: RedisServer, connection: Redis
) -> None:
    """Its upkeep, at the start and every ten minutes, looks at jobs that nobody rang."""
    site = Site(tmp_path, redis.url)
    (tmp_path / "evil.py").write_text(EVIL)
    forged = {
        "data": call("evil.boom"),
        "meta": pickle.dumps(Explosive()),
        "failure_callback_name": b"evil.boom",
        "success_callback_name": b"evil.boom",
        "stopped_callback_name": b"evil.boom",
    }
    with ScriptedServer() as sink, site.opened() as host:
        host.save_sender(port=sink.port)
        name = queue_name(host.db.engine)
        for number, kind in enumerate(("wip", "finished", "failed", "deferred", "scheduled")):
            forge(connection, name, number, forged)
            connection.lrem(f"rq:queue:{name}", 0, f"forged{number}")
            connection.zadd(f"rq:{kind}:{name}", {f"forged{number}": 1, f"forged{number}:x": 1})
        connection.sadd("rq:groups", "a group")
        connection.rpush(f"rq:queue:{name}:intermediate", "forged0")
        with site.worker() as worker:
            ready(worker)
            queue(host)
            assert sink.wait_for_messages(1, timeout=SECONDS), worker.output
            assert until(lambda: deliveries(host)[0].state == "sent")
            assert worker.alive
    assert sorted(one.name for one in tmp_path.glob("executed*")) == []


@pytest.mark.parametrize("entry", [b"a:1,2", b"s:", b"b:x,y", b"a:" + b"9" * 5000, b"\xff\xfe"])
def test_a_forged_journal_holds_up_no_rescue(
    host_with_bench: tuple[HostApp, Workbench], entry: bytes
) -> None:
    """Neither of its own lane nor of the others."""
    host, bench = host_with_bench
    queue(host, *(f"{name}@example.org" for name in "abcd"))
    for _ in range(2):
        lane, _batch = claimed(bench, size=2)
        bench.redis.rpush(f"smtp_admin:journal:{lane.lease}", entry)
    bench.lose_lease()
    assert rescue(bench.engine, bench.redis) == 4
    assert {one.state for one in deliveries(host)} == {"uncertain"}


def forged_type(key: str) -> Callable[[Redis, str, int], None]:
    """Puts a hash where RQ expects something else."""

    def put(connection: Redis, name: str, _sender_id: int) -> None:
        connection.hset(key.format(name), "not", "this")

    return put


FORGERIES: dict[str, Callable[[Redis, str, int], None]] = {
    "the started jobs": forged_type("rq:wip:{}"),
    "the failed jobs": forged_type("rq:failed:{}"),
    "the jobs being taken": forged_type("rq:queue:{}:intermediate"),
    "the groups": forged_type("rq:groups"),
    "the workers": forged_type("rq:workers"),
    "the workers of the queue": forged_type("rq:workers:{}"),
}


def goes_out(forgery: str, redis: RedisServer, site: Site) -> tuple[bool, str]:
    """Whether a mail that is queued after the forgery goes out, and what the worker said."""
    with redis, ScriptedServer() as sink, site.opened() as host:
        host.save_sender(port=sink.port)
        redis.flush()
        with closing(Redis.from_url(redis.url)) as connection:
            FORGERIES[forgery](connection, queue_name(host.db.engine), sender_row(host).id)
        with site.worker() as worker:
            ready(worker)
            queue(host)
            return bool(sink.wait_for_messages(1, timeout=SECONDS)), worker.output


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[tuple[bool, str]]]:
    folders = [tmp_path_factory.mktemp("forgery") for _ in FORGERIES]
    servers = [RedisServer(folder / "redis") for folder in folders]
    for server in servers:
        server.start()
    # Alembic migrates one database at a time.
    sites = [Site(folder, redis.url) for folder, redis in zip(folders, servers, strict=True)]
    with ThreadPoolExecutor(len(FORGERIES)) as threads:
        return {
            forgery: threads.submit(goes_out, forgery, redis, site)
            for forgery, redis, site in zip(FORGERIES, servers, sites, strict=True)
        }


@pytest.mark.long
@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_deafens_rq_does_not_stop_the_sweeper(
    played: dict[str, Future[tuple[bool, str]]], forgery: str
) -> None:
    went_out, output = played[forgery].result()
    assert went_out, output
