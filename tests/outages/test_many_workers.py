"""Fifty sender threads in five processes keep each sender's limit, and reach it."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis

from smtp_admin.delivery.doorbell import doorbell, queue_name
from smtp_admin.delivery.limits import HOUR
from smtp_admin.senders.cleaning import MOST_CONNECTIONS
from tests.app import HostApp
from tests.delivery.workbench import deliveries, queue, sender_row
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import Site, Worker, until

from .surroundings import Query, ready

pytestmark = pytest.mark.long

PROCESSES, THREADS = 5, 10
#: A tenth of the limit is kept for urgent mail.
LIMIT, FOR_ALL = 80, 72
#: One sender has at most twenty connections: three of them keep fifty threads busy.
PARTNERS = ("acme", "globex", "initech")
SECONDS = 90


class Crowd:
    """The workers, and how much of each partner's mail the mail server has by now."""

    def __init__(
        self, host: HostApp, query: Query, sink: ScriptedServer, redis: Redis, workers: list[Worker]
    ) -> None:
        self._host, self._query, self._sink, self._redis = host, query, sink, redis
        self._workers = workers
        self._queue = f"rq:queue:{queue_name(host.db.engine)}"
        self._sender_ids = [sender_row(host, partner_id).id for partner_id in PARTNERS]
        host.db.session.rollback()

    def sent(self) -> dict[str, int]:
        """What each sender has sent, by the mail server's own books."""
        seen = [message.mail_from for message in list(self._sink.messages)]
        return {partner_id: seen.count(f"noreply@{partner_id}.example") for partner_id in PARTNERS}

    def settles_at(self, count: int) -> bool:
        """Whether every sender gets to *count*, and no further however often workers are called."""
        expected = dict.fromkeys(PARTNERS, count)
        self._call(1)
        if not until(lambda: self.sent() == expected, SECONDS):
            return False
        self._call(PROCESSES * THREADS)
        return until(self._quiet, SECONDS) and self.sent() == expected

    def _call(self, times: int) -> None:
        bell = doorbell(self._host.installation)
        for _ in range(times):
            for sender_id in self._sender_ids:
                bell.ring(sender_id, urgent=True)

    def _quiet(self) -> bool:
        held = "SELECT 1 FROM smtp_admin_lane WHERE lease IS NOT NULL"
        return not self._redis.llen(self._queue) and not self._query.run(held)

    def __str__(self) -> str:
        return "\n".join([str(self.sent()), *(worker.output for worker in self._workers)])


@contextlib.contextmanager
def crowd(uri: str, folder: Path, redis: RedisServer) -> Iterator[tuple[HostApp, Crowd]]:
    site = Site(folder, redis.url, uri=uri)
    with (
        ScriptedServer() as sink,
        site.opened() as host,
        contextlib.closing(Redis.from_url(redis.url)) as connection,
        contextlib.ExitStack() as stack,
    ):
        for partner_id in PARTNERS:
            host.save_sender(
                partner_id, port=sink.port, max_per_hour=LIMIT, max_connections=MOST_CONNECTIONS
            )
        workers = [
            stack.enter_context(site.worker("--concurrency", str(THREADS)))
            for _ in range(PROCESSES)
        ]
        for worker in workers:
            ready(worker)
        yield host, Crowd(host, Query(uri), sink, connection, workers)


def queue_for_all(host: HostApp, *, urgent: int, ordinary: int = 0) -> None:
    reset = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}
    for partner_id in PARTNERS:
        for number in range(urgent):
            to = f"u{number}@example.org"
            host.plugin.send("password_reset", to=to, partner_id=partner_id, context=reset)
        names = [f"r{number}@example.org" for number in range(ordinary)]
        if names:
            queue(host, *names, partner_id=partner_id)
        host.db.session.commit()


def move_back(host: HostApp, count: int | None = None) -> None:
    """Let the *count* oldest sent mails of each partner, or all, have been sent an hour earlier."""
    sent = [one for one in deliveries(host) if one.finished_at is not None]
    for partner_id in PARTNERS:
        own = sorted(
            (one for one in sent if one.partner_id == partner_id),
            key=lambda one: (one.finished_at, one.id),
        )
        for one in own[:count]:
            assert one.finished_at is not None
            one.finished_at -= HOUR
    host.db.session.commit()


def most_in_an_hour(host: HostApp, partner_id: str) -> int:
    """The most mails that were sent in any sixty minutes."""
    times = sorted(
        one.finished_at
        for one in deliveries(host)
        if one.partner_id == partner_id and one.finished_at is not None
    )
    return max(sum(timedelta() <= other - one < HOUR for other in times) for one in times)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "database",
    ["sqlite", "postgresql", pytest.param("mariadb", marks=pytest.mark.long)],
    indirect=True,
)
def test_fifty_threads_send_what_the_limit_allows_and_no_mail_more(
    database: str, tmp_path: Path, redis: RedisServer
) -> None:
    with crowd(database, tmp_path / "site", redis) as (host, workers):
        queue_for_all(host, urgent=20, ordinary=170)
        assert workers.settles_at(FOR_ALL), workers
        queue_for_all(host, urgent=10)
        assert workers.settles_at(LIMIT), workers
        move_back(host, 30)
        # Fifty of this hour are left. Two urgent ones waited, and the last eight are kept again.
        assert workers.settles_at(LIMIT + FOR_ALL - 50), workers
        move_back(host)
        assert workers.settles_at(LIMIT + FOR_ALL - 50 + FOR_ALL), workers
        for partner_id in PARTNERS:
            assert most_in_an_hour(host, partner_id) <= LIMIT
        assert all((one.attempts, one.uncertains) == (0, 0) for one in deliveries(host))
