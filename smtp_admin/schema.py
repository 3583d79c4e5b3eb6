"""Our own migrations with our own version table, beside whatever the host does.

They share no history with the host's: a shared one would have two heads, on which the host's
``flask db upgrade`` stops. Whether the tables are the newest is asked at every start, so that goes
without Alembic, which takes long to import: functions that change tables import it themselves.
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from smtp_admin import resources
from smtp_admin.database import VERSION_TABLE, Base
from smtp_admin.database_errors import names_what_is_missing
from smtp_admin.errors import SetupError

if TYPE_CHECKING:
    from alembic.config import Config

log = logging.getLogger(__name__)

_VERSION = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608 - our own name
UPGRADE_COMMAND = "flask smtp-admin db upgrade"


def include_object(
    object_: Any, name: str | None, type_: str, reflected: bool, compare_to: Any
) -> bool:
    """For the host's Alembic ``context.configure(include_object=…)``: leave our tables alone.

    Without it the host's next ``flask db migrate`` proposes to drop them, because they are in
    its database and not in its metadata.
    """
    del reflected, compare_to
    table = name if type_ == "table" else getattr(getattr(object_, "table", None), "name", None)
    return not (table or "").startswith("smtp_admin_")


def head() -> str:
    """The revision that this version of the package needs."""
    return revisions()[-1]


def current(engine: Engine) -> str | None:
    """The revision that the database has, or ``None`` for none."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        found: str | None = connection.scalar(text(_VERSION))
        return found


def check(engine: Engine) -> None:
    """Return if the database has our newest tables.

    Raises:
        SetupError: with the command to run.
    """
    found, wanted = current(engine), head()
    if found == wanted:
        return
    _refuse_newer(found)
    what = "has no tables of smtp_admin yet" if found is None else f"is at {found}, not {wanted}"
    raise SetupError(f"The database {what}.", hint=f"Run `{UPGRADE_COMMAND}`.")


@contextmanager
def explained(engine: Engine) -> Iterator[None]:
    """A database's error about missing tables says which command makes them.

    Nothing is asked while all is well: only after such an error is the version looked up.

    Raises:
        SetupError: the tables are missing or not the newest.
    """
    try:
        yield
    except DBAPIError as error:
        if names_what_is_missing(error):
            _explain(engine, error)
        raise


def _explain(engine: Engine, error: DBAPIError) -> None:
    try:
        check(engine)
    except SetupError as missing:
        raise missing from error
    except SQLAlchemyError:
        return  # it is gone meanwhile; the first error says more


def is_current(engine: Engine) -> bool:
    """Whether the database has our newest tables; ``False`` also when it is away."""
    try:
        return current(engine) == head()
    except SQLAlchemyError:
        return False


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the tables up to *revision*.

    Raises:
        SetupError: a newer version of the package made the tables.
    """
    from alembic import command

    _refuse_newer(current(engine))
    with _migrating(engine) as connection:
        command.upgrade(_config(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the tables back to *revision*, or remove them (``base``) with all that they hold.

    Raises:
        SetupError: there is no such revision, or older tables cannot hold what is there.
    """
    from alembic import command

    known = ["base", *revisions()]
    if revision not in known:
        raise SetupError(
            f"There is no revision {revision!r}.", hint=f"There are: {', '.join(known)}."
        )
    if revision != "base":
        _refuse_to_lose(engine, revision)
    with _migrating(engine) as connection:
        if revision == "base":
            _empty(connection)
        command.downgrade(_config(connection), revision)


@contextmanager
def _migrating(engine: Engine) -> Iterator[Connection]:
    """A transaction in which tables can be changed, by nobody else at the same time.

    Raises:
        SetupError: somebody else changes them, and does not come to an end; or it is a kind of
            database that we do not know.
    """
    alone = _ALONE.get(engine.dialect.name)
    if alone is None:
        raise SetupError(
            f"The database {engine.dialect.name} is not supported.",
            hint="Use PostgreSQL, MariaDB or SQLite.",
        )
    with engine.connect() as connection, alone(connection):
        yield connection


@contextmanager
def _alone_on_sqlite(connection: Connection) -> Iterator[None]:
    """All or nothing: Python's driver would write each change of a table at once.

    SQLite makes a table anew and drops the old one, which a host's ``PRAGMA foreign_keys=ON``
    would refuse; that can only be changed outside of a transaction.
    """
    driver: Any = connection.connection.driver_connection
    kept = {
        name: driver.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("foreign_keys", "busy_timeout")
    }
    driver.execute("PRAGMA foreign_keys=OFF")
    driver.execute(f"PRAGMA busy_timeout={_PATIENCE_SECONDS * 1000}")
    # Readers and the writer no longer block each other; a lasting property of the file.
    driver.execute("PRAGMA journal_mode=WAL")
    try:
        with connection.begin():
            if driver.in_transaction:  # a host's own hook began one that locks nothing yet
                driver.execute("COMMIT")
            driver.execute("BEGIN IMMEDIATE")
            yield
    finally:
        for name, value in kept.items():
            driver.execute(f"PRAGMA {name}={value}")


@contextmanager
def _alone_on_postgresql(connection: Connection) -> Iterator[None]:
    # Whoever waited has to see what was done meanwhile.
    connection.execution_options(isolation_level="READ COMMITTED")
    with connection.begin():
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        yield


@contextmanager
def _alone_on_mysql(connection: Connection) -> Iterator[None]:
    """Each change of a table ends the transaction there, so the lock is one of the connection."""
    lock = "CONCAT('smtp_admin ', MD5(DATABASE()))"
    got = connection.scalar(text(f"SELECT GET_LOCK({lock}, {_PATIENCE_SECONDS})"))
    connection.rollback()
    if not got:
        raise SetupError(
            "Another process changes the tables and does not come to an end.",
            hint="Wait for it, or stop it; then run this command again.",
        )
    if getattr(connection.dialect, "is_mariadb", False):
        _go_on_where_it_broke_off(connection)
    try:
        with connection.begin():
            yield
    finally:
        connection.execute(text(f"SELECT RELEASE_LOCK({lock})"))
        connection.rollback()


def _go_on_where_it_broke_off(connection: Connection) -> None:
    """Let a step that was killed be taken again: each change of a table that it made is there.

    Rows are carried over with the note how far it came, in one transaction, or may be once more;
    but for the oldest steps, which then stop at what is there already, as without this.
    """
    found = (
        connection.scalar(text(_VERSION)) if inspect(connection).has_table(VERSION_TABLE) else ""
    )
    connection.rollback()
    if found in _CARRY_ROWS_BETWEEN:
        return

    @event.listens_for(connection, "before_cursor_execute", retval=True)
    def _unless_done(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any
    ) -> tuple[str, Any]:
        for change, words in _UNLESS_DONE:
            statement = change.sub(words, statement, count=1)
        return statement, parameters


#: From and to these, rows are moved between two changes of tables, and not twice.
_CARRY_ROWS_BETWEEN = frozenset({"0004_renewals", "0005_senders", "0006_hops"})
#: Changes of tables, as MariaDB makes them only where they are not made yet.
_UNLESS_DONE = (
    (re.compile(r"^(\s*CREATE TABLE) "), r"\1 IF NOT EXISTS "),
    (re.compile(r"^(CREATE(?: UNIQUE)? INDEX) "), r"\1 IF NOT EXISTS "),
    (re.compile(r"^(ALTER TABLE \S+ ADD COLUMN) "), r"\1 IF NOT EXISTS "),
    (re.compile(r"^(ALTER TABLE \S+ DROP COLUMN) "), r"\1 IF EXISTS "),
    (re.compile(r"^(\s*DROP (?:TABLE|INDEX)) "), r"\1 IF EXISTS "),
)


#: How long to wait for another process that changes the tables.
_PATIENCE_SECONDS = 600
#: Any number, the same in every version of the package.
_LOCK = 7_164_510_225
_ALONE: dict[str, Callable[[Connection], AbstractContextManager[None]]] = {
    "sqlite": _alone_on_sqlite,
    "postgresql": _alone_on_postgresql,
    "mysql": _alone_on_mysql,
    "mariadb": _alone_on_mysql,
}


def _empty(connection: Connection) -> None:
    """Remove every row of ours: the tables go as well, so no older one has to hold any."""
    names = [name for name, _ in inspect(connection).get_sorted_table_and_fkc_names() if name]
    for name in reversed(names):
        if name.startswith("smtp_admin_") and name != VERSION_TABLE:
            connection.execute(text(f"DELETE FROM {name}"))  # noqa: S608 - our own names


def _refuse_to_lose(engine: Engine, revision: str) -> None:
    """Ask every step before the first is taken: not every database can undo half of them."""
    from alembic.script import ScriptDirectory

    found = current(engine)
    if found not in revisions():
        return
    script = ScriptDirectory.from_config(_config())
    with engine.connect() as connection:
        for step in script.iterate_revisions(found, revision):
            refuse = getattr(step.module, "refuse_downgrade", None)
            if refuse is not None:
                refuse(connection)


@cache
def revisions() -> tuple[str, ...]:
    """Every revision of this version, oldest first; each is the name of its file."""
    files = (resources.folder("migrations") / "versions").glob("[0-9]*.py")
    return tuple(sorted(one.stem for one in files))


def _refuse_newer(found: str | None) -> None:
    if found is not None and found not in revisions():
        raise SetupError(
            f"The tables are at {found}, which this version of smtp_admin does not know.",
            hint="A newer version made them: install that one.",
        )


def differences(engine: Engine) -> list[Any]:
    """How the tables in the database differ from the models; empty when they do not."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    options: dict[str, Any] = {
        "version_table": VERSION_TABLE,
        "include_object": include_ours,
        "target_metadata": Base.metadata,
    }
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, Base.metadata))


def include_ours(
    object_: Any, name: str | None, type_: str, reflected: bool, compare_to: Any
) -> bool:
    """The other half of :func:`include_object`: our migrations see our tables only."""
    if type_ == "table" and name == VERSION_TABLE:
        return False
    return not include_object(object_, name, type_, reflected, compare_to)


def _config(connection: Connection | None = None) -> "Config":
    from alembic.config import Config

    config = Config()
    folder: Path = resources.folder("migrations")
    # Alembic reads its options through configparser, to which a percent sign is special.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    if connection is not None:
        config.attributes["connection"] = connection
    return config
