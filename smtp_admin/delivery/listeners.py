"""Which workers listen for the bells of this database, as RQ's registry in Redis knows them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from redis import Redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer

_QUEUES = "rq:workers:smtp_admin:*"
_MOST_QUEUES = 20


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
    return datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)


def _silent(heard_at: datetime | None, moment: datetime) -> float:
    if heard_at is None:
        return 0.0
    if heard_at.tzinfo is None:
        heard_at = heard_at.replace(tzinfo=UTC)
    return max(0.0, (moment - heard_at).total_seconds())
