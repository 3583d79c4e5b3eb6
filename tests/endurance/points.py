"""One sender, ten mails in one batch, and a worker that dies at an exact step of sending them."""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from queue import Queue
from typing import Any

from tests.app import HostApp
from tests.delivery.workbench import Workbench
from tests.endurance.mortal import Fate, Mortal
from tests.endurance.sink import Sink
from tests.endurance.sites import AnySite, queue_each, wait_for_last_words
from tests.patience import SECONDS
from tests.servers.scripted import ScriptedServer, Session, Stage, Step
from tests.worker.running import until

__all__ = ["LATER", "MAILS", "PASSWORD", "MakeBench", "Point", "after", "die", "ten_mails"]

MakeBench = Callable[..., Workbench]
PASSWORD = "secret"
MAILS = 10
#: Longer than an unknown outcome rests, and than a sender pauses that sent too fast.
LATER = timedelta(minutes=6)


@dataclass(frozen=True)
class Point:
    """One step, and what is left there.

    Attributes:
        fate: a step in the worker itself, or
        stage: one that the mail server sees; the worker is killed before it is answered.
        left: how many mails are in each state after the rescue.
        repeats: how many of them arrived, and are sent again because nobody knows.
    """

    name: str
    left: dict[str, int]
    repeats: int = 0
    fate: Fate | None = None
    stage: tuple[Stage, int] | None = None
    answer: bytes | None = None
    script: dict[Stage, list[Step]] = field(default_factory=dict)
    constants: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def after(sent: int, unknown: int = 1) -> dict[str, int]:
    """So many sent, and the next one's outcome unknown."""
    left = {"sent": sent, "uncertain": unknown, "queued": MAILS - sent - unknown}
    return {state: count for state, count in left.items() if count}


def ten_mails(host: HostApp, sink: Sink, bench_of: MakeBench) -> Workbench:
    """Ten mails of one sender, and a bench for whoever comes after the worker."""
    host.save_sender(port=sink.port, max_connections=1, username="user", password=PASSWORD)
    queue_each(host, (f"r{number}@example.org" for number in range(MAILS)))
    made = bench_of(host)
    made.redis.ping()
    return made


def die(site: AnySite, sink: Sink, bench: Workbench, point: Point) -> None:
    """Run a worker until its end there, and wait until its last words are heard."""
    clients = len(bench.redis.client_list())
    started: Queue[Mortal] = Queue()

    def kill(server: ScriptedServer, session: Session, line: str) -> bytes | None:
        # What was answered before has been understood; else the step would not be exact.
        assert line == "QUIT" or until(lambda: journalled(bench) >= len(sink.accepted))
        started.get(timeout=SECONDS).signal(signal.SIGKILL)
        return point.answer

    if point.stage is not None:
        stage, occurrence = point.stage
        sink.behave(stage, [*[None] * (occurrence - 1), kill, None])
    options = ("--burst", "--concurrency", "1")
    with Mortal(site.folder, *options, fate=point.fate, constants=point.constants) as worker:
        started.put(worker)
        # Nobody waits long for the answer to QUIT: the worker may have ended by itself.
        ends = {-signal.SIGKILL, 0} if point.stage == ("quit", 1) else {-signal.SIGKILL}
        assert worker.wait() in ends, worker.output
    wait_for_last_words(bench.redis, clients)


def journalled(bench: Workbench) -> int:
    """How many mails the journal says were taken."""
    journals: list[Any] = [
        bench.redis.lrange(key, 0, -1) for key in bench.redis.scan_iter("smtp_admin:journal:*")
    ]
    return sum(entry.startswith(b"a:") for entries in journals for entry in entries)
