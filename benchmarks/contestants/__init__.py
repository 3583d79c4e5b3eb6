"""Who is measured, and how: everything queued, then let go, until the sink has everything."""

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from benchmarks.stage import Stage

__all__ = ["Contestant", "Ready", "Run", "Task", "measure"]


@dataclass(frozen=True)
class Task:
    """What is to be sent where.

    Attributes:
        port: of the mail server, on loopback.
        connections: to it, at most.
    """

    stage: Stage
    port: int
    connections: int
    count: int


class Ready(Protocol):
    """A contestant whose mail is queued and whose worker waits for the word."""

    def go(self) -> None:
        """Let the worker begin."""

    def check(self) -> None:
        """Raise if the worker has died."""

    def settle(self) -> None:
        """Wait for what belongs to the work after the sink took the last mail."""

    def processor(self) -> float | None:
        """Seconds of the processor that it has used so far, if one process does all of it."""


class Contestant(Protocol):
    """One way of sending.

    Attributes:
        share: the part of the mails that is enough to know a slow one's speed.
    """

    name: str
    share: float

    def install(self) -> str:
        """Make sure that everything is there; names and versions, for the notes.

        Raises:
            Unavailable: something cannot be had.
        """

    def ready(self, task: Task) -> AbstractContextManager[Ready]:
        """Queue the mails and start the worker, held back."""


@dataclass(frozen=True)
class Run:
    """How long one contestant took once.

    Attributes:
        samples: how many mails were accepted when (seconds of a clock of their own).
        processor: seconds of the processor, where that is known.
    """

    count: int
    seconds: float
    samples: list[tuple[float, int]]
    processor: float | None = None

    @property
    def speed(self) -> float:
        """Mails per second."""
        return self.count / self.seconds

    @property
    def steady_speed(self) -> float:
        """The same between a tenth and nine tenths: without opening connections and tails."""
        base = self.samples[0][1]
        inner = [
            (when, count)
            for when, count in self.samples
            if 0.1 * self.count <= count - base <= 0.9 * self.count
        ]
        (first, low), (last, high) = inner[0], inner[-1]
        return (high - low) / (last - first)


def measure(contestant: Contestant, task: Task) -> Run:
    """Let one contestant do its task."""
    sink = task.stage.sink
    task.stage.redis.flush()
    with contestant.ready(task) as ready:
        before = sink.accepted
        used = ready.processor()
        began = time.perf_counter()
        ready.go()
        samples = sink.wait_for(before + task.count, ready.check)
        ready.settle()
        seconds = time.perf_counter() - began
        used_by_now = ready.processor()
    return Run(
        task.count,
        seconds,
        [(when, count - before) for when, count in samples],
        used_by_now - used if used is not None and used_by_now is not None else None,
    )
