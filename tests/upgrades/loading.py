"""Load the database that commit adae1df left behind, and what is known to be in it.

All three files hold the same rows, so there is one set of expectations. Times in it are absolute:
whoever lets a worker run on the database should do so inside :func:`back_then`, or what was
finished is old enough to be forgotten, and waiting reminders are too old to be sent.
"""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Engine, create_engine

from smtp_admin.clock import now, shifted

__all__ = ["FOLDER", "KINDS", "Kind", "back_then", "expected", "load", "statements"]

Kind = Literal["sqlite", "postgresql", "mariadb"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql", "mariadb")
FOLDER = Path(__file__).with_name("adae1df")
#: What stands between two statements; no value contains it.
SEPARATOR = ";\n"


def load(database: str | Engine, dialect: Kind) -> None:
    """Make the old tables, with everything in them, in an empty database.

    Args:
        database: its address, or an engine on it; a SQLite file need not exist.
    """
    engine = create_engine(database) if isinstance(database, str) else database
    try:
        # Past SQLAlchemy, to which a percent sign or a colon in a value would mean something.
        with closing(engine.raw_connection()) as connection:
            cursor = connection.cursor()
            for statement in statements(dialect):
                cursor.execute(statement)
            cursor.close()
            connection.commit()
    finally:
        if engine is not database:
            engine.dispose()


def statements(dialect: Kind) -> list[str]:
    """The SQL that :func:`load` runs, one statement each."""
    text = (FOLDER / f"{dialect}.sql").read_text(encoding="utf-8")
    return [part for part in text.removesuffix("\n").removesuffix(";").split(SEPARATOR) if part]


def expected() -> dict[str, Any]:
    """What is in the database, as the code of commit adae1df told it; a copy for each caller."""
    found: dict[str, Any] = json.loads(_text())
    return found


@cache
def _text() -> str:
    return (FOLDER / "expected.json").read_text(encoding="utf-8")


@contextmanager
def back_then(later: timedelta = timedelta()) -> Iterator[None]:
    """Both clocks of this process when the database was left, or *later* than that."""
    left = datetime.fromisoformat(expected()["made_at"]).astimezone(UTC)
    with shifted(left + later - now()):
        yield
