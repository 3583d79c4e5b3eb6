"""Child processes that never outlive the one that started them."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_PR_SET_PDEATHSIG = 1
# Loaded here, because between fork and exec nothing may be loaded.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def spawn(
    command: Sequence[str],
    *,
    stdout: int | IO[Any],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, tied to the life of this process.

    A group of its own, because Ctrl-C in a terminal goes to the whole foreground group: the
    child is to hear of it from us, in order.
    """
    parent = os.getpid()

    def tie() -> None:
        die_with(parent)

    return subprocess.Popen(  # noqa: S603 - our own commands, no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
        cwd=folder,
        process_group=0,
        preexec_fn=tie,  # noqa: PLW1509 - two system calls, safe even beside threads
    )


def die_with(parent: int, death_signal: signal.Signals = signal.SIGKILL) -> None:
    """Let the kernel end this process when its parent ends, were it by kill -9 (Linux only)."""
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), death_signal)


def end(process: subprocess.Popen[bytes], patience: float = 10) -> None:
    """Ask a process to end, insist after a while, and leave nothing of its group behind."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    kill_group(process)
    process.wait()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End at once whatever is left of the process and of what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
