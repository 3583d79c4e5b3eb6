"""The sender threads of one worker process."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from smtp_admin.delivery.engine import WorkerContext, work_lane
from smtp_admin.transports.base import Transport

log = logging.getLogger(__name__)

#: A lane whose server has said nothing for so long no longer counts as a thread in use.
SLOW_SECONDS = 5.0
#: Threads at most, for each one that was asked for.
MOST_THREADS = 4


@dataclass(slots=True, eq=False)
class _Running:
    """What one thread is doing."""

    moved_at: float = field(default_factory=time.monotonic)
    transport: Transport | None = None
    #: Whether its place was given to another lane while it waits.
    stood_aside: bool = False

    def moved(self) -> None:
        self.moved_at = time.monotonic()

    def watch(self, transport: Transport | None) -> None:
        self.transport = transport
        self.moved()


#: Given what is told which transport is in use, and what is told of each outcome.
MakeContext = Callable[[Callable[[Transport | None], None], Callable[[], None]], WorkerContext]


class SenderThreads:
    """*count* lanes at a time, each worked by a thread.

    A mail server may take ten minutes to answer a final dot, and a few of them would hold up
    everybody. So a lane that waits long stands aside: another is worked in its place, by up to
    four times as many threads.

    Args:
        make_context: makes what one thread works with, given who is told which transport is in use,
            and who is told of progress.
        again: told the sender whose time slice ended with more to do, after the thread is free.
        stopping: set when no new lane should be begun.
    """

    def __init__(
        self,
        count: int,
        make_context: Callable[
            [Callable[[Transport | None], None], Callable[[], None]], WorkerContext
        ],
        again: Callable[[int], None],
        stopping: threading.Event,
    ) -> None:
        self._most = count * MOST_THREADS
        self._make_context = make_context
        self._again = again
        self._stopping = stopping
        self._lanes: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._free = threading.Semaphore(count)
        self._wanted = threading.Event()
        self._busy = 0
        self._quiet = threading.Condition()
        self._running: set[_Running] = set()
        self._threads: list[threading.Thread] = []

    def wait_until_free(self, seconds: float) -> bool:
        """Whether a thread is free, or becomes so in time; it is not reserved."""
        if self._acquire(seconds):
            self._free.release()
            return True
        return False

    def want(self) -> None:
        """A lane waits for a thread: those that have worked for a while give way."""
        self._wanted.set()

    @property
    def wanted(self) -> bool:
        """Whether a lane waits and no thread is free."""
        return self._wanted.is_set()

    def submit(self, sender_id: int) -> None:
        """Hand a lane to the next free thread, waiting for one; nothing happens when stopping."""
        while not self._acquire(0.5):
            if self._stopping.is_set():
                return
        self._wanted.clear()
        with self._quiet:
            self._busy += 1
            if self._busy > len(self._threads):
                thread = threading.Thread(
                    target=self._run, name=f"sender {self._busy}", daemon=True
                )
                self._threads.append(thread)
                thread.start()
        self._lanes.put(sender_id)

    def wait_until_quiet(self) -> None:
        """Wait until no lane is being worked."""
        with self._quiet:
            self._quiet.wait_for(lambda: self._busy == 0)

    def stop(self, grace: float) -> None:
        """Let every thread finish the message in flight; after *grace* seconds cut them off.

        What was cut after its last byte was written is recorded as unknown, not lost.
        """
        for _ in self._threads:
            self._lanes.put(None)
        with self._quiet:
            finished = self._quiet.wait_for(lambda: self._busy == 0, timeout=grace)
            in_use = [one.transport for one in self._running if one.transport is not None]
        if not finished:
            for transport in in_use:
                with suppress(OSError):
                    transport.abort()
        ends = time.monotonic() + 3.0
        for thread in self._threads:
            thread.join(timeout=max(0.0, ends - time.monotonic()))

    def _acquire(self, seconds: float) -> bool:
        """Take a place, also one whose lane has been waiting for its server for long."""
        ends = time.monotonic() + seconds
        while not self._free.acquire(timeout=min(seconds, 0.2)):
            self._let_the_slow_stand_aside()
            if time.monotonic() >= ends:
                return self._free.acquire(blocking=False)
        return True

    def _let_the_slow_stand_aside(self) -> None:
        since = time.monotonic() - SLOW_SECONDS
        with self._quiet:
            if self._busy >= self._most:
                return
            for one in self._running:
                if not one.stood_aside and one.moved_at < since:
                    one.stood_aside = True
                    self._free.release()
                    return

    def _run(self) -> None:
        while True:
            sender_id = self._lanes.get()
            if sender_id is None:
                break
            running = _Running()
            with self._quiet:
                self._running.add(running)
            more = self._work(self._make_context(running.watch, running.moved), sender_id)
            with self._quiet:
                self._running.remove(running)
                self._busy -= 1
                if not running.stood_aside:
                    self._free.release()
                self._quiet.notify_all()
            if more and not self._stopping.is_set():
                try:
                    self._again(sender_id)
                except SQLAlchemyError as error:  # a thread that dies is missed
                    log.warning("nobody was called again (%s)", type(error).__name__)

    @staticmethod
    def _work(context: WorkerContext, sender_id: int) -> bool:
        try:
            with context.app.app_context():
                return work_lane(context, sender_id)
        except DBAPIError as error:
            log.warning("the database is away (%s); the sweeper tries again", type(error).__name__)
        except BaseException:  # a thread that dies would silently halve the worker
            log.exception("a lane failed; its mail is looked after when the lease runs out")
        return False
