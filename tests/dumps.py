"""All that our tables hold, to see whether a request changed any of it."""

import sqlite3
from contextlib import closing
from typing import Any

from smtp_admin.database import Base
from tests.app import HostApp

Dump = dict[str, list[tuple[Any, ...]]]


def dump(site: HostApp) -> Dump:
    """Every row of every table of ours, as the driver has them."""
    with (
        site.app.app_context(),
        closing(site.db.engine.raw_connection()) as connection,
        closing(connection.cursor()) as cursor,
    ):
        return _rows(cursor)


def _rows(cursor: Any) -> Dump:
    found = {}
    for name in Base.metadata.tables:
        cursor.execute(f"SELECT * FROM {name}")
        found[name] = sorted(map(tuple, cursor.fetchall()))
    return found


class Dumps:
    """The same for a SQLite file that is looked at all the time.

    All is read again only after somebody wrote, which SQLite tells a connection that never writes.
    """

    def __init__(self, site: HostApp) -> None:
        with site.app.app_context():
            self._connection = sqlite3.connect(str(site.db.engine.url.database))
        self._version = 0
        self._found: Dump = {}

    def __call__(self) -> Dump:
        """Every row of every table of ours."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            with closing(self._connection.cursor()) as cursor:
                self._found = _rows(cursor)
        return self._found

    def close(self) -> None:
        """Stop looking."""
        self._connection.close()
