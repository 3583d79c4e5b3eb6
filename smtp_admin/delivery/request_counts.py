"""How many requests one caller may make in a time: counted in Redis, else by each process itself.

Not in SQL: each request would write the one row that all others of the caller write. And not
nowhere while Redis is away: then each process counts what it sees, so that the limit holds for each
of them. What is counted may be lost without harm.
"""

import logging
import time
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Lock

from smtp_admin.config import Rate
from smtp_admin.delivery.doorbell import queue_name
from smtp_admin.delivery.shared_redis import RedisAway, SharedRedis, shared_redis
from smtp_admin.installation import Installation, Kept

log = logging.getLogger(__name__)

#: Callers that one process counts by itself; more, and it begins anew.
_MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Standing:
    """How a caller stands: what is left of its requests, and in how many seconds it has all again.

    Attributes:
        over: whether nothing was left for this request.
    """

    rate: Rate
    left: int
    resets_in: int
    over: bool = False

    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers writes it."""
        return {
            "RateLimit-Policy": f'"requests";q={self.rate.count};w={self.rate.seconds}',
            "RateLimit": f'"requests";r={self.left};t={self.resets_in}',
        }


@dataclass(slots=True)
class RequestCounts:
    """Counts requests in windows of time, each of which begins with its first request."""

    redis: SharedRedis
    prefix: str
    _own: dict[str, tuple[float, int]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def take(self, who: str, rate: Rate, worth: int = 1) -> Standing:
        """Count one more request of *who*.

        Args:
            worth: as many requests as it counts for; it may be more than what is left.
        """
        name = sha256(who.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        found = self._in_redis(name, rate, worth) or self._by_itself(name, rate, worth)
        count, resets_in = found
        left = max(0, rate.count - count)
        over = count - worth >= rate.count
        return Standing(rate, left, max(1, min(resets_in, rate.seconds)), over)

    def _in_redis(self, name: str, rate: Rate, worth: int) -> tuple[int, int] | None:
        # The rate is part of the key: another one begins with windows of its own length.
        key = f"{self.prefix}:{rate.count}:{rate.seconds}:{name}"
        try:
            with (
                self.redis.asked(self.prefix) as redis,
                redis.pipeline(transaction=True) as pipeline,
            ):
                pipeline.set(key, 0, nx=True, ex=rate.seconds)
                pipeline.incrby(key, worth)
                pipeline.ttl(key)
                _, count, left = pipeline.execute()
                if left < 0:  # it would count for good, and nobody of ours wrote it
                    redis.delete(key)
                return int(count), int(left)
        except RedisAway as away:
            if not away.noted:
                log.warning("Redis is away (%s): each process counts requests itself", away)
            return None

    def _by_itself(self, name: str, rate: Rate, worth: int) -> tuple[int, int]:
        moment = time.monotonic()
        with self._lock:
            begun, count = self._own.get(name, (moment, 0))
            if moment - begun >= rate.seconds:
                begun, count = moment, 0
            if len(self._own) >= _MOST_COUNTED:
                self._own.clear()
            self._own[name] = (begun, count + worth)
        return count + worth, int(begun + rate.seconds - moment) + 1


def kept_counts(name: str) -> Kept[RequestCounts]:
    """The counts of one kind of request, for each app.

    Args:
        name: of the kind, in the keys of Redis.
    """

    def made(here: Installation) -> RequestCounts:
        prefix = f"{queue_name(here.db.engine)}:{name}"
        return RequestCounts(shared_redis(here), prefix)

    return Kept[RequestCounts](made)
