"""Run a program on some bytes, bounded in time and in what it may say; never through a shell.

The bytes are a file, not a pipe. A pipe ends when the writer dies, which the program would take
for the end of the mail: a killed worker would send half of it. And how far a file was read can be
asked.
"""

import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Literal, cast

from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.redaction import printable

#: Why we ended the program ourselves.
Cut = Literal["", "aborted", "timeout", "flood"]

_KEPT = 64 * 1024
_MOST_SAID = 1024 * 1024
_CHUNK = 64 * 1024
#: How long it may go on after SIGTERM, to clean up behind itself.
_GRACE_SECONDS = 1.0
_LAST_SECONDS = 5.0
_SHORTEST_LOOK, _LONGEST_LOOK = 0.0005, 0.05
_LINE = 200
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: What it may know of ours: where its own settings lie, and the time zone of its Date header.
_INHERITED = ("HOME", "TZ")
_IDLE_WORDS = ("warning:", "traceback (most recent call last)")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a program ended.

    Attributes:
        status: its exit status; ``None`` where a signal ended it, or nothing could.
        signal: the number of that signal, else 0.
        cut: why we ended it, if we did.
        taken: whether it had read everything.
        said: the beginning of what it wrote to its output and errors.
    """

    status: int | None
    signal: int
    cut: Cut
    taken: bool
    said: str

    @property
    def first_line(self) -> str:
        """The first line of what it said that tells something, else the first that there is."""
        lines = [line for line in self.said.splitlines() if line.strip()]
        telling = (
            line
            for line in lines
            if not line.startswith((" ", "\t"))
            and not any(words in line.lower() for words in _IDLE_WORDS)
        )
        found = printable(next(telling, lines[0] if lines else "").strip())
        return found if len(found) <= _LINE else found[: _LINE - 1] + "…"


def run(
    arguments: Sequence[str],
    content: bytes,
    *,
    reading: float,
    ending: float,
    aborted: threading.Event | None = None,
) -> Ending:
    """Run a program with *content* on its standard input and wait for its end.

    Args:
        arguments: the program itself first, by its whole path.
        reading: how many seconds it may take until it has read everything.
        ending: how many it may take after that.
        aborted: set by another thread to end it at once.

    Raises:
        OSError: it cannot be started.
    """
    with _file_of(content) as source:
        process = subprocess.Popen(  # noqa: S603 - the host's own program, and no shell
            [one.encode("utf-8") for one in arguments],
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            cwd="/",
            env=_environment(),
            start_new_session=True,
        )
        running = _Running(process, source, len(content), aborted or threading.Event())
        try:
            return running.follow(Deadline(reading), ending)
        finally:
            running.let_go()


class _Running:
    """A program that was started, until its end."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        source: int,
        size: int,
        aborted: threading.Event,
    ) -> None:
        self._process = process
        self._source, self._size = source, size
        self._aborted = aborted
        self._output = cast(IO[bytes], process.stdout)
        os.set_blocking(self._output.fileno(), False)
        self._open = True
        self._kept = bytearray()
        self._said = 0

    def follow(self, reading: Deadline, ending: float) -> Ending:
        """Wait for its end, or bring it about."""
        deadline, taken = reading, False
        look = _SHORTEST_LOOK
        cut: Cut = ""
        while self._process.poll() is None:
            if not taken and self._taken():
                deadline, taken = Deadline(ending), True
            cut = self._why_cut(deadline)
            if cut:
                self._end()
                break
            look = _SHORTEST_LOOK if self._listen(look) else min(look * 2, _LONGEST_LOOK)
        # What it said last; a child of its own may hold the other end for long.
        while self._open and self._said < _MOST_SAID and self._listen(0):
            pass
        status = self._process.returncode
        said = self._kept.decode("utf-8", "replace")
        if status is None or status < 0:
            return Ending(None, -status if status else 0, cut, self._taken(), said)
        return Ending(status, 0, cut, self._taken(), said)

    def let_go(self) -> None:
        """Leave nothing behind, also after an error in between."""
        if self._process.returncode is None:
            self._end()
        self._output.close()

    def _taken(self) -> bool:
        # The two share the file's position.
        return os.lseek(self._source, 0, os.SEEK_CUR) >= self._size

    def _why_cut(self, deadline: Deadline) -> Cut:
        if self._aborted.is_set():
            return "aborted"
        if self._said >= _MOST_SAID:
            return "flood"
        return "timeout" if deadline.passed else ""

    def _listen(self, seconds: float) -> bool:
        """Wait that long for something to be said, and read it; whether there was anything."""
        if not self._open:
            time.sleep(seconds)
            return False
        if not _readable(self._output, seconds):
            return False
        try:
            received = self._output.read(_CHUNK)
        except OSError:
            received = b""
        if not received:
            self._open = False
            return True
        self._said += len(received)
        self._kept += received[: max(0, _KEPT - len(self._kept))]
        return True

    def _end(self) -> None:
        """End it and all that it started: they are a group of their own."""
        group = self._process.pid
        # Not reaped before the last signal, so that the number still is this group's.
        _signal(group, signal.SIGTERM)
        grace = Deadline(_GRACE_SECONDS)
        while not _has_ended(group) and not grace.passed:
            self._listen(_LONGEST_LOOK)
        _signal(group, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # it waits for a broken disk
            self._process.wait(_LAST_SECONDS)


def _readable(output: IO[bytes], seconds: float) -> bool:
    poller = select.poll()
    poller.register(output, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


@contextmanager
def _file_of(content: bytes) -> Iterator[int]:
    """A nameless file that holds *content*, in memory where that is possible."""
    if hasattr(os, "memfd_create"):
        file = os.fdopen(os.memfd_create("mail"), "w+b", buffering=0)
    else:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed below
    with file:
        view = memoryview(content)
        while view:
            view = view[file.write(view) :]
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        yield file.fileno()


def _environment() -> dict[str, str]:
    """What a program sees of ours: none of the app's secrets is in it."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {"PATH": _PATH, "LANG": "C", "HOME": "/"} | kept
