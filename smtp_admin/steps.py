"""Long work in many steps, each a transaction of its own, so that others who write have turns."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from smtp_admin.database import transaction

#: As often as a program that waits for SQLite's lock looks for it in the end.
_LONGEST_REST = 0.1


@contextmanager
def step(engine: Engine) -> Iterator[Session]:
    """One step; after it nobody is in the way of others for about as long.

    SQLite has one lock for all who write, and nobody stands in line for it: they look every now and
    then whether it is free. Without a rest they would see it taken for seconds, step after step.
    """
    began = time.monotonic()
    with transaction(engine) as session:
        yield session
    if engine.dialect.name == "sqlite":
        time.sleep(min(time.monotonic() - began, _LONGEST_REST))
