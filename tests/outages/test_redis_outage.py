"""Redis loses everything, or is away, while a worker sends: SQL knows all that matters."""

import time
from collections import Counter as Tally
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Condition

import pytest
from redis import Redis
from sqlalchemy import update

from smtp_admin.clock import now
from smtp_admin.delivery.models import Lane
from tests.delivery.workbench import queue
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer, Session
from tests.worker.running import Site, move_due_time, until

from .surroundings import Query, ready

MAILS, LIMITED, LIMIT = 1500, 80, 40
#: A tenth of the limit is kept for urgent mail, and there is none.
ALLOWED = 36
PROMISED_SECONDS = 60
#: Two of them, and some time for a slow machine.
SWEEPS = 30
#: The most that one connection has under way.
BATCH, CONNECTIONS = 100, 2

Fault = Callable[[RedisServer, ScriptedServer], None]

#: After how many mails Redis is lost, and how many more go out then at most: some are left always.
LOST_AFTER, FURTHER = (200, 500, 900), 400


class Sluice:
    """Lets so many mails through; each takes a moment."""

    def __init__(self, sink: ScriptedServer) -> None:
        self._opened = Condition()
        self._most = 0
        self._sink = sink
        sink.behave("dot", self._dot)

    def open(self, most: int) -> None:
        """Let so many through in all."""
        with self._opened:
            self._most = most
            self._opened.notify_all()

    def _dot(self, _server: ScriptedServer, _session: Session, _line: str) -> None:
        with self._opened:
            self._opened.wait_for(lambda: len(self._sink.messages) < self._most, PROMISED_SECONDS)
        time.sleep(0.004)


def flushed(redis: RedisServer, sink: ScriptedServer) -> None:
    redis.flush()


def killed_and_empty(redis: RedisServer, sink: ScriptedServer) -> None:
    redis.stop()
    redis.start()


def away_while_mail_goes_out(redis: RedisServer, sink: ScriptedServer) -> None:
    before = len(sink.messages)
    redis.stop()
    assert len(sink.wait_for_messages(before + 150)) >= before + 150
    redis.start()


def slow_dot(_server: ScriptedServer, _session: Session, _line: str) -> None:
    time.sleep(0.004)


def prepare(site: Site, sink: ScriptedServer) -> None:
    """Mail of one partner without a limit, and of one with."""
    with site.opened() as host:
        host.save_sender("acme", port=sink.port, max_connections=CONNECTIONS)
        host.save_sender("globex", port=sink.port, max_per_hour=LIMIT)
        for start in range(0, MAILS, 100):
            queue(host, *(f"a{number}@example.org" for number in range(start, start + 100)))
        queue(host, *(f"g{one}@example.org" for one in range(LIMITED)), partner_id="globex")


def all_sent(query: Query) -> bool:
    rows = query(
        "SELECT partner_id, count(*) FROM smtp_admin_delivery WHERE state = 'sent' "
        "GROUP BY partner_id"
    )
    return set(rows) == {("acme", MAILS), ("globex", ALLOWED)}


def copies(sink: ScriptedServer) -> Tally[str]:
    return Tally(message.recipients[0] for message in list(sink.messages))


@pytest.mark.parametrize(
    ("fault", "database"),
    [
        pytest.param(flushed, "postgresql", marks=pytest.mark.long),
        pytest.param(flushed, "mariadb", marks=pytest.mark.long),
        (killed_and_empty, "sqlite"),
        pytest.param(killed_and_empty, "mariadb", marks=pytest.mark.long),
        (away_while_mail_goes_out, "postgresql"),
        pytest.param(away_while_mail_goes_out, "mariadb", marks=pytest.mark.long),
    ],
    indirect=["database"],
)
def test_losing_redis_loses_no_mail_repeats_none_and_breaks_no_limit(
    tmp_path: Path, redis: RedisServer, fault: Fault, database: str
) -> None:
    site, query = Site(tmp_path / "site", redis.url, uri=database), Query(database)
    with ScriptedServer() as sink, site.worker("--concurrency", "3") as worker:
        ready(worker)
        sluice = Sluice(sink)
        prepare(site, sink)
        for reached in LOST_AFTER:
            sluice.open(reached + FURTHER)
            assert len(sink.wait_for_messages(reached, timeout=60)) >= reached, worker.output
            fault(redis, sink)
        sluice.open(2 * MAILS)
        assert until(lambda: all_sent(query), PROMISED_SECONDS), worker.output
        assert set(copies(sink).values()) == {1}
        assert len(sink.messages) == MAILS + ALLOWED
        assert worker.alive


@pytest.mark.long
@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_redis_and_a_worker_lost_together_repeat_at_most_what_was_under_way(
    tmp_path: Path, redis: RedisServer, database: str
) -> None:
    site, query = Site(tmp_path / "site", redis.url, uri=database), Query(database)
    with ScriptedServer() as sink, site.opened() as host:
        with site.worker("--concurrency", "3") as worker:
            ready(worker)
            sink.behave("dot", slow_dot)
            prepare(site, sink)
            sink.wait_for_messages(500, timeout=60)
            worker.kill()
            redis.stop()
        redis.start()
        sink.behave("dot", None)
        host.db.session.execute(update(Lane).values(lease_until=now().replace(year=2020)))
        host.db.session.commit()
        for _ in range(2):
            with site.worker("--burst") as second:
                assert second.wait(60) == 0, second.output
            move_due_time(host, "uncertain")
        assert all_sent(query), second.output
        twice = [recipient for recipient, count in copies(sink).items() if count > 1]
        assert max(copies(sink).values()) <= 2
        assert len(twice) <= BATCH * (CONNECTIONS + 1)
        assert len(copies(sink)) == MAILS + ALLOWED
        assert len(sink.messages) <= MAILS + ALLOWED + len(twice)


def waits(connection: Redis) -> bool:
    """Whether a worker has been waiting for a bell for a while."""
    clients = connection.client_list()
    return any(one["cmd"] == "blmove" and int(one["idle"]) >= 1 for one in clients)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_after_a_long_absence_of_redis_bells_are_heard_again_soon(
    tmp_path: Path, redis: RedisServer
) -> None:
    """RQ's own loop waits longer and longer for Redis: after 63 seconds for a whole minute."""
    site = Site(tmp_path, redis.url)
    with ScriptedServer() as sink, site.opened() as host, site.worker() as worker:
        host.save_sender(port=sink.port)
        ready(worker)
        with closing(Redis.from_url(redis.url)) as connection:
            assert until(lambda: waits(connection), PROMISED_SECONDS), worker.output
        redis.stop()
        until(lambda: "retrying in 60 seconds" in worker.output, 75)
        redis.start()
        queue(host)
        assert sink.wait_for_messages(1, timeout=SWEEPS), worker.output
