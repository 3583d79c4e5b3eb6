"""Postfix's ``smtp-sink``, which takes everything, and how much it has taken."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import Unavailable, find_program, free_port, stop_process

_LINE_BYTES = 100
_LOOK_SECONDS = 0.003
_STALL_SECONDS = 60.0


class Stalled(Exception):
    """Nothing arrived any more, although more was to come."""


class Sink:
    """One ``smtp-sink``: the same clock and the same end for every contestant.

    It writes a running count into a file. Asking the file costs it nothing, and the contestants'
    own ideas of being finished do not matter.
    """

    def __init__(self, folder: Path) -> None:
        program = find_program("smtp-sink")
        if program is None:
            raise Unavailable("smtp-sink is missing: install Postfix (Debian: apt install postfix)")
        self.port = free_port()
        self._file = folder / "smtp-sink.txt"
        # Root must say who it wants to be, and nobody else may.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        with self._file.open("wb") as output:
            self._process = subprocess.Popen(
                [program, "-c", *user, f"127.0.0.1:{self.port}", "200"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stop_process(self._process)

    @property
    def accepted(self) -> int:
        """How many mails it has taken since its start."""
        with self._file.open("rb") as file:
            file.seek(max(0, self._file.stat().st_size - _LINE_BYTES))
            lines = file.read().split(b"\r")
        # What follows the last carriage return may be half a line.
        count = lines[-2].rpartition(b"mesg=")[2] if len(lines) > 1 else b"0"
        return int(count)

    def wait_for(self, total: int, check: Callable[[], None]) -> list[tuple[float, int]]:
        """Wait until it has taken *total*; what it had when, for speeds in between.

        Args:
            check: called now and then; raises if nothing more can be expected.

        Raises:
            Stalled: nothing arrived for a minute.
        """
        samples = [(time.perf_counter(), self.accepted)]
        checked = moved = samples[0][0]
        while samples[-1][1] < total:
            time.sleep(_LOOK_SECONDS)
            now, count = time.perf_counter(), self.accepted
            if count != samples[-1][1]:
                moved = now
                samples.append((now, count))
            elif now - moved > _STALL_SECONDS:
                raise Stalled(f"stopped {total - count} mails before the end")
            if now - checked > 1:
                checked = now
                check()
        return samples
