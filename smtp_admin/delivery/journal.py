"""The acceptance journal: what a worker has achieved since its last commit, kept in Redis.

Written without waiting for an answer, so it costs a system call; and because the operating system
delivers what was written even after ``kill -9``, a rescuer on any machine can read what the dead
worker had done. The mails of a batch are sent in order, so exactly the first one without an entry
can have been under way. The batch before stays in it until the next begins, because its results
may not have been committed yet.
"""

import itertools
import logging
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError

log = logging.getLogger(__name__)

_MOST_DIGITS = 19
#: After Redis did not answer, lanes go on without it for so long: each would wait for it in vain.
AGAIN_SECONDS = 2.0
_KEEP_SECONDS = 7 * 24 * 3600


def _key(lease: str) -> str:
    return f"smtp_admin:journal:{lease}"


def _bulk(*words: bytes) -> bytes:
    """*words* as Redis reads them."""
    return b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def _command(*words: bytes) -> bytes:
    """A whole command."""
    return b"*%d\r\n%s" % (len(words), _bulk(*words))


_ON, _OFF = (_command(b"CLIENT", b"REPLY", word) for word in (b"ON", b"OFF"))


class Line:
    """A connection to Redis on which nobody waits for answers, shared by lanes.

    What is written to it arrives in order, or its epoch ends: then something may be lost.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._lock = threading.Lock()
        self._connection: Any = None
        self._socket: Any = None
        #: When Redis last did not answer, by the monotonic clock.
        self._away_at = 0.0
        #: Counts the connections that this line has had.
        self.epoch = 0

    def send(self, command: bytes, epoch: int) -> bool:
        """Write *command*; whether it was written and the line's *epoch* is still the same."""
        with self._lock:
            return self._send(command, epoch)

    def confirm(self, commands: bytes, count: int) -> tuple[Any, int]:
        """Write so many *commands* and wait for their answers.

        Returns the last answer, an error as an object too, or ``None`` if Redis does not answer;
        and the epoch in which that is so.
        """
        asked_at = time.monotonic()
        with self._lock:
            if self._away_at and self._away_at > asked_at - AGAIN_SECONDS:
                return None, self.epoch  # somebody else has just waited for it
            # One that was kept may have died since; then a new one tells whether Redis is there.
            for _ in range(2):
                found = self._ask(commands, count) if self._socket or self._connect() else None
                if found is not None:
                    return found, self.epoch
            self._away_at = time.monotonic()
            return None, self.epoch

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._end()

    def _connect(self) -> bool:
        pool = self._redis.connection_pool
        # Not one of the pool's own: their answers must be read.
        connection: Any = pool.connection_class(**pool.connection_kwargs)
        try:
            connection.connect()
            connection.send_command("CLIENT", "REPLY", "OFF")
        except (RedisError, OSError):
            connection.disconnect()
            return False
        self._connection, self._socket = connection, connection._sock
        return True

    def _ask(self, commands: bytes, count: int) -> Any:
        if not self._send(_ON + commands + _OFF, self.epoch):
            return None
        found: Any = None
        for _ in range(1 + count):
            try:
                found = self._connection.read_response()
            except ResponseError as refusal:
                found = refusal
            except (RedisError, OSError):
                self._end()
                return None
        return found

    def _send(self, command: bytes, epoch: int) -> bool:
        if self._socket is None or epoch != self.epoch:
            return False
        try:
            # Redis's own wire format, past the client: it would read an answer for each write.
            self._socket.sendall(command)
        except OSError:
            self._end()
            return False
        return True

    def _end(self) -> None:
        if self._connection is not None:
            self.epoch += 1
            self._connection.disconnect()
        self._connection = self._socket = None


class Lines:
    """The lines of a worker; lanes share them, so that a silent one keeps nothing open.

    Args:
        count: how many there are.
    """

    def __init__(self, redis: Redis, count: int = 4) -> None:
        self._lines = [Line(redis) for _ in range(count)]
        self._next = itertools.count()

    def line(self) -> Line:
        """The line for the next lane."""
        return self._lines[next(self._next) % len(self._lines)]

    def close(self) -> None:
        """Let go of all of them."""
        for line in self._lines:
            line.close()


class Journal:
    """Where one lane writes; used by one thread."""

    def __init__(self, lines: Lines, lease: str) -> None:
        self._line = lines.line()
        self._key = _key(lease).encode("ascii")
        #: The beginning of every entry's command; only the entry itself differs.
        self._rpush = b"*3\r\n" + _bulk(b"RPUSH", self._key)
        self._epoch = -1
        #: The entries of the present batch, after its order of sending.
        self._present: list[bytes] = []
        #: Whether what is written arrives, as far as one can tell without asking.
        self.works = False

    def begin(self, ids: Sequence[int]) -> bool:
        """A batch comes next, to be sent in this order; whether Redis has confirmed to know it.

        The one time that an answer is waited for: until it is there, nothing may be sent while
        Redis still holds what an earlier batch wrote. The results of all batches but the last
        must be on the disk.
        """
        order = b"b:" + ",".join(map(str, ids)).encode("ascii")
        # Whole, so that it is true also after a Redis that came back with nothing; and at once,
        # so that nobody ever reads half of it.
        whole = (
            _command(b"MULTI"),
            _command(b"DEL", self._key),
            _command(b"RPUSH", self._key, *self._present, order),
            _command(b"EXPIRE", self._key, b"%d" % _KEEP_SECONDS),
            _command(b"EXEC"),
        )
        done, self._epoch = self._line.confirm(b"".join(whole), len(whole))
        # One that has no memory left refuses the entries, and answers.
        works = isinstance(done, list) and done[1] == len(self._present) + 1
        if works:
            self._present = [order]
        elif self.works or done is not None:
            log.warning("Redis does not keep the journal: results are committed one by one")
        self.works = works
        return works

    def accepted(self, delivery_id: int, provider_id: str = "") -> None:
        """The server took it.

        Args:
            provider_id: what the provider calls the mail from now on.
        """
        name = b" " + provider_id.encode("utf-8") if provider_id else b""
        self._push(b"a:%d%b" % (delivery_id, name))

    def settled(self, delivery_id: int) -> None:
        """It was not taken, and nothing of it is under way any more."""
        self._push(b"s:%d" % delivery_id)

    def finish(self) -> None:
        """Everything is committed."""
        self._send(_command(b"DEL", self._key))

    def _push(self, entry: bytes) -> None:
        self._present.append(entry)
        self._send(b"%s$%d\r\n%s\r\n" % (self._rpush, len(entry), entry))

    def _send(self, command: bytes) -> None:
        if self.works and not self._line.send(command, self._epoch):
            log.warning("Redis went away: results are committed one by one")
            self.works = False


@dataclass(frozen=True, slots=True)
class Found:
    """What the journal of a dead worker says.

    Attributes:
        order: what was begun last, in the order of sending; ``None`` where the journal was lost.
        accepted: taken by the server, perhaps not yet committed.
        settled: not taken, and certainly not under way.
        provider_ids: accepted → what its provider calls it, where it told.
    """

    order: tuple[int, ...] | None
    accepted: frozenset[int]
    settled: frozenset[int]
    provider_ids: Mapping[int, str] = field(default_factory=dict)

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
    accepted = dict(_accepted(entries))
    named = {one: name for one, name in accepted.items() if name}
    return Found(_order(entries), frozenset(accepted), _entries(entries, b"s:"), named)


def _order(entries: Sequence[bytes]) -> tuple[int, ...] | None:
    if not entries or not entries[0].startswith(b"b:"):
        return None
    orders = [entry[2:] for entry in entries if entry.startswith(b"b:")]
    texts = [text for order in orders for text in order.split(b",") if text]
    listed = tuple(_ids(texts))
    return listed if len(listed) == len(texts) else None


def _accepted(entries: Sequence[bytes]) -> Iterator[tuple[int, str]]:
    for entry in entries:
        if entry.startswith(b"a:"):
            number, _, name = entry[2:].partition(b" ")
            text = name.decode("utf-8", "replace")[:255]
            for one in _ids([number]):
                yield one, text if text.isprintable() else ""


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
