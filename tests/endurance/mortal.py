"""Workers that end, or stand still, at one exact step of their way.

Each is a process of its own that runs the command ``smtp-admin worker``. All are forked from one
process that has imported everything already, because most of them live for a tenth of a second.
"""

import importlib
import logging
import multiprocessing.connection
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, Signals, pthread_kill
from types import TracebackType
from typing import Any, Literal, Self

from flask.cli import ScriptInfo

from tests.patience import CONSTANTS, SECONDS
from tests.prepared import FORKS, leave_addresses

__all__ = ["Fate", "Mortal"]


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a worker gets a signal from itself.

    Attributes:
        where: a function of the package, as ``module:name`` or ``module:Class.name``.
        when: before it runs, after it, or ``halfway`` through a ``write(data, …)``.
        call: at which of its calls.
    """

    where: str
    when: Literal["before", "after", "halfway"] = "before"
    call: int = 1
    signal: Signals = SIGKILL


@dataclass(frozen=True, slots=True)
class _Life:
    folder: Path
    log: Path
    options: tuple[str, ...]
    fates: tuple[Fate, ...]
    constants: Mapping[str, float] = field(default_factory=dict)


class Mortal:
    """A worker process; killed at the end of the ``with`` block if it still runs.

    Args:
        options: of the command ``worker``.
        constants: numbers of the package that are other ones in this process, as ``module:NAME``,
            beside those of ``tests.patience``: how fast a machine is decides no step.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        fate: Fate | None = None,
        constants: Mapping[str, float] | None = None,
    ) -> None:
        self._log = folder / f"mortal-{time.monotonic_ns()}.log"
        fates = (fate,) if fate else ()
        life = _Life(folder, self._log, options, fates, {**CONSTANTS, **(constants or {})})
        self._process = FORKS.Process(target=_live, args=(life,))
        self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.alive:
            self.signal(SIGKILL)
        self._process.join(SECONDS)
        self._process.close()

    @property
    def output(self) -> str:
        """Everything it has printed so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def alive(self) -> bool:
        """Whether it runs, or stands still."""
        return self._process.exitcode is None

    @property
    def standing_still(self) -> bool:
        """Whether it was stopped by SIGSTOP."""
        status = Path(f"/proc/{self._process.pid}/stat").read_text()
        return status.rpartition(")")[2].split()[0] == "T"

    def signal(self, number: Signals) -> None:
        """Send it a signal, from any thread; after SIGKILL it is gone when this returns."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)
        if number is SIGKILL:
            multiprocessing.connection.wait([self._process.sentinel], timeout=SECONDS)

    def wait(self, seconds: float = SECONDS) -> int:
        """Its exit status, once it has ended; a signal's number is negative."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise TimeoutError(f"The worker did not end:\n{self.output}")
        return self._process.exitcode


def _live(life: _Life) -> None:
    """What the process does: the host app of its folder, and the command."""
    for name in [name for name in os.environ if name.startswith(("SMTP_", "FLASK_"))]:
        del os.environ[name]
    with life.log.open("wb", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.stdout = sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    os.chdir(life.folder)
    sys.path.insert(0, str(life.folder))
    leave_addresses()
    app = importlib.import_module("app").app
    for where, number in life.constants.items():
        owner, name = _find(where)
        assert hasattr(owner, name)
        setattr(owner, name, number)
    for fate in life.fates:
        _arm(fate)
    app.cli.main(["smtp-admin", "worker", *life.options], obj=ScriptInfo(create_app=lambda: app))


def _find(where: str) -> tuple[Any, str]:
    module, _, path = where.partition(":")
    owner: Any = importlib.import_module(module)
    *between, name = path.split(".")
    for step in between:
        owner = getattr(owner, step)
    return owner, name


def _arm(fate: Fate) -> None:
    owner, name = _find(fate.where)
    really: Callable[..., Any] = getattr(owner, name)
    lock = threading.Lock()
    calls = 0

    # To this very thread: with a stop for the whole process it could go on for a moment.
    def instead(*args: Any, **keywords: Any) -> Any:
        nonlocal calls
        with lock:
            calls += 1
            now = calls == fate.call
        if now and fate.when == "halfway":
            wire, data, *rest = args
            really(wire, data[: len(data) // 2], *rest, **keywords)
        if now and fate.when != "after":
            pthread_kill(threading.get_ident(), fate.signal)
        result = really(*args, **keywords)
        if now and fate.when == "after":
            pthread_kill(threading.get_ident(), fate.signal)
        return result

    setattr(owner, name, instead)
