"""SIGTERM ends a worker within ten seconds, whatever it is doing, and loses nothing.

The scenes take some seconds each, so they are played side by side, once, before the tests.
"""

import time
from collections import Counter as Tally
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from smtp_admin.delivery.models import Lane
from tests.app import HostApp
from tests.delivery.workbench import deliveries, queue, sender_row
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer, Session, Stall
from tests.worker.running import PROMPTLY, Site, Worker, until


@dataclass(frozen=True)
class Ending:
    """How a worker ended, and what it left behind."""

    seconds: float
    states: dict[str, int]
    held_lanes: int
    pause_code: str
    errors: set[str]
    copies: int
    output: str


Scene = Callable[[HostApp, ScriptedServer, RedisServer, Worker], None]


def idle(host: HostApp, server: ScriptedServer, redis: RedisServer, worker: Worker) -> None:
    queue(host)
    assert server.wait_for_messages(1)
    assert until(lambda: deliveries(host)[0].state == "sent")


def slow_dot(host: HostApp, server: ScriptedServer, redis: RedisServer, worker: Worker) -> None:
    server.behave("dot", Stall())
    queue(host, "a@example.org", "b@example.org", "c@example.org")
    assert until(lambda: server.occurrences("dot") == 1)


def stalled_greeting(
    host: HostApp, server: ScriptedServer, redis: RedisServer, worker: Worker
) -> None:
    server.behave("greeting", Stall())
    queue(host, "a@example.org", "b@example.org")
    assert until(lambda: server.occurrences("greeting") == 1)


def stalled_handshake(
    host: HostApp, server: ScriptedServer, redis: RedisServer, worker: Worker
) -> None:
    server.behave("greeting", Stall())
    host.save_sender(port=server.port, security="ssl", max_connections=1)
    queue(host, "a@example.org", "b@example.org")
    assert until(lambda: server.occurrences("greeting") == 1)


def stalled_recipient(
    host: HostApp, server: ScriptedServer, redis: RedisServer, worker: Worker
) -> None:
    server.behave("rcpt", Stall())
    queue(host, "a@example.org", "b@example.org")
    assert until(lambda: server.occurrences("rcpt") == 1)


def middle_of_a_batch(
    host: HostApp, server: ScriptedServer, redis: RedisServer, worker: Worker
) -> None:
    def slowly(_server: ScriptedServer, _session: Session, _line: str) -> None:
        time.sleep(0.1)

    server.behave("dot", slowly)
    queue(host, *(f"r{number}@example.org" for number in range(200)))
    assert len(server.wait_for_messages(10)) >= 10


def silent_redis(host: HostApp, server: ScriptedServer, redis: RedisServer, worker: Worker) -> None:
    idle(host, server, redis, worker)
    redis.pause()


def silent_redis_at_start(
    host: HostApp, server: ScriptedServer, redis: RedisServer, worker: Worker
) -> None:
    redis.pause()


SCENES: tuple[Scene, ...] = (
    idle,
    slow_dot,
    stalled_greeting,
    stalled_handshake,
    stalled_recipient,
    middle_of_a_batch,
    silent_redis,
    silent_redis_at_start,
)


def play(scene: Scene, redis: RedisServer, site: Site) -> Ending:
    with redis, ScriptedServer() as server, site.opened() as host, site.worker() as worker:
        host.save_sender(port=server.port, max_connections=1)
        worker.ready()
        scene(host, server, redis, worker)
        seconds = worker.stop()
        return Ending(
            seconds,
            dict(Tally(one.state for one in deliveries(host))),
            len(host.db.session.scalars(select(Lane.id).where(Lane.lease.is_not(None))).all()),
            sender_row(host).pause_code,
            {one.last_error for one in deliveries(host)} - {""},
            len(server.messages),
            worker.output,
        )


Endings = dict[Scene, Ending]
#: Seconds; so much longer than anything takes that one sees whether it was waited for.
_LONG_GRACE = 60


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> Endings:
    folders = [tmp_path_factory.mktemp(scene.__name__) for scene in SCENES]
    servers = [RedisServer(folder / "redis") for folder in folders]
    for server in servers:
        server.start()
    # Alembic migrates one database at a time.
    sites = [Site(folder, redis.url) for folder, redis in zip(folders, servers, strict=True)]
    with (sites[SCENES.index(idle)].folder / "app.py").open("a") as app:
        app.write(
            f"\nfrom smtp_admin.worker import process\nprocess.GRACE_SECONDS = {_LONG_GRACE}\n"
        )
    with ThreadPoolExecutor(len(SCENES)) as threads:
        return dict(zip(SCENES, threads.map(play, SCENES, servers, sites), strict=True))


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_it_ends_in_time(endings: Endings, scene: Scene) -> None:
    assert endings[scene].seconds < PROMPTLY
    assert "Traceback" not in endings[scene].output


def test_idle_ends_at_once(endings: Endings) -> None:
    """Before its grace is over; it would be too late by then."""
    assert endings[idle].seconds < PROMPTLY < _LONG_GRACE
    assert endings[idle].states == {"sent": 1}


def test_an_unanswered_dot_is_uncertain_and_the_rest_goes_back(endings: Endings) -> None:
    ending = endings[slow_dot]
    assert ending.seconds > 6, "the answer may still come"
    assert ending.states == {"uncertain": 1, "queued": 2}
    assert ending.held_lanes == 0


@pytest.mark.parametrize("scene", [stalled_greeting, stalled_handshake, stalled_recipient])
def test_what_was_not_begun_goes_back(endings: Endings, scene: Scene) -> None:
    assert endings[scene].states == {"queued": 2}
    assert endings[scene].held_lanes == 0


@pytest.mark.parametrize(
    "scene", [slow_dot, stalled_greeting, stalled_handshake, stalled_recipient]
)
def test_our_own_end_is_not_the_servers_fault(endings: Endings, scene: Scene) -> None:
    """The next worker, a second after a deployment, must not find the sender paused."""
    assert endings[scene].pause_code == ""
    assert endings[scene].errors == {"The worker was stopped before the server answered."}


def test_a_batch_is_finished_where_it_stands(endings: Endings) -> None:
    ending = endings[middle_of_a_batch]
    assert ending.copies < 200, "all of them take twenty seconds"
    assert ending.states == {"sent": ending.copies, "queued": 200 - ending.copies}
    assert ending.held_lanes == 0
