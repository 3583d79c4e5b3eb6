"""A lane's connection to the database: there while it is needed, gone while a server is silent.

A worker may wait for hundreds of silent servers, and has a handful of connections.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine


class LaneConnection:
    """One connection of the worker's pool at a time, taken when it is first used.

    Args:
        engine: the worker's own.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.RLock()
        self._connection: Connection | None = None

    @contextmanager
    def used(self) -> Iterator[Connection]:
        """The connection, for a moment; it stays afterwards until :meth:`rest`.

        Raises:
            SQLAlchemyError: the database is away, or every connection is in use for too long.
        """
        with self._lock:
            if self._connection is None:
                self._connection = self._engine.connect()
            yield self._connection

    def rest(self) -> None:
        """Give the connection back if nobody is using it just now; from any thread."""
        if self._lock.acquire(blocking=False):
            try:
                connection, self._connection = self._connection, None
                if connection is not None:
                    connection.close()
            finally:
                self._lock.release()
