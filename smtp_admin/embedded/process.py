"""Child processes that never outlive the one that started them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_PARENT_WATCH = Path(__file__).with_name("parent_watch.py")


def spawn(
    command: Sequence[str],
    *,
    stdout: int | IO[Any],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, tied to the life of this thread.

    A group of its own, because Ctrl-C in a terminal goes to the whole foreground group: the
    child is to hear of it from us, in order.
    """
    watched = [sys.executable, "-I", "-S", str(_PARENT_WATCH), str(os.getpid())]
    return subprocess.Popen(  # noqa: S603 - our own commands, no shell
        [*watched, *command],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
        cwd=folder,
        process_group=0,
    )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End at once whatever is left of the process and of what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
