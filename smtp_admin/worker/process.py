"""One worker process: bells from RQ, sender threads, and the schedule."""

import logging
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from types import FrameType

from flask import Flask
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer
from sqlalchemy import Engine

from smtp_admin import schema
from smtp_admin.database import SYSTEM, host_engine, worker_engine
from smtp_admin.database_errors import AWAY
from smtp_admin.delivery.context import WorkerContext
from smtp_admin.delivery.doorbell import doorbell, queue_name
from smtp_admin.delivery.journal import Lines
from smtp_admin.delivery.leases import Leases
from smtp_admin.delivery.maintenance.batch_counts import count_batches
from smtp_admin.delivery.maintenance.deleted import empty_deleted
from smtp_admin.delivery.maintenance.due import (
    SWEEP_SECONDS,
    DueSender,
    due_counts,
    due_senders,
    senders_of,
)
from smtp_admin.delivery.maintenance.expire import expire
from smtp_admin.delivery.maintenance.fallback import fall_back
from smtp_admin.delivery.maintenance.idle_sign_ins import LOOK_SECONDS as SIGN_INS_SECONDS
from smtp_admin.delivery.maintenance.idle_sign_ins import IdleSignIns
from smtp_admin.delivery.maintenance.prune import prune
from smtp_admin.delivery.maintenance.reassign import reassign_strays
from smtp_admin.delivery.maintenance.rescue import SteadyClock, rescue
from smtp_admin.delivery.maintenance.rollup import roll_up
from smtp_admin.delivery.maintenance.settle_unknown import settle_unknown
from smtp_admin.delivery.shared_redis import redis_client, redis_place
from smtp_admin.events.pruning import prune_events
from smtp_admin.expiry.seen_certificates import WRITE_SECONDS, SeenCertificates
from smtp_admin.http.caller import SECONDS as CALL_SECONDS
from smtp_admin.installation import Installation, installation
from smtp_admin.mail.digests import send_digests
from smtp_admin.providers.catalogue import replies
from smtp_admin.repeated import Trouble
from smtp_admin.senders.resolve import overrides_for
from smtp_admin.transports.driver import Surroundings
from smtp_admin.transports.warm import WarmTransports
from smtp_admin.worker import jobs
from smtp_admin.worker.bells import BellWorker
from smtp_admin.worker.beside import Beside
from smtp_admin.worker.events import EventsAtWork
from smtp_admin.worker.permission import Permission
from smtp_admin.worker.pool import SenderThreads
from smtp_admin.worker.schedule import Duty, Schedule
from smtp_admin.worker.testing import ConnectionTests

log = logging.getLogger(__name__)

DEFAULT_CONCURRENCY = 4
#: A final dot that is not answered in this time after the signal to stop has an unknown outcome.
GRACE_SECONDS = 8.0
#: How long duties that are under way are waited for, all of them together.
_DUTY_SECONDS = 5.0
_PRUNE_SECONDS = 3600.0
_IDLE_SECONDS = 15.0
_RECONNECT_SECONDS = 2.0
#: How long it waits for a bell before it looks whether it is to stop: a signal that another
#: thread receives does not wake the one that waits.
_LISTEN_SECONDS = 3
#: Senders that are taken from Redis for each thread: some tenths of a second's work.
_AT_ONCE = 8
#: Open files that are enough for all conversations, and for what else there is.
_FILES = 4096


class WorkerProcess:
    """Everything that one machine needs to send mail.

    Args:
        concurrency: sender threads, and so connections at a time.

    Raises:
        SetupError: the database lacks our newest tables.
    """

    def __init__(self, app: Flask, concurrency: int = DEFAULT_CONCURRENCY) -> None:
        self._app = app
        self._here: Installation = installation()
        # One for each lane at work and what it writes beside that, and some for the duties; a lane
        # that waits for its server has none.
        self._engine: Engine = worker_engine(
            host_engine(),
            pool_size=2 * concurrency + 9,
            max_overflow=0,  # what is opened for a moment would look like a database that crashed
            connect_args=self._here.db.connect_args,
        )
        schema.check(self._engine)
        for problem in overrides_for(SYSTEM).problems:
            log.error("the system's sender cannot be used: %s", problem)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._bell = doorbell(self._here)  # made here: lanes are outside of any app's context
        self._redis: Redis = redis_client(self._here.config.redis_url)
        self._redis_place = redis_place(self._here.config.redis_url)
        self._redis_trouble = Trouble()
        self._lines = Lines(self._redis, concurrency)
        self._leases = Leases(self._engine)
        self._queue = queue_name(host_engine())
        self._stopping = threading.Event()
        self._clock = SteadyClock()
        self._transports = WarmTransports()
        self._certificates = SeenCertificates()
        #: Whether the main thread may be waiting for Redis, out of which a signal must call it.
        self._listening = False
        #: Whether listening for bells failed, and none has been heard since.
        self._deaf = False
        self._permission = Permission(self._engine)
        self._threads = SenderThreads(concurrency, self._context(), self._again)
        self._tests = ConnectionTests(app, self._here, self._engine, self._name)
        self._events = EventsAtWork(app, self._engine, self._bell)
        self._schedule = Schedule(
            app,
            [
                Duty("rescue", SWEEP_SECONDS, self._rescue),
                Duty("expiry", SWEEP_SECONDS, lambda: expire(self._engine)),
                Duty(
                    "unknown outcomes",
                    SWEEP_SECONDS,
                    lambda: settle_unknown(self._app, self._engine),
                ),
                Duty("fallback", SWEEP_SECONDS, lambda: fall_back(self._engine)),
                Duty(
                    "deleted senders",
                    SWEEP_SECONDS,
                    lambda: empty_deleted(self._engine),
                ),
                Duty("strays", SWEEP_SECONDS, lambda: reassign_strays(self._engine)),
                Duty("batches", SWEEP_SECONDS, lambda: count_batches(self._engine)),
                Duty("digests", SWEEP_SECONDS, lambda: send_digests(self._engine)),
                Duty("sweep", SWEEP_SECONDS, self._sweep),
                Duty("connection tests", SWEEP_SECONDS, self._tests.run_waiting),
                Duty("events", SWEEP_SECONDS, self._events.begin),
                Duty("idle connections", _IDLE_SECONDS, self._close_idle),
                Duty(
                    "certificates of servers",
                    WRITE_SECONDS,
                    lambda: self._certificates.write(self._engine),
                ),
                Duty("counters", _PRUNE_SECONDS, lambda: roll_up(self._engine, self._here.config)),
                Duty("pruning", _PRUNE_SECONDS, lambda: prune(self._engine, self._here.config)),
                Duty(
                    "old events",
                    _PRUNE_SECONDS,
                    lambda: prune_events(self._engine, self._here.config),
                ),
            ],
            self._stopping,
            self._permission.look,
        )
        self._beside = Beside(app, self._engine, self._here, self._stopping, self._permission.look)
        # Token servers may be slow, too.
        self._sign_ins = Schedule(
            app,
            [
                Duty(
                    "idle sign-ins",
                    SIGN_INS_SECONDS,
                    IdleSignIns(self._engine, self._stopping.is_set).renew,
                )
            ],
            self._stopping,
            self._permission.look,
        )

    def run(self) -> None:
        """Work until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        _allow_files()
        self._permission.begin()
        self._schedule.start()
        self._beside.start()
        self._sign_ins.start()
        log.info("worker %s is ready", self._name)
        jobs.listen(self._hear, self._tests.run, self._events.hear)
        try:
            while not self._stopping.is_set():
                if self._permission.held:
                    self._listen()
                else:
                    self._stopping.wait(_RECONNECT_SECONDS)
        finally:
            self._stopping.set()
            self._threads.stop(GRACE_SECONDS)
            ends = time.monotonic() + _DUTY_SECONDS
            self._schedule.join(_DUTY_SECONDS)
            self._beside.join(ends)
            self._events.stop()
            # Longer than a question takes: an answer that nobody writes down ends a sign-in.
            self._sign_ins.join(CALL_SECONDS + 2)
            self._close()
        log.info("worker %s has stopped", self._name)

    def run_burst(self) -> None:
        """Send everything that is due, then return."""
        self._deaf = True  # no bell is heard here: what is left goes back to our own threads
        self._permission.begin()
        self._schedule.run_once()
        self._sign_ins.run_once()
        self._tests.wait_until_quiet()
        self._events.wait_until_quiet()
        self._threads.wait_until_quiet()  # without Redis the sweep has handed out lanes already
        try:
            before: dict[int, int] = {}
            # A sender at its limit stays due; one that did not move is left alone.
            while waiting := [
                sender_id
                for sender_id, count in due_counts(self._engine).items()
                if before.get(sender_id) != count
            ]:
                before = due_counts(self._engine)
                self._threads.offer(senders_of(self._engine, waiting))
                self._threads.wait_until_quiet()
        finally:
            self._stopping.set()
            self._threads.stop(GRACE_SECONDS)
            self._close()

    def _listen(self) -> None:
        """Hear bells until told to stop, or until Redis goes away."""
        try:
            self._listening = not self._stopping.is_set()
            connection = Redis.from_url(self._here.config.redis_url, socket_connect_timeout=2.0)
            connection.ping()
            if (lasted := self._redis_trouble.over()) is not None:
                log.warning("Redis at %s is back %s", self._redis_place, lasted)
            queue = Queue(
                self._queue,
                connection=connection,
                serializer=JSONSerializer,
                job_class=jobs.SafeJob,
            )
            ringing = BellWorker(
                [queue],
                connection=connection,
                job_class=jobs.SafeJob,
                serializer=JSONSerializer,
                log_job_description=False,
                worker_ttl=_LISTEN_SECONDS + 15,  # of which RQ keeps fifteen for itself
            )
            ringing.prepare(self._threads, self._stopping, self._redis, self._permission)
            ringing.work(logging_level="WARNING")
            self._deaf = True  # RQ ends so at errors that it does not expect
        except StopRequested:
            return
        except (RedisError, OSError) as error:
            self._deaf = True
            self._tell_of_redis(error)
        finally:
            self._listening = False
        self._stopping.wait(_RECONNECT_SECONDS)

    def _tell_of_redis(self, error: Exception) -> None:
        more = self._redis_trouble.again()
        if more is not None:
            log.warning(
                "Redis at %s is away (%s). Mail is still sent, found by sweeping. "
                "Start it, or correct SMTP_ADMIN_REDIS_URL.%s",
                self._redis_place, type(error).__name__, more,
            )  # fmt: skip

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stopping.set()
        if self._listening:
            raise StopRequested

    def _hear(self) -> None:
        self._deaf = False
        named = self._bell.answer(_AT_ONCE * self._threads.count)
        for ids, urgent in ((named.urgent, True), (named.others, False)):
            self._offer(ids, urgent=urgent)

    def _offer(self, ids: Collection[int], *, urgent: bool = False) -> None:
        found = self._threads.known(ids)
        known = [replace(one, urgent=urgent) for one in found.values()]
        unknown = [one for one in ids if one not in found]
        try:
            known += senders_of(self._engine, unknown, urgent=urgent) if unknown else []
        except AWAY as error:
            log.warning("the database is away (%s); the sweeper tries again", type(error).__name__)
        self._threads.offer(known)

    def _again(self, sender: DueSender) -> None:
        # To the end of the queue, so that other senders have their turn, on other machines too.
        if self._deaf or not self._bell.ring(sender.sender_id):
            self._threads.offer(due_senders(self._engine, sender.sender_id))

    def _more(self, sender_id: int) -> None:
        if self._deaf or not self._bell.ring(sender_id):
            self._offer([sender_id])

    def _close_idle(self) -> None:
        # Nobody's connection is kept busy by us for longer than mail servers like.
        self._transports.close_idle(4 * _IDLE_SECONDS)

    def _rescue(self) -> None:
        if self._clock.is_steady(self._engine):
            rescue(self._engine, self._redis, ahead=self._clock.is_sure)

    def _sweep(self) -> None:
        # No bells for these: every worker sees them, and the lease lets one of them have each.
        self._threads.offer(due_senders(self._engine))

    def _context(self) -> WorkerContext:
        return WorkerContext(
            app=self._app,
            here=self._here,
            engine=self._engine,
            leases=self._leases,
            lines=self._lines,
            surroundings=Surroundings.from_config(self._here.config, replies()),
            transports=self._transports,
            worker=self._name,
            stopping=self._stopping,
            wanted=lambda: self._threads.wanted,
            more=self._more,
            certificates=self._certificates,
        )

    def _close(self) -> None:
        with suppress(*AWAY):
            self._certificates.write(self._engine)
        self._transports.close_all()
        self._leases.close()
        self._lines.close()
        self._redis.close()
        if self._engine is not host_engine():
            self._engine.dispose()


def _allow_files() -> None:
    """Ask the system for as many open files as it lets us have: each conversation is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
