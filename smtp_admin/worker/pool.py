"""The sender threads of one worker process."""

import logging
import queue
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Collection, Hashable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from sqlalchemy.exc import SQLAlchemyError

from smtp_admin.database import SYSTEM
from smtp_admin.database_errors import AWAY
from smtp_admin.delivery.context import WorkerContext
from smtp_admin.delivery.engine import work_lane
from smtp_admin.delivery.maintenance.due import DueSender, Health
from smtp_admin.delivery.progress import SILENT_SECONDS, Progress
from smtp_admin.worker.shares import Use, WaitingLanes

log = logging.getLogger(__name__)

#: Conversations that are open at once, however many servers are silent.
MOST_OPEN = 256
#: Stuck conversations of one partner, and the part of all that are stuck at one server, before no
#: other lane of theirs begins.
_MOST_STUCK_OF_PARTNER, _PLACES = 4, 8
#: How long those that were cut off have for writing down what became of their mail.
_CUT_SECONDS = 3.0
#: How often is looked for silent servers: while lanes wait for a place, and else.
_TICK_SECONDS, _LAZY_SECONDS = 0.05, 0.5


@dataclass(frozen=True, slots=True)
class _Partner:
    """What other lanes of a partner wait for: one of its own to end."""

    partner_id: str


@dataclass(slots=True, eq=False)
class _Running:
    """What one thread is doing."""

    sender: DueSender
    progress: Progress = field(default_factory=Progress)


class SenderThreads:
    """*count* lanes at work at a time, each by a thread, beside those that wait for their servers.

    A mail server may take ten minutes to answer a final dot, and a few of them would hold up
    everybody. So a lane whose server is silent gives its place to another and waits on: then it
    costs a sleeping thread and a socket, and has neither a connection to the database nor a
    heartbeat of its own. Up to :data:`MOST_OPEN` conversations wait so.

    Args:
        context: what they work with.
        again: told the sender whose time slice ended with more to do, after the thread is free.
    """

    def __init__(
        self, count: int, context: WorkerContext, again: Callable[[DueSender], None]
    ) -> None:
        self.count = count
        self._context = context
        self._again = again
        self._most = max(MOST_OPEN, 4 * count)
        self._lock = threading.Lock()
        self._quiet = threading.Condition(self._lock)
        self._crowded = threading.Condition(self._lock)
        self._waiting = WaitingLanes(self._most)
        self._running: set[_Running] = set()
        #: Those that have a place.
        self._placed = 0
        self._handed: queue.SimpleQueue[_Running | None] = queue.SimpleQueue()
        self._idle = 0
        self._threads = 0
        #: What is known of senders whose mail was accepted here.
        self._well: dict[int, DueSender] = {}
        #: Where the mail of senders went when they last had a place here.
        self._places: dict[int, str] = {}
        self._bell_waits = False
        #: Whether silence is looked for, and whether it was told that threads ran out.
        self._watched, self._told = False, False

    @property
    def wanted(self) -> bool:
        """Whether a lane waits and no thread is free: who has worked for a while gives way."""
        return self._bell_waits or (self._placed >= self.count and len(self._waiting) > 0)

    def hears(self) -> bool:
        """Whether the next bell is for us: no lane whose server is well waits for a place."""
        with self._lock:
            return self._waiting.count("well") == 0 or self._placed < self.count

    def want(self) -> None:
        """A bell waits that nobody takes."""
        self._bell_waits = True

    def known(self, ids: Collection[int]) -> dict[int, DueSender]:
        """Those of these senders that are known here to be well."""
        with self._lock:
            return {one: self._well[one] for one in ids if one in self._well}

    def offer(self, senders: Collection[DueSender]) -> None:
        """Let them wait for a place, or begin at once."""
        with self._lock:
            self._bell_waits = False
            for sender in senders:
                if sender.health == "failing":
                    self._well.pop(sender.sender_id, None)
                self._waiting.put(sender)
            self._hand_out()

    def wait_until_quiet(self) -> None:
        """Wait until no lane is being worked, and none waits."""
        with self._quiet:
            self._quiet.wait_for(lambda: not self._running and not len(self._waiting))

    def stop(self, grace: float) -> None:
        """Let every thread finish the message in flight; after *grace* seconds cut them off.

        What was cut after its last byte was written is recorded as unknown, not lost. Where no
        mail is under way yet, nothing is waited for.
        """
        with self._lock:
            for _ in range(self._threads):
                self._handed.put(None)
            self._crowded.notify_all()
        self._cut(opening=True)
        if not self._ended(grace):
            self._cut()
            self._ended(_CUT_SECONDS)

    def _cut(self, *, opening: bool = False) -> None:
        with self._lock:
            in_use = [one.progress.transport for one in self._running]
        for transport in in_use:
            if transport is not None and (not opening or getattr(transport, "opening", False)):
                with suppress(OSError):
                    transport.abort()

    def _ended(self, seconds: float) -> bool:
        with self._quiet:
            return self._quiet.wait_for(lambda: not self._running, timeout=seconds)

    def _hand_out(self) -> None:
        """Give every free place to a lane that waits; the lock is held."""
        while (running := self._next()) is not None:
            if self._idle > 0:
                self._idle -= 1
            elif not self._one_more(self._run):
                # The machine gives us no more: as many as there are must do, with room to spare.
                self._most = max(1, self._threads - self.count)
                self._leave(running)
                self._waiting.put(running.sender)
                return
            else:
                self._threads += 1
            self._handed.put(running)
        if self._running and not self._watched:
            self._watched = self._one_more(self._watch)
        elif len(self._waiting):
            self._crowded.notify()

    def _one_more(self, target: Callable[[], None]) -> bool:
        """Whether another thread could be started."""
        try:
            threading.Thread(target=target, name="sender", daemon=True).start()
        except RuntimeError:
            if not self._told:
                self._told = True
                log.warning(
                    "this machine starts no further threads; at most %d mail servers are waited "
                    "for at a time", self._threads,
                )  # fmt: skip
            return False
        return True

    def _next(self) -> _Running | None:
        """What has a place from now on; the lock is held."""
        stopping = self._context.stopping.is_set()
        if stopping or self._placed >= self.count or len(self._running) >= self._most:
            return None
        if not len(self._waiting):
            return None
        blocked = self._blocked()
        held = sum(one.progress.held for one in self._running)
        opened: Tally[Health] = Tally(one.sender.health for one in self._running)
        sender = self._waiting.take(Use(opened, held), blocked)
        if sender is None:
            return None
        running = _Running(sender)
        running.progress.hurried = self._waiting.is_crowded(sender.health)
        self._running.add(running)
        self._placed += 1
        return running

    def _blocked(self) -> Callable[[DueSender], Hashable]:
        """Tells of a sender what it must wait for before another of its lanes begins, if anything.

        Into what is stuck no further connection is opened.
        """
        moment = time.monotonic()
        stuck = [one for one in self._running if one.progress.is_stuck(moment)]
        senders = {one.sender.sender_id for one in stuck}
        senders |= {one.sender.sender_id for one in self._running if not one.progress.answered}
        partners = Tally(one.sender.partner_id for one in stuck)
        partners[SYSTEM] = 0
        places = Tally(one.progress.place for one in stuck)
        places[""] = 0

        def blocked(sender: DueSender) -> Hashable:
            sender_id, partner_id = sender.sender_id, sender.partner_id
            # One that is well, or has urgent mail, need not wait for others of its partner.
            first = sender.urgent or sender.health == "well"
            crowded = not first and partners[partner_id] >= _MOST_STUCK_OF_PARTNER
            if sender_id in senders or crowded:
                return _Partner(partner_id)
            place = self._places.get(sender_id, "")
            return place if places[place] >= self._most // _PLACES else None

        return blocked

    def _run(self) -> None:
        running = self._handed.get()
        while running is not None:
            more = self._work(running)
            with self._lock:
                following, stays = self._finish(running)
            if more and not self._context.stopping.is_set():
                self._call_again(running.sender)
            if not stays:
                return
            running = following or self._handed.get()

    def _finish(self, running: _Running) -> tuple[_Running | None, bool]:
        """Free its place; what the same thread does next, and whether it stays for that.

        The lock is held.
        """
        sender, progress = running.sender, running.progress
        self._leave(running)
        if progress.answered:
            self._well[sender.sender_id] = replace(sender, health="well", urgent=False)
        elif progress.alone:
            self._well.pop(sender.sender_id, None)
        if progress.place:
            self._places[sender.sender_id] = progress.place
            self._waiting.back(progress.place)
        self._waiting.back(_Partner(sender.partner_id))
        following = self._next()
        self._hand_out()
        self._quiet.notify_all()
        if following is not None:
            return following, True
        # After many servers were silent there are far more threads than there is work.
        stays = self._idle < self.count or self._context.stopping.is_set()
        if stays:
            self._idle += 1
        else:
            self._threads -= 1
        return None, stays

    def _leave(self, running: _Running) -> None:
        self._running.remove(running)
        if not running.progress.alone:
            self._placed -= 1

    def _call_again(self, sender: DueSender) -> None:
        try:
            self._again(sender)
        except SQLAlchemyError as error:  # a thread that dies is missed
            log.warning("nobody was called again (%s)", type(error).__name__)

    def _work(self, running: _Running) -> bool:
        try:
            with self._context.app.app_context():
                return work_lane(self._context, running.sender.sender_id, running.progress)
        except AWAY as error:
            log.warning("the database is away (%s); the sweeper tries again", type(error).__name__)
        except BaseException:  # a thread that dies would silently halve the worker
            log.exception("a lane failed; its mail is looked after when the lease runs out")
        return False

    def _watch(self) -> None:
        """Let those whose servers are silent give up what others need."""
        while not self._context.stopping.is_set():
            with self._lock:
                self._crowded.wait(timeout=_TICK_SECONDS if len(self._waiting) else _LAZY_SECONDS)
                moment = time.monotonic()
                silent = [
                    one.progress
                    for one in self._running
                    if one.progress.silent_for(moment) > SILENT_SECONDS
                ]
                if len(self._waiting):
                    for one in silent:
                        if not one.alone:
                            one.alone = True
                            self._placed -= 1
                    self._hand_out()
            for one in silent:
                one.rest()
