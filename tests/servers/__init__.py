"""Real and scripted servers for the tests: SMTP, Redis, databases and a browser.

Nothing here imports `smtp_admin`: the servers must not share a misunderstanding with the code
they test.
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Unavailable", "closed_port", "find_program", "free_port", "stop_process", "tail"]

# Below the ports the kernel hands to outgoing connections (32768 and up on Linux): a server that
# is stopped and started again must find its port still free.
_ALL_PORTS = range(20000, 32000)
#: Each process of a run has its own of them. What takes seconds to start, and then finds its port
#: taken, would else have lost it to a test of another process.
_SHARES = 16
PORTS = _ALL_PORTS[int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % _SHARES :: _SHARES]

# Debian keeps servers in folders that an ordinary user's PATH leaves out.
PROGRAM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


class Unavailable(Exception):
    """A server cannot run here; the message says what to install.

    Tests turn it into a skip, so it is raised only for a program that is missing or unreadable,
    never for one that fails: a broken server must not look like an absent one.

    Args:
        message: what is missing, for people.
        packages: Debian's packages that would bring it.
    """

    def __init__(self, message: str, *packages: str) -> None:
        super().__init__(message)
        self.packages = packages


def find_program(*names: str) -> Path | None:
    """Return the first program found under one of the names, or None.

    The usual folders are searched after PATH because servers live in `sbin`.
    """
    path = os.pathsep.join((os.environ.get("PATH", ""), *PROGRAM_FOLDERS))
    for name in names:
        if found := shutil.which(name, path=path):
            return Path(found)
    return None


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port that nobody listens on at this moment.

    Another process can take it before the caller does, so a server that fails to start on it
    deserves a second try with a new port.
    """
    for _ in range(100):
        port = secrets.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        return port
    raise RuntimeError(f"No free port between {PORTS[0]} and {PORTS[-1]} on {host}.")


@contextlib.contextmanager
def closed_port(host: str = "127.0.0.1") -> Iterator[int]:
    """Give a TCP port that refuses connections, and that nobody else gets meanwhile.

    A port that was merely free a moment ago may be another test's server by now.
    """
    with socket.socket() as held:
        while True:
            with contextlib.suppress(OSError):
                held.bind((host, secrets.choice(PORTS)))
                break
        yield held.getsockname()[1]


def stop_process(process: subprocess.Popen[bytes], timeout: float = 10) -> None:
    """End a process politely, then by force, and collect its exit status.

    Without the collection a zombie and a ResourceWarning would stay behind.
    """
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def tail(file: Path, lines: int = 20) -> str:
    """Return the last lines of a log, for the message of a server that did not start.

    A missing file gives an empty text: the server may have died before it opened its log.
    """
    if not file.exists():
        return ""
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])
