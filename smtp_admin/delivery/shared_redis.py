"""The Redis of an app's web processes: after it failed, nobody asks it for some seconds.

A request may ask for several things: how many requests its caller made, who listens for bells, the
order of senders. While Redis hangs, one of them waits, for all that the app does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from smtp_admin.installation import Installation, Kept, installation

#: How long a request, or a worker, waits for Redis.
PATIENCE_SECONDS = 0.4
_SILENT_SECONDS = 5.0
_ALL = ""

#: What a connection tells Redis about its library. With a new redis-py each would look it up in the
#: papers of the package, which takes longer than to connect.
_LIBRARY: dict[str, Any] = {}
try:
    from redis.driver_info import DriverInfo
except ImportError:
    pass  # an older redis-py, which knows by itself
else:
    _LIBRARY["driver_info"] = DriverInfo()


def redis_client(url: str, patience: float | None = None) -> Redis:
    """A client that gives up at once: redis-py's default would hold a request for a minute.

    Args:
        patience: seconds to wait for the connection, and for each answer; a request's where none
            are given.
    """
    patience = PATIENCE_SECONDS if patience is None else patience
    return Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=patience,
        socket_timeout=patience,
        **_LIBRARY,
    )


def redis_place(url: str) -> str:
    """Which Redis is meant, without its password."""
    found: Any = parse_url(url)  # type: ignore[no-untyped-call]  # its own
    if "path" in found:
        return str(found["path"])
    return f"{found.get('host', 'localhost')}:{found.get('port', 6379)}"


class RedisAway(Exception):
    """Redis did not answer, or refused; its text is the kind of failure.

    Attributes:
        noted: it was so a moment ago, and Redis was not asked again.
    """

    def __init__(self, kind: str, *, noted: bool) -> None:
        super().__init__(kind)
        self.noted = noted


@dataclass(slots=True, eq=False)
class SharedRedis:
    """The client of one app, and until when it is left alone."""

    client: Redis
    _silent_until: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def asked(self, what: str) -> Iterator[Redis]:
        """The client, for questions about *what*.

        A refusal ends these questions alone: Redis is there, and something may stand where only
        they look.

        Raises:
            RedisAway: it is, or was some seconds ago.
        """
        moment = monotonic()
        if any(moment < self._silent_until.get(one, 0.0) for one in (_ALL, what)):
            raise RedisAway("asked before", noted=True)
        try:
            yield self.client
        except (RedisError, OSError) as error:
            answered = isinstance(error, ResponseError)
            self._silent_until[what if answered else _ALL] = monotonic() + _SILENT_SECONDS
            raise RedisAway(type(error).__name__, noted=False) from error

    def ask_at_once(self) -> None:
        """Forget that it failed."""
        self._silent_until.clear()


REDIS = Kept[SharedRedis](lambda here: SharedRedis(redis_client(here.config.redis_url)))


def shared_redis(of: Installation | None = None) -> SharedRedis:
    """This app's."""
    return REDIS.of(of or installation())
