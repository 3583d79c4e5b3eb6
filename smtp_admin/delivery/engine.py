"""Work one lane: claim, send, journal, record, until its time slice is over.

No transaction is open while a mail server is talked to. Whatever ends this early (a signal, an
error, ``kill -9``), the lease runs out and :mod:`.rescue` puts things right.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from flask import Flask
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from smtp_admin import signals
from smtp_admin.database import database_now, transaction
from smtp_admin.delivery import lanes
from smtp_admin.delivery.claim import Batch, Claimed, claim
from smtp_admin.delivery.journal import Journal, Lines
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.record import Recorded, Result, give_back, pause_sender, record
from smtp_admin.delivery.retry import UNTIL_CHANGED
from smtp_admin.delivery.stamp import stamped
from smtp_admin.errors import SMTPAdminError
from smtp_admin.installation import Installation
from smtp_admin.settings.sender import ResolvedSender
from smtp_admin.smtp.classes import Channel, Outcome, Verdict
from smtp_admin.smtp.opening import Dialler
from smtp_admin.transports.base import Outgoing, Transport
from smtp_admin.transports.factory import WarmTransports

log = logging.getLogger(__name__)

#: The most that is claimed at once, and the first try.
MOST_AT_ONCE, FIRST_BATCH = 100, 20
SLICE_SECONDS = 10.0
#: A batch is as large as what goes out in this time: so long urgent mail may have to wait.
_BATCH_SECONDS = 0.5
_GROUP = 100
_GROUP_SECONDS = 0.5
_REFUSALS_IN_A_ROW = 3
_DATABASE_WAITS = (0.2, 1.0, 3.0)
#: How a conversation ends that we cut ourselves.
_CUT = {"connection_lost", "timeout"}


def _nobody(*_: object) -> None:
    """Whom it concerns: nobody."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a sender thread works with.

    Attributes:
        watch: told which transport is in use, so that another thread can cut it at the end.
        moved: told whenever the outcome of a mail is known.
        wanted: whether another lane waits for a thread, so that this one should not go on for long.
        more: told the sender that has more waiting than one connection takes at once.
    """

    app: Flask
    here: Installation
    engine: Engine
    lines: Lines
    dialler: Dialler
    transports: WarmTransports
    worker: str
    stopping: threading.Event
    watch: Callable[[Transport | None], None] = _nobody
    moved: Callable[[], None] = _nobody
    wanted: Callable[[], bool] = bool
    more: Callable[[int], None] = _nobody


def work_lane(bench: Bench, sender_id: int) -> bool:
    """Send what is due for *sender_id* for one time slice; whether more may be due."""
    began = time.monotonic()
    lane = lanes.acquire(bench.engine, sender_id, bench.worker)
    if lane is None:
        return False
    # One connection for all of it: a claim that succeeds on it proves that the results before
    # it are on the disk, which would not be so if the database had crashed in between.
    with bench.engine.connect() as database, _Lease(bench.engine, lane, began) as lease:
        work = _LaneWork(bench, lane, lease, database)
        try:
            more = work.run()
            # Not after an error: the lane stays taken until rescue has read the journal.
            rung = lanes.release(database, lane)
            work.journal.finish()
        finally:
            work.journal.close()
    return more or rung


class _LaneWork:
    """One time slice on one lane."""

    def __init__(self, bench: Bench, lane: HeldLane, lease: "_Lease", database: Connection) -> None:
        self.journal = Journal(bench.lines, lane.lease)
        self._bench = bench
        self._lane = lane
        self._lease = lease
        self._database = database
        self._known: dict[int, ResolvedSender] = {}

    def run(self) -> bool:
        """Claim and send until nothing is due or the time is over; whether more may be due."""
        bench, size, called = self._bench, FIRST_BATCH, False
        ends = time.monotonic() + SLICE_SECONDS
        # What is claimed and not yet begun when we die can then be told from what was under way.
        journaled = self.journal.begin([])
        while not bench.stopping.is_set():
            began = time.monotonic()
            if began >= ends or (called and bench.wanted()):
                return True
            batch = claim(self._database, self._lane, size, self._known)
            if batch is None:
                return False
            count = len(batch.deliveries)
            ids = [one.id for one in batch.deliveries]
            if self._lease.ran_out:
                give_back(self._database, self._lane, ids)
                return True
            if journaled and not self.journal.begin(ids):
                # Redis may still hold what was written under this lease; another has nothing.
                give_back(self._database, self._lane, ids)
                return True
            if count == size and not called:
                bench.more(self._lane.sender_id)  # perhaps on another of its connections
                called = True
            if not self._send(batch):
                return False
            if not batch.more:
                return False  # what is queued from now on rings, and the lane's release hears it
            rate = count / max(time.monotonic() - began, 0.001)
            size = max(1, min(MOST_AT_ONCE, size * 2, int(rate * _BATCH_SECONDS)))
        return False

    def _send(self, batch: Batch) -> bool:
        """Send one batch and record it; whether to go on with the next."""
        bench, sender = self._bench, batch.sender
        destination = sender.values.destination
        try:
            password = sender.password_for(destination, bench.here.keyring)
        except SMTPAdminError as error:
            _unusable(bench, self._lane, batch, error)
            return False
        deliveries = stamped(self._database, batch.deliveries, sender, bench.here.config.app_name)
        transport = bench.transports.take(sender.sender_id, destination, password, bench.dialler)
        bench.watch(transport)
        try:
            return self._exchange(batch, deliveries, transport)
        finally:
            bench.watch(None)
            bench.transports.give_back(sender.sender_id, destination, password, transport)

    def _exchange(self, batch: Batch, deliveries: list[Claimed], transport: Transport) -> bool:
        by_id = {one.id: one for one in deliveries}
        book = _Book(self._bench, self._database, self._lane, batch)
        outcomes = transport.deliver(
            [
                Outgoing(one.id, one.from_email or "", one.recipient, one.content)
                for one in deliveries
            ]
        )
        try:
            try:
                channel = self._follow(outcomes, batch.sender.refusals, by_id, book)
            finally:
                # Only now may the transport write again, or not at all.
                _close(outcomes)
            book.write()
            give_back(self._database, self._lane, by_id)
        except Exception:
            # What was achieved is in the journal; the rescuer must know that no more was begun.
            for key in by_id:
                self.journal.settled(key)
            raise
        return not by_id and not book.paused and channel is Channel.FINE

    def _follow(
        self,
        outcomes: Iterable[tuple[int, Outcome]],
        refusals: int,
        waiting: dict[int, Claimed],
        book: "_Book",
    ) -> Channel:
        """Note each outcome and take it out of *waiting*, until it is time to stop.

        Returns what became of the sender's channel.
        """
        stopping = self._bench.stopping
        for key, first in outcomes:
            self._bench.moved()
            refusals = refusals + 1 if first.code == "sender_refused" else 0
            again = refusals >= _REFUSALS_IN_A_ROW
            outcome = _sender_refused_again(first) if again else first
            if stopping.is_set() and outcome.code in _CUT:
                # Our own end cut the connection; the server is not to blame.
                outcome = replace(outcome, channel=Channel.FINE)
            self._note(key, outcome)
            book.enter(Result(waiting.pop(key), outcome), at_once=not self.journal.works)
            if outcome.channel is not Channel.FINE:
                return outcome.channel
            if stopping.is_set() or self._lease.ran_out:
                break  # after its lease another may be sending the rest by now
        return Channel.FINE

    def _note(self, key: int, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.ACCEPTED:
            self.journal.accepted(key)
        elif outcome.verdict is not Verdict.UNCERTAIN:
            self.journal.settled(key)


class _Book:
    """Results that are not yet committed."""

    def __init__(self, bench: Bench, database: Connection, lane: HeldLane, batch: Batch) -> None:
        self._bench = bench
        self._database = database
        self._lane = lane
        self._batch = batch
        self._results: list[Result] = []
        #: Committed, but perhaps not yet on the disk; a database that crashed has forgotten them.
        self._written: list[Result] = []
        self._since = time.monotonic()
        self.paused = False

    def enter(self, result: Result, *, at_once: bool) -> None:
        """Add one; commit when there are many, or the oldest has waited long enough."""
        self._results.append(result)
        waited = time.monotonic() - self._since
        if at_once or len(self._results) >= _GROUP or waited >= _GROUP_SECONDS:
            self.write()

    def write(self) -> None:
        """Commit all of them."""
        results, self._results = self._results, []
        self._since = time.monotonic()
        if not results:
            return
        recorded = self._persist(results)
        self._written += results
        self.paused = self.paused or recorded.paused
        _announce(self._bench, self._batch, recorded)

    def _persist(self, results: list[Result]) -> Recorded:
        try:
            return self._record(results)
        except DBAPIError:
            log.warning("the database did not take %d results; trying again", len(results))
        # What it took before may be lost as well. Whatever is not finds its guard gone and
        # changes nothing, also where a commit succeeded and only its answer was lost.
        everything = [*self._written, *results]
        for wait in _DATABASE_WAITS:
            self._bench.stopping.wait(wait)
            with suppress(DBAPIError):
                return self._record(everything)
        return self._record(everything)

    def _record(self, results: list[Result]) -> Recorded:
        return record(
            self._database,
            self._lane,
            results,
            config=self._bench.here.config,
            revision=self._batch.sender.revision,
            worker=self._bench.worker,
            moment=self._batch.now(),
        )


def _announce(bench: Bench, batch: Batch, recorded: Recorded) -> None:
    sender = batch.sender
    for result, decision in recorded.entries:
        one, outcome = result.delivery, result.outcome
        if decision.state == "sent":
            signals.delivery_sent.send(
                bench.app,
                message_id=one.public_id,
                recipient=one.recipient,
                partner_id=one.partner_id,
            )
            continue
        log.info("mail %s: %s, %s", one.public_id, decision.state, outcome.code)
        if decision.state == "dead":
            signals.delivery_dead.send(
                bench.app,
                message_id=one.public_id,
                recipient=one.recipient,
                partner_id=one.partner_id,
                reason=outcome.reason,
            )
    if recorded.paused:
        last = recorded.entries[-1][0].outcome
        log.error(
            "the sender of partner %r paused: %s %s [%s]",
            sender.partner_id,
            last.reason,
            last.reply or "",
            last.code,
        )
        signals.sender_paused.send(
            bench.app,
            sender_id=sender.sender_id,
            partner_id=sender.partner_id,
            code=last.code,
            reason=last.reason,
        )


def _unusable(bench: Bench, lane: HeldLane, batch: Batch, error: SMTPAdminError) -> None:
    """The stored password cannot be used: pause the sender, harm no mail."""
    outcome = Outcome(Verdict.RELEASED, Channel.MISCONFIGURED, error.message, code=error.code)
    with transaction(bench.engine) as session:
        until = database_now(session) + UNTIL_CHANGED
        pause_sender(session, lane.sender_id, until, outcome)
    give_back(bench.engine, lane, [one.id for one in batch.deliveries])
    log.error("the sender of partner %r paused: %s", batch.sender.partner_id, error.message)
    signals.sender_paused.send(
        bench.app,
        sender_id=lane.sender_id,
        partner_id=batch.sender.partner_id,
        code=outcome.code,
        reason=outcome.reason,
    )


def _sender_refused_again(outcome: Outcome) -> Outcome:
    # Three in a row: it is the sender's settings, and a queue full of dead letters helps nobody.
    return Outcome(
        Verdict.RELEASED, Channel.MISCONFIGURED, outcome.reason, outcome.reply, outcome.code
    )


def _close(outcomes: object) -> None:
    close = getattr(outcomes, "close", None)
    if close is not None:
        close()


class _Lease:
    """A lane's lease, kept alive from a thread while its owner talks to a slow server.

    Args:
        since: when it was not yet taken, by this machine's monotonic clock in seconds.
    """

    def __init__(self, engine: Engine, lane: HeldLane, since: float) -> None:
        self._engine = engine
        self._lane = lane
        self._until = since + lanes.LEASE_SECONDS
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease heartbeat", daemon=True)

    def __enter__(self) -> "_Lease":
        self._thread.start()
        return self

    @property
    def ran_out(self) -> bool:
        """Whether it may have passed to somebody else; the database is not asked."""
        return time.monotonic() >= self._until

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(lanes.HEARTBEAT_SECONDS):
            began = time.monotonic()
            # A beat that fails is made up for by the next; the lease outlives three of them.
            with suppress(DBAPIError):
                with transaction(self._engine) as session:
                    ours = lanes.beat(session, self._lane)
                self._until = began + lanes.LEASE_SECONDS if ours else began
