"""Genuine requests of a webhook that could not be read: how many, and the last; kept in Redis.

Not in SQL: a sender of events that writes them wrongly does so each time. They help whoever writes
it, and may be lost without harm.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from redis import Redis
from redis.exceptions import RedisError

from smtp_admin.delivery.doorbell import queue_name, redis_client
from smtp_admin.installation import Installation, Kept, installation

log = logging.getLogger(__name__)

#: They are forgotten so long after the last one.
_KEPT_SECONDS = 30 * 86400


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What could not be read, and why the last one could not."""

    count: int
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class _Kept:
    redis: Redis
    prefix: str

    @staticmethod
    def of(here: Installation) -> "_Kept":
        prefix = f"{queue_name(here.db.engine)}:unreadable"
        return _Kept(redis_client(here.config.redis_url), prefix)


_KEPT = Kept[_Kept](_Kept.of)


def note(webhook_id: int, at: datetime, why: str) -> None:
    """Count one more."""
    here = _KEPT.of(installation())
    key = f"{here.prefix}:{webhook_id}"
    log.warning("a request to webhook %s could not be read: %s", webhook_id, why)
    try:
        with here.redis.pipeline(transaction=True) as pipeline:
            pipeline.hincrby(key, "count", 1)
            pipeline.hset(key, mapping={"at": at.isoformat(), "why": str(why)})
            pipeline.expire(key, _KEPT_SECONDS)
            pipeline.execute()
    except (RedisError, OSError) as error:
        log.warning("Redis is away (%s): it was not counted", type(error).__name__)


def forget(webhook_id: int) -> None:
    """Begin anew: a new webhook may have the number of one that is gone."""
    here = _KEPT.of(installation())
    try:
        here.redis.delete(f"{here.prefix}:{webhook_id}")
    except (RedisError, OSError) as error:
        log.warning("Redis is away (%s): old counts are kept", type(error).__name__)


def of_webhook(webhook_id: int) -> Unreadable | None:
    """What could not be read; ``None`` if there is nothing, or Redis is away."""
    here = _KEPT.of(installation())
    try:
        found = here.redis.hmget(f"{here.prefix}:{webhook_id}", "count", "at", "why")
    except (RedisError, OSError):
        return None
    count, at, why = (one.decode() if isinstance(one, bytes) else str(one or "") for one in found)
    return Unreadable(int(count), datetime.fromisoformat(at), why) if count and at else None
