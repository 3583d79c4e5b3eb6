"""A real terminal with a command in it: what a person at the keyboard types and reads."""

import contextlib
import fcntl
import os
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from tests.prepared import Command

__all__ = ["CTRL_C", "CTRL_D", "Terminal"]

CTRL_C, CTRL_D = "\x03", "\x04"
_ROWS, _COLUMNS = 50, 110
_PATIENCE = 40.0


class Terminal:
    """``flask smtp-admin`` with *words* in a pseudo-terminal; ended with the ``with`` block.

    Args:
        folder: where ``app.py`` is.
        environment: variables beside those of this process.
        colours: else they are forbidden, as ``NO_COLOR`` does.
    """

    def __init__(
        self,
        folder: Path,
        *words: str,
        environment: Mapping[str, str] = MappingProxyType({}),
        colours: bool = False,
    ) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SMTP_", "FLASK_", "NO_COLOR", "FORCE_COLOR"))
        }
        self._process = Command(
            folder,
            "smtp-admin",
            *words,
            output=slave,
            terminal=True,
            environment=inherited
            | {"TERM": "xterm-256color"}
            | ({} if colours else {"NO_COLOR": "1"})
            | dict(environment),
        )
        os.close(slave)
        self._read = b""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        os.close(self._master)

    @property
    def screen(self) -> str:
        """Everything that was shown so far."""
        return self._read.decode("utf-8", "replace")

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def expect(self, words: str) -> str:
        """Wait until *words* appear, after what was waited for before; what came until then."""
        ends = time.monotonic() + _PATIENCE
        while (at := self.screen.find(words, self._seen)) < 0:
            if not self._more(ends):
                raise AssertionError(f"{words!r} never came after:\n{self.screen[self._seen :]}")
        before, self._seen = self.screen[self._seen : at], at + len(words)
        return before

    def type(self, text: str = "") -> None:
        """Type a line and press Enter."""
        self.press(text + "\n")

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def insist(self, keys: str, until: str) -> None:
        """Press *keys* again and again until these words appear, as a person does.

        A signal that comes between a prompt and the read after it is noticed by Python only when
        the read returns.
        """
        ends = time.monotonic() + _PATIENCE
        while self.screen.find(until, self._seen) < 0:
            assert time.monotonic() < ends, f"{until!r} never came: {self.screen[self._seen :]}"
            self.press(keys)
            soon = time.monotonic() + 3.0
            while self.screen.find(until, self._seen) < 0 and self._more(soon):
                pass
        self.expect(until)

    def answer(self, question: str, text: str = "") -> None:
        """Wait for *question* and answer it; while a secret is typed, nothing is shown."""
        self.expect(question)
        if "not shown" in question:
            # The prompt comes a moment before the terminal is told.
            ends = time.monotonic() + _PATIENCE
            while self.echoes and time.monotonic() < ends:
                time.sleep(0.005)
            assert not self.echoes
        self.type(text)

    def ended(self) -> int:
        """Its exit status, once it has ended by itself."""
        ends = time.monotonic() + _PATIENCE
        while self._more(ends):
            pass
        return self._process.wait(_PATIENCE)

    def _more(self, ends: float) -> bool:
        """Read some; whether there may be more in time."""
        left = ends - time.monotonic()
        if left <= 0 or not select.select([self._master], [], [], left)[0]:
            return False
        with contextlib.suppress(OSError):  # Linux says so when nobody holds the other end
            if content := os.read(self._master, 65536):
                self._read += content
                return True
        return False
