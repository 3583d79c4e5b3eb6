"""Work one lane: claim, send, journal, record, until its time slice is over.

No transaction ever waits for a mail server, nor a mail server for a transaction: what comes next is
claimed while a batch is under way, and follows it in one stream.
Whatever ends this early (a signal, an error, ``kill -9``), the lease runs out and :mod:`.rescue`
puts things right.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from traceback import format_tb

from smtp_admin.database import database_now, transaction
from smtp_admin.database_errors import AWAY
from smtp_admin.delivery import lanes
from smtp_admin.delivery.announcements import announce_pause
from smtp_admin.delivery.breaker import pause_sender
from smtp_admin.delivery.claim import Batch, Claimed
from smtp_admin.delivery.context import WorkerContext
from smtp_admin.delivery.journal import Journal
from smtp_admin.delivery.lane_connection import LaneConnection
from smtp_admin.delivery.lane_database import LaneDatabase
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.leases import KeptLease
from smtp_admin.delivery.progress import Progress
from smtp_admin.delivery.record import Result
from smtp_admin.delivery.retry import UNTIL_CHANGED
from smtp_admin.delivery.return_path import ReturnPaths
from smtp_admin.delivery.under_way import UnderWay
from smtp_admin.errors import SMTPAdminError
from smtp_admin.sandbox.site import may_act
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict

log = logging.getLogger(__name__)

#: The most that is claimed at once, and the first try. Two batches are held at a time, so a worker
#: and its Redis that die together leave at most twice as many unknown.
MOST_AT_ONCE, FIRST_BATCH = 100, 20
SLICE_SECONDS = 10.0
#: A batch is as large as what goes out in this time. Urgent mail may have to wait for two.
_BATCH_SECONDS = 0.25
#: The next batch is claimed when this part of the present one is done.
_AHEAD = 0.25
#: How long the last mail of a batch may be held back, so that the next batch follows at once.
_AHEAD_SECONDS = 0.05
#: A batch that takes longer than this goes back: urgent mail may have come since it was claimed.
_LONGEST_BATCH_SECONDS = 5.0
_REFUSALS_IN_A_ROW = 3
#: How a conversation ends that we cut ourselves.
_CUT = {"connection_lost", "timeout"}
#: What a driver may raise that has a fault.
_FAULTS = (Exception, SystemExit)
_STOPPED = gettext("The worker was stopped before the server answered.")


def work_lane(context: WorkerContext, sender_id: int, progress: Progress | None = None) -> bool:
    """Send what is due for *sender_id* for one time slice; whether more may be due.

    Args:
        progress: where is written down how far it is.
    """
    progress = progress or Progress()
    connection = LaneConnection(context.engine)
    progress.rest = connection.rest
    try:
        began = time.monotonic()
        with connection.used() as database:
            if not may_act(database):
                return False  # not even a lane is taken: another's database keeps every row
            lane = lanes.acquire(database, sender_id, context.worker)
        if lane is None:
            return False
        with context.leases.kept(lane, began) as lease:
            return _work(context, lane, lease, connection, progress)
    finally:
        connection.rest()


def _work(
    context: WorkerContext,
    lane: HeldLane,
    lease: KeptLease,
    connection: LaneConnection,
    progress: Progress,
) -> bool:
    journal = Journal(context.lines, lane.lease)
    lane_database = LaneDatabase(
        context.app, context.here.config, connection, lane, context.worker, context.stopping
    )
    try:
        more = _LaneWork(context, lane, lease, journal, lane_database, progress).run()
        lane_database.close()
        # Not after an error: the lane stays taken until rescue has read the journal.
        rung = lane_database.release()
        journal.finish()
    finally:
        lane_database.close()
    return more or rung


class _LaneWork:
    """One time slice on one lane."""

    def __init__(
        self,
        context: WorkerContext,
        lane: HeldLane,
        lease: KeptLease,
        journal: Journal,
        lane_database: LaneDatabase,
        progress: Progress,
    ) -> None:
        self._context = context
        self._progress = progress
        self._lane = lane
        self._lease = lease
        self._journal = journal
        self._lane_database = lane_database
        self._return_paths = ReturnPaths(context.here.keyring)
        self._ends = time.monotonic() + SLICE_SECONDS
        self._journaled = False
        #: The batches that were begun, and their mails that have no outcome yet.
        self._under_way: deque[UnderWay] = deque()
        self._waiting: dict[int, Claimed] = {}
        #: Claimed, and not to be sent in the stream of the batch before it.
        self._kept: Batch | None = None
        self._size = min(FIRST_BATCH, context.suitable.get(lane.sender_id, FIRST_BATCH))
        #: Whether the last claim left something behind; whether that is for somebody else.
        self._may_be_more, self._left_behind = True, False
        #: Whether a batch was as large as it could be, and whether another connection was called.
        self._full, self._called = False, False

    def run(self) -> bool:
        """Claim and send until nothing is due or the time is over; whether more may be due."""
        # What is claimed and not yet begun when we die can then be told from what was under way.
        self._journaled = self._journal.begin([])
        try:
            while (batch := self._next()) is not None:
                if not self._send(batch):
                    break
            self._lane_database.settle()
            untouched = [*self._waiting]
            for claimed in (self._kept, self._lane_database.claimed()):
                untouched += [one.id for one in claimed.deliveries] if claimed else []
            if untouched:
                self._lane_database.give_back(untouched)
        except Exception:
            # What was achieved is in the journal; the rescuer must know that no more was begun.
            for key in self._waiting:
                self._journal.settled(key)
            with suppress(*AWAY):
                self._write()
                self._lane_database.settle()
            raise
        return self._left_behind

    def _next(self) -> Batch | None:
        """What to send next, waiting for it."""
        batch, self._kept = self._kept, None
        if batch is None:
            if self._lane_database.asked:
                batch = self._lane_database.claimed()
            elif self._goes_on():
                batch = self._lane_database.claim(self._size)
        return batch

    def _goes_on(self) -> bool:
        """Whether to claim once more."""
        if self._context.stopping.is_set() or not self._may_be_more or self._lane_database.failed:
            return False  # what is queued from now on rings, and the lane's release hears it
        over = time.monotonic() >= self._ends or (self._called and self._context.wanted())
        if over or self._lease.ran_out:
            self._left_behind = True
            return False
        return True

    def _send(self, batch: Batch) -> bool:
        """Send a batch and those that follow it in one stream; whether to go on with another."""
        context, sender = self._context, batch.sender
        try:
            setup = sender.setup(context.here.keyring)
        except SMTPAdminError as error:
            self._unusable(batch, error)
            return False
        except _FAULTS as error:
            return bool(self._begin(batch)) and self._without_transport(batch, error)
        mails = self._begin(batch)
        if not mails:
            return False
        try:
            hurried = self._progress.hurried
            surroundings = context.surroundings_of(sender, setup, batch.pauses, hurried=hurried)
            transport = context.transports.take(sender.sender_id, setup, surroundings)
        except _FAULTS as error:
            return self._without_transport(batch, error)
        self._progress.transport, self._progress.place = transport, setup.place
        # What follows may take minutes, and others need the connection.
        self._lane_database.rest()
        try:
            outcomes = transport.deliver(
                mails, lambda ahead: self._following(sender.revision, ahead)
            )
            try:
                return self._follow(self._guarded(outcomes, sender), sender.refusals)
            finally:
                # Only now may the transport write again, or not at all.
                _close(outcomes)
        finally:
            self._progress.transport = None
            context.transports.give_back(sender.sender_id, setup, transport)

    def _without_transport(self, batch: Batch, error: BaseException) -> bool:
        """The driver could not even begin: no mail was touched."""
        outcome = _of_fault(batch.sender, error, Verdict.RELEASED)
        return self._follow([(batch.deliveries[0].id, outcome)], batch.sender.refusals)

    def _guarded(
        self, outcomes: Iterator[tuple[int, Outcome]], sender: ResolvedSender
    ) -> Iterator[tuple[int, Outcome]]:
        """*outcomes*, also where the driver has a fault: the mail under way may have arrived."""
        silent = True
        try:
            while True:
                self._progress.waits()
                one = next(outcomes, None)
                self._progress.works()
                if one is None:
                    break
                silent = False
                yield one
        except AWAY:
            raise  # of the next batch, which the transport asked for
        except _FAULTS as error:
            under_way = next(iter(self._waiting), None)
            if under_way is None:
                raise
            yield under_way, _of_fault(sender, error, Verdict.UNCERTAIN)
        if silent and self._waiting and not self._context.stopping.is_set():
            # Else it would be asked again at once, and for ever.
            nothing = RuntimeError("deliver() ended without an outcome")
            yield next(iter(self._waiting)), _of_fault(sender, nothing, Verdict.RELEASED)

    def _begin(self, batch: Batch) -> list[Outgoing]:
        """Note in the journal that *batch* comes next; its mails, or none if it goes back."""
        count = len(batch.deliveries)
        self._may_be_more = batch.more
        ids = [one.id for one in batch.deliveries]
        if self._lease.ran_out or (self._journaled and not self._journal.begin(ids)):
            # Redis may still hold what was written under this lease; another has nothing.
            self._left_behind = True
            self._kept = batch
            return []
        self._full |= count >= self._size
        since = time.monotonic()
        until = min(since + _LONGEST_BATCH_SECONDS, batch.too_old_at)
        self._under_way.append(UnderWay(batch, count, count, since, until))
        self._waiting |= {one.id: one for one in batch.deliveries}
        self._progress.held += sum(len(one.content) for one in batch.deliveries)
        return self._return_paths.outgoing(batch)

    def _following(self, revision: int, ahead: bool) -> list[Outgoing]:
        """The mails of the next batch, if they can follow those under way.

        Args:
            revision: of the settings that the connection was made with.
            ahead: whether a mail waits for this answer.
        """
        self._progress.works()
        try:
            return self._following_batch(revision, ahead)
        finally:
            self._progress.waits()

    def _following_batch(self, revision: int, ahead: bool) -> list[Outgoing]:
        over = self._context.stopping.is_set() or self._lane_database.failed
        if not self._lane_database.asked or over:
            return []
        batch = self._lane_database.claimed(_AHEAD_SECONDS if ahead else None)
        if batch is None:
            self._may_be_more = self._lane_database.asked
            return []
        if batch.sender.revision != revision:
            self._kept = batch
            return []
        return self._begin(batch)

    def _follow(self, outcomes: Iterable[tuple[int, Outcome]], refusals: int) -> bool:
        """Note each outcome until it is time to stop; whether all were sent and all is fine."""
        for key, first in outcomes:
            refusals = refusals + 1 if first.code == "sender_refused" else 0
            again = refusals >= _REFUSALS_IN_A_ROW
            outcome = _sender_refused_again(first) if again else first
            if self._context.stopping.is_set() and outcome.code in _CUT:
                # Our own end cut the connection; the server is not to blame.
                outcome = replace(outcome, health=SenderHealth.FINE, reason=_STOPPED)
            self._note(key, outcome)
            if outcome.health is not SenderHealth.FINE:
                self._write()
                return False
            if self._context.stopping.is_set() or self._lease.ran_out:
                break  # after its lease another may be sending the rest by now
            if self._takes_too_long():
                break
            self._claim_ahead()
        self._write()
        # What goes back unsent was rung for already.
        self._left_behind |= bool(self._waiting)
        return not self._waiting and not self._context.stopping.is_set()

    def _takes_too_long(self) -> bool:
        """Whether the rest of the present batch is to be claimed anew, if that is still wanted."""
        if not self._under_way or time.monotonic() < self._under_way[0].until:
            return False
        self._choose_size(self._under_way[0])
        return True

    def _note(self, key: int, outcome: Outcome) -> None:
        """Journal one outcome, and have it committed when it is time."""
        if outcome.verdict is Verdict.ACCEPTED:
            self._journal.accepted(key, outcome.provider_id)
        elif outcome.verdict is not Verdict.UNCERTAIN:
            self._journal.settled(key)
        claimed = self._waiting.pop(key)
        self._progress.held -= len(claimed.content)
        self._progress.answered |= outcome.health is SenderHealth.FINE
        self._lane_database.enter(Result(claimed, outcome))
        if self._full and not self._called and outcome.health is SenderHealth.FINE:
            # Only now: into a server that says nothing, one connection is enough.
            self._called = True
            if self._lane.others:
                self._context.more(self._lane.sender_id)
        present = self._under_way[0]
        present.left -= 1
        if present.left == 0 or self._lane_database.due or not self._journal.works:
            self._write()
        if present.left == 0:
            self._under_way.popleft()
            if not self._lane_database.asked:
                self._choose_size(present)
        if not self._journal.works:
            self._lane_database.settle()

    def _write(self) -> None:
        if self._under_way:
            batch = self._under_way[0].batch
            self._lane_database.write(batch.sender, batch.now())

    def _claim_ahead(self) -> None:
        """Have the next batch claimed if enough of the present one is done."""
        if self._lane_database.asked or not self._under_way or not self._journal.works:
            return
        present = self._under_way[0]
        if present.count - present.left >= present.count * _AHEAD and self._goes_on():
            self._choose_size(present)
            self._lane_database.claim_ahead(self._size)

    def _choose_size(self, present: UnderWay) -> None:
        """Decide how much to claim next."""
        fitting = min(MOST_AT_ONCE, self._size * 2, int(present.rate * _BATCH_SECONDS))
        self._size = self._context.suitable[self._lane.sender_id] = max(1, fitting)

    def _unusable(self, batch: Batch, error: SMTPAdminError) -> None:
        """A stored secret cannot be used: pause the sender, harm no mail."""
        outcome = Outcome(
            Verdict.RELEASED, SenderHealth.MISCONFIGURED, error.message, code=error.code
        )
        self._lane_database.give_back([one.id for one in batch.deliveries])
        with transaction(self._context.engine) as session:
            until = database_now(session) + UNTIL_CHANGED
            paused = pause_sender(
                session, self._lane.sender_id, batch.sender.revision, until, outcome
            )
        if paused:
            announce_pause(self._context.app, batch.sender, outcome)


def _sender_refused_again(outcome: Outcome) -> Outcome:
    # Three in a row: it is the sender's settings, and a queue full of dead letters helps nobody.
    return replace(outcome, verdict=Verdict.RELEASED, health=SenderHealth.MISCONFIGURED)


def _of_fault(sender: ResolvedSender, error: BaseException, verdict: Verdict) -> Outcome:
    """A driver that raises is at fault; its words stay out of the log, for a key may be in them."""
    log.error(
        "the driver %s failed: %s\n%s",
        sender.values.driver, type(error).__name__, "".join(format_tb(error.__traceback__)),
    )  # fmt: skip
    reason = f"The driver {sender.values.kind.label} has a fault. See the worker's log."
    return Outcome(verdict, SenderHealth.DOWN, reason, code="driver_failed")


def _close(outcomes: Iterator[object]) -> None:
    getattr(outcomes, "close", lambda: None)()
