"""The three kinds of database the tests run on, each fresh and of the tests' own."""

import secrets
from pathlib import Path

from .mariadb import MariaDB
from .postgresql import PostgreSQL

__all__ = ["MariaDB", "PostgreSQL", "sqlite_url"]


def sqlite_url(folder: Path) -> str:
    """Return the address of a SQLite file in the folder that does not exist yet.

    The file appears with the first connection that writes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder.resolve() / f'test-{secrets.token_hex(4)}.sqlite'}"
