"""The database's side of a lane: claim the next batch and write results down while it is sending.

One thing happens after the other. A claim that succeeds on a connection that was open before the
last results were written proves that these are on the disk: the database has not crashed since. On
a younger connection they are written once more first.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from flask import Flask
from sqlalchemy import Connection

from smtp_admin.config import Config
from smtp_admin.database import opened_at
from smtp_admin.database_errors import AWAY
from smtp_admin.delivery import gate, lanes
from smtp_admin.delivery.announcements import announce
from smtp_admin.delivery.checks import still_wanted
from smtp_admin.delivery.claim import Batch, Claimed, claim
from smtp_admin.delivery.lane_connection import LaneConnection
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.record import Recorded, Result, give_back, record
from smtp_admin.delivery.sender_headers import with_sender_headers
from smtp_admin.delivery.suppressed_claims import without_suppressed
from smtp_admin.sandbox.site import may_act
from smtp_admin.senders.resolve import ResolvedSender

log = logging.getLogger(__name__)

_T = TypeVar("_T")
#: Results of a slow server are not kept until its batch is done.
_GROUP_SECONDS = 0.5
_DATABASE_WAITS = (0.2, 1.0, 3.0)


class LaneDatabase:
    """Claims and records for one time slice on one lane; called by one thread.

    Args:
        stopping: cuts the waits between tries short.
    """

    def __init__(
        self,
        app: Flask,
        config: Config,
        connection: LaneConnection,
        lane: HeldLane,
        worker: str,
        stopping: threading.Event,
    ) -> None:
        self._app = app
        self._config = config
        self._connection = connection
        self._lane = lane
        self._worker = worker
        self._stopping = stopping
        self._known: dict[int, ResolvedSender] = {}
        self._beside: _Background | None = None
        self._asked: Future[Batch | None] | None = None
        self._writing: list[Future[None]] = []
        self._results: list[Result] = []
        self._since = time.monotonic()
        #: Committed, but perhaps not yet on the disk; a database that crashed has forgotten them.
        self._written: list[Result] = []
        #: When the first of them was, by this machine's monotonic clock, and with which settings.
        self._written_at, self._revision = 0.0, 0
        self._committed_at = 0.0

    def claim(self, size: int) -> Batch | None:
        """Up to *size* mails, each with its From header; ``None`` when nothing is to be done."""
        return self._do(lambda: self._claim(size))

    def claim_ahead(self, size: int) -> None:
        """Begin to claim while the caller goes on; :meth:`claimed` has the answer."""
        if self._beside is None:
            self._beside = _Background(self._app)
        self._asked = self._beside.begin(lambda: self._claim(size))

    @property
    def asked(self) -> bool:
        """Whether an answer is to be had from :meth:`claimed`."""
        return self._asked is not None

    def claimed(self, seconds: float | None = None) -> Batch | None:
        """What :meth:`claim_ahead` got, once; ``None`` also if it takes longer than *seconds*."""
        if self._asked is None:
            return None
        with suppress(TimeoutError):
            batch = self._asked.result(seconds)
            self._asked = None
            return batch
        return None

    def enter(self, result: Result) -> None:
        """Add a result to those that are to be written."""
        if not self._results:
            self._since = time.monotonic()
        self._results.append(result)

    @property
    def due(self) -> bool:
        """Whether the oldest result has waited long enough."""
        return bool(self._results) and time.monotonic() - self._since >= _GROUP_SECONDS

    def write(self, sender: ResolvedSender, moment: datetime) -> None:
        """Commit what was entered, beside the caller if it has begun to claim ahead.

        Args:
            sender: what it was sent with.
            moment: the database's time.
        """
        results, self._results = self._results, []
        if not results:
            return
        if self._beside is None:
            self._write(results, sender, moment)
            return
        self._writing = [one for one in self._writing if not one.done() or one.exception()]
        self._writing.append(self._beside.begin(lambda: self._write(results, sender, moment)))

    @property
    def failed(self) -> bool:
        """Whether something could not be written; :meth:`settle` says why."""
        return any(one.done() and one.exception() for one in self._writing)

    def settle(self) -> None:
        """Wait until everything is written.

        Raises:
            DBAPIError: some of it could not be.
        """
        for one in self._writing:
            one.result()
        self._writing.clear()

    def give_back(self, ids: Iterable[int]) -> None:
        """Return mails that were not touched to the queue."""
        self._do(lambda: self._give_back(ids))

    def release(self) -> bool:
        """Give the lane back, with everything written; whether a bell came in the meantime."""
        with self._proven() as database:
            return lanes.release(database, self._lane)

    def rest(self) -> None:
        """Need no connection until further notice; from any thread, and never waits."""
        self._connection.rest()

    def close(self) -> None:
        """Finish what was begun."""
        if self._beside is not None:
            self._beside.close()
            self._beside = None

    def _do(self, work: Callable[[], _T]) -> _T:
        return work() if self._beside is None else self._beside.begin(work).result()

    @contextmanager
    def _proven(self) -> Iterator[Connection]:
        """A connection on which a commit proves that what was written before is on the disk."""
        with self._connection.used() as database:
            if self._written and opened_at(database) > self._written_at:
                log.debug("%d results are older than the connection, and written once more",
                          len(self._written))  # fmt: skip
                self._record_again(self._written, self._revision, None)
            yield database

    def _give_back(self, ids: Iterable[int]) -> None:
        with self._connection.used() as database:
            give_back(database, self._lane, ids)

    def _claim(self, size: int) -> Batch | None:
        with self._proven() as database:
            while (batch := self._claim_some(database, size)) is not None:
                self._written.clear()
                allowed = self._allowed(database, batch)
                own = with_sender_headers(
                    database,
                    allowed,
                    batch.sender,
                    copies=self._config.sandbox is None,
                )
                wanted = still_wanted(database, self._lane, own)
                if wanted:
                    # Copies to the archive that came with the headers are due as well.
                    copied = batch.sender.values.archive_to and own is not allowed
                    more = batch.more or bool(copied)
                    wanted = self._redirected(database, batch, wanted)
                    return replace(batch, deliveries=wanted, more=more)
        return None

    def _claim_some(self, database: Connection, size: int) -> Batch | None:
        if not may_act(database):
            return None
        return claim(database, self._lane, size, self._known)

    def _allowed(self, database: Connection, batch: Batch) -> list[Claimed]:
        allowed, sandbox = batch.deliveries, self._config.sandbox
        if sandbox is not None:
            allowed = gate.hold_back(database, self._lane, allowed, sandbox)
        return without_suppressed(database, self._lane, allowed)

    def _redirected(
        self, database: Connection, batch: Batch, deliveries: list[Claimed]
    ) -> list[Claimed]:
        # Last: the headers that the sender has just put on are rewritten too.
        sandbox = self._config.sandbox
        if sandbox is None or not sandbox.redirect:
            return deliveries
        return gate.redirect(
            database,
            deliveries,
            sandbox.redirect,
            revision=batch.sender.revision,
            worker=self._worker,
        )

    def _write(self, results: list[Result], sender: ResolvedSender, moment: datetime) -> None:
        recorded = self._persist(results, sender.revision, moment)
        if not self._written:
            self._written_at = self._committed_at
        self._written += results
        self._revision = sender.revision
        announce(self._app, sender, recorded)

    def _persist(self, results: list[Result], revision: int, moment: datetime) -> Recorded:
        try:
            return self._record(results, revision, moment)
        except AWAY:
            log.warning("the database did not take %d results; trying again", len(results))
        # What it took before may be lost as well. Whatever is not finds its guard gone and
        # changes nothing, also where a commit succeeded and only its answer was lost.
        everything = [*self._written, *results]
        for wait in _DATABASE_WAITS:
            self._stopping.wait(wait)
            with suppress(*AWAY):
                return self._record_again(everything, revision, moment)
        return self._record_again(everything, revision, moment)

    def _record_again(
        self, results: list[Result], revision: int, moment: datetime | None
    ) -> Recorded:
        recorded = self._record(results, revision, moment)
        self._written_at = self._committed_at
        return recorded

    def _record(self, results: list[Result], revision: int, moment: datetime | None) -> Recorded:
        with self._connection.used() as database:
            self._committed_at = time.monotonic()
            return record(
                database,
                self._lane,
                results,
                config=self._config,
                revision=revision,
                worker=self._worker,
                moment=moment,
            )


class _Background:
    """A thread that does one thing after the other.

    Not an executor of the library: its threads hold up the end of the process, and a database
    that does not answer would hold up theirs.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="lane_database", daemon=True)
        self._thread.start()

    def begin(self, work: Callable[[], _T]) -> Future[_T]:
        """Do *work* after all that was begun before."""
        future: Future[_T] = Future()

        def task() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  # who asks for the result gets it
                future.set_exception(error)

        self._tasks.put(task)
        return future

    def close(self) -> None:
        """Wait until all of it is done."""
        self._tasks.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            with self._app.app_context():
                task()
