"""Wake a worker for a sender's lane, after the mail is committed.

A bell may be lost, doubled or late without harm: SQL is the truth, and workers look into it every
ten seconds. So nothing here waits long, and nothing here fails its caller.
"""

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from flask import has_request_context, request
from redis.exceptions import RedisError, ResponseError
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session, SessionTransaction

from smtp_admin.delivery.listeners import heard
from smtp_admin.delivery.shared_redis import RedisAway, SharedRedis, shared_redis
from smtp_admin.installation import Installation, Kept, installation

log = logging.getLogger(__name__)

#: The functions that a worker runs; the second takes the id of a connection test.
RING_FUNCTION = "smtp_admin.worker.jobs.ring"
TEST_FUNCTION = "smtp_admin.worker.jobs.test_connection"
EVENTS_FUNCTION = "smtp_admin.worker.jobs.apply_events"
#: How long a bell counts as waiting. Shorter than two sweeps, in case its job was lost.
_BELL_SECONDS = 15
_JOB_SECONDS = 3600
#: While no worker listens, no more bells than this wait; each is for all senders that are named.
_MOST_BELLS = 100
#: How many senders with urgent mail one bell is for.
_MOST_NAMED = 1000
_MOST_DIGITS = 18
#: Nobody waits longer for a connection test.
_TEST_SECONDS = 60
_PENDING = "smtp_admin_bells"
#: Where a request keeps how many workers it found.
_WORKERS = "smtp_admin.workers"


@dataclass(frozen=True, slots=True)
class Named:
    """The senders that bells rang for, those with urgent mail apart."""

    urgent: tuple[int, ...] = ()
    others: tuple[int, ...] = ()


class Doorbell:
    """Rings for lanes through RQ; one per app.

    A job is only the bell. The senders that it is for stand in a set beside it, so however many
    mails are queued while no worker listens, Redis holds a few jobs and each sender once.
    """

    def __init__(self, shared: SharedRedis, queue: str) -> None:
        self._shared = shared
        self._redis = shared.client
        self._queue = Queue(queue, connection=self._redis, serializer=JSONSerializer)

    def ring(self, sender_id: int, *, urgent: bool = False) -> bool:
        """Wake a worker for this sender; whether Redis took the bell (or already had it)."""
        named, rung = self._keys(urgent)
        try:
            with self._shared.asked("bells") as redis:
                with redis.pipeline(transaction=False) as pipeline:
                    pipeline.sadd(named, sender_id)
                    pipeline.expire(named, _JOB_SECONDS)
                    # One waiting bell is enough for all that are named, but an urgent one goes
                    # first.
                    pipeline.set(rung, "1", nx=True, ex=_BELL_SECONDS)
                    pipeline.llen(self._queue.key)
                    _, _, silent, waiting = pipeline.execute()
                if silent and waiting < _MOST_BELLS:
                    self._enqueue(rung, urgent)
        except RedisAway as away:
            if "WRONGTYPE" in str(away.__cause__):
                # What somebody else wrote there would silence us for good.
                with suppress(RedisError, OSError):
                    self._redis.delete(named)
            if not away.noted:
                log.warning(
                    "Redis is away (%s): no bell rings; workers find the mail within ten seconds",
                    away,
                )
            return False
        return True

    def answer(self, most: int) -> Named:
        """Whom a bell that was heard is for; from now on the next mail rings again.

        Args:
            most: senders to take of those that are not urgent; for the others it rings once more,
                so that another worker may take them.
        """
        (urgent, urgent_rung), (named, rung) = self._keys(True), self._keys(False)
        try:
            with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.delete(urgent_rung, rung)
                pipeline.spop(urgent, _MOST_NAMED)
                pipeline.spop(named, most)
                pipeline.scard(named)
                _, first, others, left = pipeline.execute()
            if left and self._redis.set(rung, "1", nx=True, ex=_BELL_SECONDS):
                self._enqueue(rung, False)
        except (RedisError, OSError):
            log.debug("no worker for this bell; the sweeper finds its mail")
            return Named()
        return Named(_numbers(first), _numbers(others))

    def call_for_test(self, test_id: int) -> bool:
        """Let a worker run this connection test next; whether Redis took the call."""
        try:
            with self._shared.asked("bells"):
                self._queue.enqueue_call(
                    TEST_FUNCTION,
                    args=(test_id,),
                    at_front=True,
                    result_ttl=0,
                    failure_ttl=_TEST_SECONDS,
                    ttl=_TEST_SECONDS,
                    description=f"connection test {test_id}",
                )
        except RedisAway as away:
            if not away.noted:
                log.warning("Redis is away (%s): no worker was called", away)
            return False
        return True

    def call_for_events(self) -> bool:
        """Let a worker apply the events that wait; whether Redis took the call, or had it."""
        called = f"{self._queue.name}:bell:events"
        try:
            with self._shared.asked("bells") as redis:
                if not redis.set(called, "1", nx=True, ex=_BELL_SECONDS):
                    return True
                self._queue.enqueue_call(
                    EVENTS_FUNCTION,
                    result_ttl=0,
                    failure_ttl=_TEST_SECONDS,
                    ttl=_JOB_SECONDS,
                    description="events",
                )
        except RedisAway as away:
            if not away.noted:
                log.warning(
                    "Redis is away (%s): no worker was called; they find the events within ten "
                    "seconds",
                    away,
                )
            return False
        return True

    def hear_events(self) -> None:
        """From now on, the next event calls again."""
        with suppress(RedisError, OSError):
            self._redis.delete(f"{self._queue.name}:bell:events")

    def workers(self) -> int | None:
        """How many workers listen here and live, or ``None`` while Redis does not answer."""
        try:
            with self._shared.asked("listeners") as redis:
                return heard(redis, self._queue.name)
        except RedisAway:
            return None

    def _enqueue(self, rung: str, urgent: bool) -> None:
        try:
            self._queue.enqueue_call(
                RING_FUNCTION,
                at_front=urgent,
                result_ttl=0,
                failure_ttl=_JOB_SECONDS,
                ttl=_JOB_SECONDS,
                description="a bell",
            )
        except ResponseError:
            # Redis is there and refuses: a bell without a job would keep others from ringing.
            self._redis.delete(rung)
            raise

    def _keys(self, urgent: bool) -> tuple[str, str]:
        """Which senders are named, and what says that a bell is waiting."""
        kind = "urgent" if urgent else "others"
        return f"{self._queue.name}:named:{kind}", f"{self._queue.name}:bell:{kind}"


def _numbers(texts: Iterable[bytes]) -> tuple[int, ...]:
    # Whoever reaches Redis can write anything there.
    return tuple(int(text) for text in texts if text.isdigit() and len(text) <= _MOST_DIGITS)


def queue_name(engine: Engine) -> str:
    """The RQ queue of everybody who works on this database, and of nobody else.

    Two apps may share a Redis; the bells of one name senders that the other does not have.
    """
    url = engine.url.set(username=None, password=None, drivername=engine.dialect.name)
    return f"smtp_admin:{sha256(str(url).encode()).hexdigest()[:12]}"


def doorbell(of: Installation | None = None) -> Doorbell:
    """This app's doorbell; the first time, inside an app context."""
    return DOORBELL.of(of or installation())


DOORBELL = Kept[Doorbell](lambda here: Doorbell(shared_redis(here), queue_name(here.db.engine)))


def workers_now() -> int | None:
    """As :meth:`Doorbell.workers`, asked once in a request: all of a page says the same."""
    if not has_request_context():
        return doorbell().workers()
    if _WORKERS not in request.environ:
        request.environ[_WORKERS] = doorbell().workers()
    found: int | None = request.environ[_WORKERS]
    return found


def ring_after_commit(session: Session, sender_id: int, *, urgent: bool = False) -> None:
    """Ring once the outermost transaction of *session* is over; needs an app context."""
    _, senders = session.info.setdefault(_PENDING, (doorbell(), {}))
    senders[sender_id] = senders.get(sender_id, False) or urgent


def listen(sessions: Any) -> None:
    """Make a session ring, or all sessions of a factory; once is enough, more do no harm.

    The listener knows no app: SQLAlchemy keeps it for good, and apps that share a factory, one
    after the other or at once, ring their own bells.
    """
    event.listen(sessions, "after_transaction_end", _ring)


def _ring(session: Session, transaction: SessionTransaction) -> None:
    # A savepoint is not yet a commit. After a rollback the bell is stale, which harms nobody.
    if transaction.parent is not None or transaction.nested or _PENDING not in session.info:
        return
    bell, senders = session.info.pop(_PENDING)
    for sender_id, urgent in senders.items():
        bell.ring(sender_id, urgent=urgent)
