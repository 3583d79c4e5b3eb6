"""The acceptance journal: what a worker has achieved since its last commit, kept in Redis.

Written without waiting for an answer, so it costs a system call; and because the operating system
delivers what was written even after ``kill -9``, a rescuer on any machine can read what the dead
worker had done. The mails of a batch are sent in order, so exactly the first one without an entry
can have been under way. The batch before stays in it until the next begins, because its results
may not have been committed yet.
"""

import logging
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

_MOST_DIGITS = 19
_KEEP_SECONDS = 7 * 24 * 3600


def _key(lease: str) -> str:
    return f"smtp_admin:journal:{lease}"


def _bulk(*words: bytes) -> bytes:
    """*words* as Redis reads them."""
    return b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def _command(*words: bytes) -> bytes:
    """A whole command."""
    return b"*%d\r\n%s" % (len(words), _bulk(*words))


class Lines:
    """Connections to Redis on which nobody waits for answers, kept from lane to lane."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._lock = threading.Lock()
        self._idle: list[Any] = []

    def take(self) -> Any:
        """A connection that was used before, or ``None``."""
        with self._lock:
            return self._idle.pop() if self._idle else None

    def connect(self) -> Any:
        """A new connection, or ``None`` if Redis does not answer."""
        pool = self._redis.connection_pool
        # Not one of the pool's own: their answers must be read.
        connection: Any = pool.connection_class(**pool.connection_kwargs)
        try:
            connection.connect()
            connection.send_command("CLIENT", "REPLY", "OFF")
        except (RedisError, OSError):
            connection.disconnect()
            return None
        return connection

    def give_back(self, connection: Any) -> None:
        """Keep *connection* for the next lane; everything written to it is whole."""
        with self._lock:
            self._idle.append(connection)

    def close(self) -> None:
        """Let go of those that nobody uses."""
        while connection := self.take():
            connection.disconnect()


class Journal:
    """Where one lane writes; used by one thread."""

    def __init__(self, lines: Lines, lease: str) -> None:
        self._lines = lines
        self._key = _key(lease)
        #: The beginning of every entry's command; only the entry itself differs.
        self._rpush = b"*3\r\n" + _bulk(b"RPUSH", self._key.encode("ascii"))
        self._connection: Any = None
        self._socket: Any = None
        #: The entries of the present batch, after its order of sending.
        self._present: list[bytes] = []

    @property
    def works(self) -> bool:
        """Whether what is written arrives, as far as one can tell without asking."""
        return self._socket is not None

    def begin(self, ids: Sequence[int]) -> bool:
        """A batch comes next, to be sent in this order; whether Redis has confirmed to know it.

        The one time that an answer is waited for: until it is there, nothing may be sent while
        Redis still holds what an earlier batch wrote. The results of all batches but the last
        must be on the disk.
        """
        if self._connection is None:
            # One that was kept may have died since; then a new one tells whether Redis is there.
            for connect in (self._lines.take, self._lines.connect):
                self._use(connect())
                if self.works and self._begin(ids):
                    return True
            return False
        return self._begin(ids)

    def _begin(self, ids: Sequence[int]) -> bool:
        order = b"b:" + ",".join(map(str, ids)).encode("ascii")
        key, seconds = self._key.encode("ascii"), b"%d" % _KEEP_SECONDS
        # Whole, so that it is true also after a Redis that came back with nothing; and at once,
        # so that nobody ever reads half of it.
        self._send(
            _command(b"MULTI")
            + _command(b"DEL", key)
            + _command(b"RPUSH", key, *self._present, order)
            + _command(b"EXPIRE", key, seconds)
            + _command(b"EXEC")
        )
        if not self._holds(len(self._present) + 1):
            return False
        self._present = [order]
        return True

    def accepted(self, delivery_id: int) -> None:
        """The server took it."""
        self._push(b"a:%d" % delivery_id)

    def settled(self, delivery_id: int) -> None:
        """It was not taken, and nothing of it is under way any more."""
        self._push(b"s:%d" % delivery_id)

    def finish(self) -> None:
        """Everything is committed."""
        self._send(_command(b"DEL", self._key.encode("ascii")))

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._lines.give_back(self._connection)
        self._use(None)

    def _use(self, connection: Any) -> None:
        self._connection = connection
        self._socket = None if connection is None else connection._sock

    def _holds(self, entries: int) -> bool:
        """Whether Redis has carried out everything, and not refused it for want of memory."""
        length = _command(b"LLEN", self._key.encode("ascii"))
        self._send(_command(b"CLIENT", b"REPLY", b"ON") + length)
        if self._connection is None:
            return False
        try:
            self._connection.read_response()
            found = self._connection.read_response()
        except (RedisError, OSError):
            self._give_up()
            return False
        if found != entries:
            self._give_up()
        self._send(_command(b"CLIENT", b"REPLY", b"OFF"))
        return self.works

    def _push(self, entry: bytes) -> None:
        self._present.append(entry)
        self._send(b"%s$%d\r\n%s\r\n" % (self._rpush, len(entry), entry))

    def _send(self, command: bytes) -> None:
        if self._socket is None:
            return
        try:
            # Redis's own wire format, past the client: it would read an answer for each write.
            self._socket.sendall(command)
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        log.warning("Redis went away: results are committed one by one")
        if self._connection is not None:
            self._connection.disconnect()
        self._use(None)


@dataclass(frozen=True, slots=True)
class Found:
    """What the journal of a dead worker says.

    Attributes:
        order: what was begun last, in the order of sending; ``None`` where the journal was lost.
        accepted: taken by the server, perhaps not yet committed.
        settled: not taken, and certainly not under way.
    """

    order: tuple[int, ...] | None
    accepted: frozenset[int]
    settled: frozenset[int]

    def unknown(self, held: Collection[int]) -> set[int]:
        """Which of *held*, the deliveries without a committed result, may have been under way.

        At most the first in the order of sending. What is not in it was claimed and not yet
        begun: nothing is sent before Redis knows the order.
        """
        open_ones = set(held) - self.accepted - self.settled
        if self.order is None:
            return open_ones
        return set([one for one in self.order if one in open_ones][:1])


def read(redis: Redis, lease: str) -> Found | None:
    """The journal of *lease*, or ``None`` when Redis does not answer."""
    try:
        raw: Any = redis.lrange(_key(lease), 0, -1)
    except (RedisError, OSError):
        return None
    entries: list[bytes] = list(raw)
    return Found(_order(entries), _entries(entries, b"a:"), _entries(entries, b"s:"))


def _order(entries: Sequence[bytes]) -> tuple[int, ...] | None:
    if not entries or not entries[0].startswith(b"b:"):
        return None
    orders = [entry[2:] for entry in entries if entry.startswith(b"b:")]
    texts = [text for order in orders for text in order.split(b",") if text]
    listed = tuple(_ids(texts))
    return listed if len(listed) == len(texts) else None


def _entries(entries: Sequence[bytes], kind: bytes) -> frozenset[int]:
    return frozenset(_ids(entry[2:] for entry in entries if entry.startswith(kind)))


def _ids(texts: Iterable[bytes]) -> Iterator[int]:
    # Whoever reaches Redis can write anything there; what is no number says nothing.
    return (int(text) for text in texts if text.isdigit() and len(text) <= _MOST_DIGITS)


def forget(redis: Redis, lease: str) -> None:
    """Throw the journal away after its lane was rescued."""
    try:
        redis.delete(_key(lease))
    except (RedisError, OSError):
        log.debug("the journal of %s stays until it expires", lease)
