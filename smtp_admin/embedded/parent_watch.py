"""Ties a program to the life of the process that starts it, then becomes that program.

Run by its path, ``python -I -S parent_watch.py PARENT PROGRAM …``, with nothing but the standard
library: between fork and exec of a process that has threads no Python code should run.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent: int, death_signal: signal.Signals = signal.SIGKILL) -> None:
    """Let the kernel end this process when its parent ends, were it by kill -9 (Linux only)."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), death_signal)


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    try:
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is meant
    except OSError as error:
        sys.exit(f"{sys.argv[2]}: {error.strerror}")
