"""Starts the processes of the example, shows what they say, and stops them all together.

One thread and one loop: it reads their output, notices when one ends, and hears Ctrl-C.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self, TextIO

from smtp_admin.embedded.process import kill_group, spawn

PATIENCE = 10  # seconds from SIGTERM to SIGKILL
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TURN = 0.2
_LONGEST_LINE = 16 * 1024
_COLOURS = (36, 35, 33, 32)


class Stop(Exception):
    """Everything is to stop: because somebody asked (status 0), or something failed (1)."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason.strip())
        self.status = status


@dataclass
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    colour: int
    hint: str
    unfinished: bytes = b""


class Supervisor:
    """Use it as a context: whatever was started inside has ended when the block has."""

    def __init__(self) -> None:
        self._children: list[_Child] = []
        self._selector = selectors.DefaultSelector()
        self._asked = 0
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for one in _SIGNALS:
            # Under nohup it is ignored, and stays so: the terminal may go, the processes stay.
            if one is signal.SIGHUP and signal.getsignal(one) is signal.SIG_IGN:
                continue
            self._previous[one] = signal.signal(one, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if isinstance(error, Stop):
                self.say(str(error), sys.stderr if error.status else sys.stdout)
            self._stop_all()
        finally:
            for one, handler in self._previous.items():
                signal.signal(one, handler)
            self._selector.close()

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        ready: Callable[[], bool] | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        patience: float = 60,
        hint: str = "",
    ) -> None:
        """Start one process and, if *ready* is given, wait until it says so.

        Args:
            name: stands before each line of its output.
            hint: where to look if it ends by itself.

        Raises:
            Stop: it did not get ready, another one ended meanwhile, or somebody asked to stop.
        """
        self.check()
        process = spawn(
            command,
            stdout=subprocess.PIPE,
            environment={"PYTHONUNBUFFERED": "1", **(environment or {})},
            folder=folder,
        )
        child = _Child(name, process, _COLOURS[len(self._children) % len(_COLOURS)], hint)
        self._children.append(child)
        assert process.stdout is not None  # noqa: S101 - told so two lines above
        self._selector.register(process.stdout, selectors.EVENT_READ, child)
        deadline = time.monotonic() + patience
        while ready and not ready():
            if time.monotonic() > deadline:
                raise Stop(f"{name} did not get ready in {patience:.0f} seconds. {hint}", 1)
            self._show_output(_TURN / 2)
            self.check()

    def wait(self) -> NoReturn:
        """Show what the processes say until it is time to stop.

        Raises:
            Stop: always, with the reason.
        """
        while True:
            self._show_output(_TURN)
            self.check()

    def check(self) -> None:
        """Find out whether it is time to stop.

        Raises:
            Stop: it is.
        """
        if self._asked:
            raise Stop("Stopping.", 0)
        for child in self._children:
            status = child.process.poll()
            if status is not None:
                how = f"signal {-status}" if status < 0 else f"status {status}"
                raise Stop(f"{child.name} ended ({how}), so everything stops. {child.hint}", 1)

    def say(self, text: str, stream: TextIO | None = None) -> None:
        """Print something of our own."""
        stream = stream or sys.stdout
        try:
            print(text, file=stream, flush=True)
        except OSError:
            # The terminal or the pipe is gone. Nobody reads us any more, so it is time to stop.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            self._asked += 1

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._asked += 1

    def _stop_all(self) -> None:
        # The last one first: a worker that is just sending still finds the mail server there.
        asked = self._asked
        for child in reversed(self._children):
            child.process.terminate()
            deadline = time.monotonic() + PATIENCE
            while child.process.poll() is None:
                # Asked once more: somebody is in a hurry.
                if time.monotonic() > deadline or self._asked > max(asked, 1):
                    break
                self._show_output(_TURN / 4)
            kill_group(child.process)
            child.process.wait()
        self._show_output(0)

    def _show_output(self, seconds: float) -> None:
        if not self._selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._selector.select(seconds):
            child: _Child = key.data
            content = os.read(key.fd, 65536)
            *lines, child.unfinished = (child.unfinished + content).split(b"\n")
            if not content:
                self._selector.unregister(key.fileobj)
                assert child.process.stdout is not None  # noqa: S101 - it was just read
                child.process.stdout.close()
            if child.unfinished and (not content or len(child.unfinished) > _LONGEST_LINE):
                lines.append(child.unfinished)
                child.unfinished = b""
            for line in lines:
                self._show_line(child, line)

    def _show_line(self, child: _Child, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        name = f"{child.name:<6}"
        if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
            name = f"\x1b[{child.colour}m{name}\x1b[0m"
        self.say(f"{name} | {text}")
