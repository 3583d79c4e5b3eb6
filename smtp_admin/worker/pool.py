"""The sender threads of one worker process."""

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from smtp_admin.delivery.engine import Bench, work_lane
from smtp_admin.transports.base import Transport

log = logging.getLogger(__name__)


class SenderThreads:
    """*count* threads, each sending for one lane at a time.

    Args:
        make_bench: makes what one thread works with, given a function that is told which
            transport is in use.
        again: told the sender whose time slice ended with more to do, after the thread is free.
        stopping: set when no new lane should be begun.
    """

    def __init__(
        self,
        count: int,
        make_bench: Callable[[Callable[[Transport | None], None]], Bench],
        again: Callable[[int], None],
        stopping: threading.Event,
    ) -> None:
        self._make_bench = make_bench
        self._again = again
        self._stopping = stopping
        self._lanes: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._free = threading.Semaphore(count)
        self._busy = 0
        self._quiet = threading.Condition()
        self._in_use: dict[int, Transport] = {}
        self._threads = [
            threading.Thread(target=self._run, name=f"sender {number}", daemon=True)
            for number in range(1, count + 1)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def wait_until_free(self, seconds: float) -> bool:
        """Whether a thread is free, or becomes so in time; it is not reserved."""
        if self._free.acquire(timeout=seconds):
            self._free.release()
            return True
        return False

    def submit(self, sender_id: int) -> None:
        """Hand a lane to the next free thread, waiting for one; nothing happens when stopping."""
        while not self._free.acquire(timeout=0.5):
            if self._stopping.is_set():
                return
        with self._quiet:
            self._busy += 1
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
        if not finished:
            for transport in list(self._in_use.values()):
                with suppress(OSError):
                    transport.abort()
        for thread in self._threads:
            thread.join(timeout=3.0)

    def _run(self) -> None:
        me = threading.get_ident()

        def watch(transport: Transport | None) -> None:
            if transport is None:
                self._in_use.pop(me, None)
            else:
                self._in_use[me] = transport

        bench = self._make_bench(watch)
        while True:
            sender_id = self._lanes.get()
            if sender_id is None:
                break
            more = self._work(bench, sender_id)
            with self._quiet:
                self._busy -= 1
                self._quiet.notify_all()
            self._free.release()
            if more and not self._stopping.is_set():
                self._again(sender_id)

    @staticmethod
    def _work(bench: Bench, sender_id: int) -> bool:
        try:
            with bench.app.app_context():
                return work_lane(bench, sender_id)
        except DBAPIError as error:
            log.warning("the database is away (%s); the sweeper tries again", type(error).__name__)
        except Exception:  # a thread that dies would silently halve the worker
            log.exception("a lane failed; its mail is looked after when the lease runs out")
        return False
