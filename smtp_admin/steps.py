"""Long work in many steps, each a transaction of its own, so that others have turns."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import ColumnElement, Engine, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from smtp_admin.database import transaction
from smtp_admin.database_errors import begin_again

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


T = TypeVar("T")


def in_step(engine: Engine, work: Callable[[Session], T]) -> T:
    """Do *work* in one step, and again from its beginning while others get in its way.

    What the steps before it did is committed: who asked for all of it cannot simply ask again.
    """

    def once() -> T:
        with step(engine) as session:
            return work(session)

    return begin_again(once)


def owner_after(
    session: Session,
    last: str | None,
    owner: InstrumentedAttribute[str],
    *waiting: ColumnElement[bool],
) -> str | None:
    """The next owner of rows that wait, in turns; ``None`` while none waits.

    One is found after the other, by a step in an index each: a list of all of them would be read
    from every row that waits.

    Args:
        last: whose turn it was last; ``None`` for nobody's.
        owner: the column.
        waiting: which rows wait.
    """
    first = select(owner).where(*waiting).order_by(owner).limit(1)
    found = None if last is None else session.scalar(first.where(owner > last))
    return session.scalar(first) if found is None else found
