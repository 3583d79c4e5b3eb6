"""Ports on loopback: the usual one if it is free, another one if not, the same one next time."""

import json
import socket
from contextlib import closing
from pathlib import Path

from smtp_admin.embedded.files import private_folder, write_private

LOOPBACK = "127.0.0.1"
_FILE = "ports.json"


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with closing(socket.socket()) as sock:
        # As servers do: a port whose last connections are still winding down is free.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether a server listens there."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def any_free_port() -> int:
    """A port that nobody uses at the moment."""
    with closing(socket.socket()) as sock:
        sock.bind((LOOPBACK, 0))
        return int(sock.getsockname()[1])


def known_port(folder: Path, name: str) -> int | None:
    """The port that was chosen for this service, if one was."""
    return _read(folder).get(name)


def choose_port(folder: Path, name: str, usual: int | None = None) -> int:
    """The port for this service, remembered so that settings which name it stay right."""
    known = _read(folder)
    wanted = (known.get(name), usual)
    port = next((one for one in wanted if one and is_free(one)), None) or any_free_port()
    if known.get(name) != port:
        content = json.dumps({**known, name: port}, indent=2)
        write_private(private_folder(folder) / _FILE, content.encode())
    return port


def _read(folder: Path) -> dict[str, int]:
    try:
        content = json.loads((folder / _FILE).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: port for name, port in content.items() if isinstance(port, int)}
