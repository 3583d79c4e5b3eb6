"""Which workers listen for the bells of this database, as RQ's registry in Redis knows them.

Whoever says that no worker runs, a page, an alert or the doctor, means the same: none was heard for
:data:`SILENT_SECONDS`, and none renewed a lease in that time.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import Redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from rq.utils import utcparse
from rq.worker_registration import WORKERS_BY_QUEUE_KEY
from sqlalchemy import ColumnElement, and_

from smtp_admin.delivery.lanes import LEASE_SECONDS
from smtp_admin.delivery.models import Lane

_QUEUES = "rq:workers:smtp_admin:*"
_MOST_QUEUES = 20
#: A worker that runs says so every three seconds, and renews its leases every ten.
SILENT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Listener:
    """A worker process.

    Attributes:
        silent: seconds since it last said that it lives; it does so every three.
    """

    host: str
    pid: int
    silent: float

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"

    @property
    def lives(self) -> bool:
        """Whether it was heard lately; one that was killed or hangs was not."""
        return self.silent <= SILENT_SECONDS


def heard(redis: Redis, queue: str) -> int:
    """How many workers on *queue* live; two questions, however many there are.

    Raises:
        RedisError: Redis is away.
    """
    found: Any = redis.smembers(WORKERS_BY_QUEUE_KEY % queue)
    if not found:
        return 0
    with redis.pipeline(transaction=False) as pipeline:
        for key in found:
            pipeline.hget(key, "last_heartbeat")
        pipeline.time()
        *beats, (seconds, microseconds) = pipeline.execute()
    moment = _time(seconds, microseconds)
    return sum(_silent(_beat(one), moment) <= SILENT_SECONDS for one in beats if one is not None)


def at_work(moment: datetime) -> ColumnElement[bool]:
    """Lanes that a worker holds which lives, whether or not Redis knows of it."""
    renewed = timedelta(seconds=LEASE_SECONDS - SILENT_SECONDS)
    return and_(Lane.lease.is_not(None), Lane.lease_until > moment + renewed)


def listeners(redis: Redis, queue: str) -> list[Listener]:
    """The workers on *queue*, those that were killed a minute ago included.

    Raises:
        RedisError: Redis is away.
    """
    moment = redis_time(redis)
    waiting = Queue(queue, connection=redis, serializer=JSONSerializer)
    found = [
        Listener(str(one.hostname or "?"), int(one.pid or 0), _silent(one.last_heartbeat, moment))
        for one in Worker.all(queue=waiting, serializer=JSONSerializer)
    ]
    return sorted(found, key=lambda one: (one.silent, one.host, one.pid))


def other_queues(redis: Redis, queue: str) -> list[str]:
    """Queues of ours on the same Redis that have workers, but for *queue*: other databases'.

    Raises:
        RedisError: Redis is away.
    """
    found: list[str] = []
    for key in redis.scan_iter(_QUEUES, count=1000):
        name = key.decode("utf-8", "replace").removeprefix("rq:workers:")
        if name != queue and len(found) < _MOST_QUEUES:
            found.append(name)
    return found


def redis_time(redis: Redis) -> datetime:
    """The clock of Redis, aware, in UTC.

    Raises:
        RedisError: Redis is away.
    """
    seconds, microseconds = redis.time()
    return _time(seconds, microseconds)


def _time(seconds: int, microseconds: int) -> datetime:
    return datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)


def _beat(text: bytes) -> datetime:
    """When that was; whoever reaches Redis can write anything there, which is no sign of life."""
    try:
        return utcparse(text.decode("ascii"))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _silent(heard_at: datetime | None, moment: datetime) -> float:
    if heard_at is None:
        return 0.0
    if heard_at.tzinfo is None:
        heard_at = heard_at.replace(tzinfo=UTC)
    return max(0.0, (moment - heard_at).total_seconds())
