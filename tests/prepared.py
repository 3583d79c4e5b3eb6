"""Commands as processes of their own that need not import everything first.

``flask smtp-admin …`` takes one to two seconds of a core before its first line of our own. Here all
such processes are forked from one that has imported everything; else they differ in nothing: what
they have is their own arguments, folder, environment, files and, if they want one, terminal. Only
their addresses are compiled when one is asked for, which a command never is: that takes as long as
all else that makes an app. The tests of the wheel and of the demo start some from nothing.
"""

import fcntl
import importlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import reduction
from pathlib import Path
from typing import Any

import flask.cli
import flask_sqlalchemy  # noqa: F401 -- here and below: for those that are forked
from werkzeug.routing import Rule

import smtp_admin  # noqa: F401
from smtp_admin.cli.group import MODULES
from tests.app import KnownMap

__all__ = ["FORKS", "Command", "leave_addresses"]

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "tests.prepared",
        "tests.endurance.mortal",
        "tests.renewals.lives",
        "smtp_admin.embedded.demo",
        "smtp_admin.worker.process",
        *(f"smtp_admin.cli.{name}" for name in MODULES.values()),
        "psycopg",
        "pymysql",
        "tests.settled",
    ]
)


class _Handed:
    """An open file that goes to the new process with its arguments."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _take, (reduction.DupFd(self.number),)


def _take(handed: Any) -> int:
    number: int = handed.detach()
    return number


@dataclass(frozen=True)
class _Start:
    words: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    terminal: bool
    script: str


class Command:
    """A running ``flask --app app.py`` with *words*; used as a ``subprocess.Popen``.

    Args:
        folder: where ``app.py`` is.
        output: an open file for all that it says.
        terminal: whether *output* is a terminal, which then is its own, for reading too.
        script: what is run instead of ``flask``, in *folder*.
    """

    def __init__(
        self,
        folder: Path,
        *words: str,
        output: int,
        environment: Mapping[str, str],
        terminal: bool = False,
        script: str = "",
    ) -> None:
        start = _Start(words, folder, dict(environment), terminal, script)
        self._process = FORKS.Process(target=_run, args=(start, _Handed(output)))
        self._process.start()

    @property
    def pid(self) -> int | None:
        """Its number, once it has one."""
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit status, if it has ended; a signal's number is negative."""
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int:
        """Its exit status, once it has ended."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("flask", seconds or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None and self._process.pid is not None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it without a word."""
        self.send_signal(signal.SIGKILL)


class _Unasked(KnownMap):
    """The rules of an app that lists them, and is asked for no address."""

    def iter_rules(self, endpoint: Any = None) -> Iterator[Rule]:
        """All of them, as they were given: what they say is known before they are compiled."""
        return iter(self.added) if endpoint is None else super().iter_rules(endpoint)


def leave_addresses() -> None:
    """From now on apps of this process compile their addresses when one is asked for."""
    flask.Flask.url_map_class = _Unasked


def _run(start: _Start, output: int) -> None:
    """What the process does."""
    if start.terminal:  # the one that belongs to the process, as a login does
        os.setsid()
        fcntl.ioctl(output, termios.TIOCSCTTY, 0)
        os.dup2(output, 0)
    else:
        with Path(os.devnull).open() as nothing:
            os.dup2(nothing.fileno(), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    # A suite that a shell runs in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(start.environment)
    os.chdir(start.folder)
    leave_addresses()
    sys.path.insert(0, str(start.folder))
    importlib.invalidate_caches()
    if start.script:
        sys.argv = [start.script, *start.words]
        runpy.run_path(start.script, run_name="__main__")
        return
    sys.argv = ["flask", "--app", "app.py", *start.words]
    flask.cli.main()
