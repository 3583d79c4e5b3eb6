"""Scenes in which a database fails at a chosen moment while a real worker sends."""

import contextlib
import math
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from smtp_admin.delivery.leases import HEARTBEAT_SECONDS
from tests.delivery.workbench import queue
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer, Session
from tests.worker.running import Site, Worker, until

from .surroundings import FAILING, FailingDatabase, Query, ready

__all__ = ["MAILS", "PROMISED_SECONDS", "Ending", "Endings", "Scene", "Stage", "play_all"]

MAILS = 60
#: How long after its return everything must be where it would be without the failure.
PROMISED_SECONDS = 60
_DOT_SECONDS = 0.02
#: Without a beat for so long, nobody holds the lane any more, whatever its lease says.
_SILENT_SECONDS = HEARTBEAT_SECONDS + 3

_migrating = threading.Lock()


@dataclass
class Stage:
    """What a scene is played on. The sender has one connection, so the mails go in order.

    Attributes:
        at_dot: what happens before the mail of this number, from 1, is accepted.
    """

    database: FailingDatabase
    query: Query
    uri: str
    sink: ScriptedServer
    site: Site
    at_dot: dict[int, Callable[[], None]] = field(default_factory=dict)

    def queue_mails(self) -> None:
        """Sixty mails, each to somebody else."""
        names = [f"r{number}@example.org" for number in range(MAILS)]
        with self.site.opened() as host:
            queue(host, *names)

    def gate(self, state: str) -> None:
        """Let no delivery enter *state* while somebody keeps the gate closed."""
        for statement in self.database.gate:
            self.query.run(statement.format(state=state))

    def closed_gate(self) -> contextlib.AbstractContextManager[None]:
        """Keep it closed; a crash of the server opens it too."""
        return self.query.held(self.database.lock)

    def wait_at_gate(self) -> None:
        """Wait until somebody stands before the gate."""
        assert self.query.wait_for(self.database.at_gate), "nobody came to the gate"

    def dot(self, _server: ScriptedServer, _session: Session, _line: str) -> None:
        """The sink's answer to each mail, a little slow."""
        time.sleep(_DOT_SECONDS)
        act = self.at_dot.pop(self.sink.occurrences("dot"), None)
        if act is not None:
            act()


#: Queues the mails, lets the server fail, and returns when it is back.
Scene = Callable[[Stage], None]


@dataclass(frozen=True)
class Ending:
    """What became of the mails.

    Attributes:
        seconds: from the server's return until everything was sent; infinite if it never was.
        orphans: deliveries on their way under a lease that no lane holds: nobody ends them.
        uncertains: how often an outcome was unknown.
        missing: recorded as sent, but the mail server has no copy.
    """

    seconds: float
    states: dict[str, int]
    orphans: int
    uncertains: int
    copies: Tally[str]
    missing: set[str]
    worker_lived: bool
    output: str


#: Each scene's ending, or why there was none.
Endings = dict[Scene, Future[Ending]]


def play_all(kind: str, scenes: Sequence[Scene], folder: Path, *, hurry: bool) -> Endings:
    """Play all scenes side by side, each on a server of its own, until all are over.

    Args:
        kind: of the database.
        hurry: let leases and rests end as soon as nobody waits for them any more.
    """
    with ThreadPoolExecutor(len(scenes)) as threads:
        return {
            scene: threads.submit(_play, kind, scene, folder / scene.__name__, hurry=hurry)
            for scene in scenes
        }


def _play(kind: str, scene: Scene, folder: Path, *, hurry: bool) -> Ending:
    with (
        FAILING[kind](folder / "database") as database,
        RedisServer(folder / "redis") as redis,
        ScriptedServer() as sink,
    ):
        uri = database.create_database()
        with _migrating:  # Alembic migrates one database at a time.
            site = Site(folder / "site", redis.url, uri=uri)
        with site.opened() as host:
            host.save_sender(port=sink.port, max_connections=1)
        stage = Stage(database, Query(uri), uri, sink, site)
        sink.behave("dot", stage.dot)
        with site.worker() as worker:
            ready(worker)
            scene(stage)
            back_at = time.monotonic()
            _wait(stage, hurry=hurry)
            took = time.monotonic() - back_at
            return _ending(stage, worker, took)


def _wait(stage: Stage, *, hurry: bool) -> None:
    """Until everything was sent, or a promise is broken already, or the time is over."""
    leases: list[tuple[object, ...]] = []
    since = time.monotonic()

    def over() -> bool:
        nonlocal leases, since
        states = _states(stage.query)
        if states == {"sent": MAILS} or _orphans(stage.query):
            return True
        if hurry:
            now = stage.query("SELECT lease, lease_until FROM smtp_admin_lane ORDER BY id")
            if now != leases:
                leases, since = now, time.monotonic()
            elif time.monotonic() - since > _SILENT_SECONDS:
                stage.query("UPDATE smtp_admin_lane SET lease_until = '2020-01-01'")
            stage.query(
                "UPDATE smtp_admin_delivery SET next_attempt_at = '2020-01-01' "
                "WHERE state = 'uncertain'"
            )
        time.sleep(0.1)
        return False

    until(over, PROMISED_SECONDS)


def _states(query: Query) -> dict[str, int]:
    return dict(query("SELECT state, count(*) FROM smtp_admin_delivery GROUP BY state"))


def _orphans(query: Query) -> int:
    rows = query(
        "SELECT count(*) FROM smtp_admin_delivery WHERE state = 'sending' AND lease NOT IN "
        "(SELECT lease FROM smtp_admin_lane WHERE lease IS NOT NULL)"
    )
    return int(rows[0][0]) if rows else 0


def _ending(stage: Stage, worker: Worker, took: float) -> Ending:
    states = _states(stage.query)
    copies = Tally(message.recipients[0] for message in stage.sink.messages)
    sent = stage.query("SELECT recipient FROM smtp_admin_delivery WHERE state = 'sent'")
    uncertains = stage.query("SELECT sum(uncertains) FROM smtp_admin_delivery")
    return Ending(
        seconds=took if states == {"sent": MAILS} else math.inf,
        states=states,
        orphans=_orphans(stage.query),
        uncertains=int(uncertains[0][0]),
        copies=copies,
        missing={row[0] for row in sent} - set(copies),
        worker_lived=worker.alive,
        output=worker.output,
    )
