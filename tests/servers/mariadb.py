"""A MariaDB server of the tests' own."""

import itertools
import os
import subprocess
import time
from pathlib import Path

from . import Unavailable, find_program, free_port, stop_process, tail
from .lifetime import Server

__all__ = ["MariaDB"]

HOST = "127.0.0.1"
START_SECONDS = 30
START_ATTEMPTS = 5

MARIADB_OPTIONS = (
    f"--bind-address={HOST}",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--performance-schema=OFF",
    "--character-set-server=utf8mb4",
    "--innodb-buffer-pool-size=16M",
    "--innodb-log-file-size=8M",
    "--innodb-doublewrite=OFF",
    # Written at each commit, but not forced to the disk: nothing here survives a power failure.
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    # Every test has tables of its own, and a file for each takes thrice as long.
    "--innodb-file-per-table=OFF",
    # Nor need what is in each be counted and written down when it is made.
    "--innodb-stats-persistent=OFF",
)


def find_mariadb() -> tuple[Path, Path]:
    """Return the server, and the program that makes its first tables."""
    server = find_program("mariadbd", "mysqld")
    installer = find_program("mariadb-install-db")
    if server is None or installer is None:
        raise Unavailable("MariaDB is missing: install Debian's mariadb-server.", "mariadb-server")
    return server, installer


class MariaDB(Server):
    """A MariaDB server that starts with the object and ends with `stop` or the `with` block.

    It runs as whoever runs the tests, root included, and listens on 127.0.0.1 only: its
    administrator has no password.

    Args:
        options: of the server, in place of what the tests otherwise give it.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        try:
            import pymysql  # optional: SQLite needs none of this
        except ImportError as error:
            raise Unavailable("Install PyMySQL to test with MariaDB.") from error
        self._pymysql = pymysql
        self._server, self._installer = find_mariadb()
        self._numbers = itertools.count(1)
        self.options: tuple[str, ...] = options
        self._folder = folder.resolve() / "mariadb"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log = self._folder / "log"
        self._identity = ("--user=root",) if os.geteuid() == 0 else ()
        self._data = f"--datadir={self._folder / 'data'}"
        # One that starts takes away the temporary tables it finds, those of another one too.
        own_tables = self._folder / "temporary"
        own_tables.mkdir(exist_ok=True)
        self._environment = os.environ | {"TMPDIR": str(own_tables)}
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._install()
        self._start()

    def create_database(self) -> str:
        """Create an empty database and return its address.

        Each call makes another one, so that tests never see each other's tables.
        """
        name = f"test_{next(self._numbers)}"
        connection = self._pymysql.connect(
            host=HOST, port=self._port, user="root", ssl_disabled=True
        )
        try:
            connection.cursor().execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        finally:
            connection.close()
        # PyMySQL reads the machine's certificates for each connection that may be encrypted, which
        # takes longer than all else that the connection does in most tests.
        return f"mysql+pymysql://root@{HOST}:{self._port}/{name}?charset=utf8mb4&ssl_disabled=true"

    def name_database(self) -> str:
        """Return the address of a database for an app: here an empty one, which costs little."""
        return self.create_database()

    def crash(self) -> None:
        """End it without goodbye: open connections break, commits stay."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.wait()

    def come_back(self) -> None:
        """Start it again on the same data and port; it returns when it accepts connections."""
        process = self._launch()
        if not self._answers(process):
            stop_process(process)
            raise RuntimeError(f"MariaDB did not come back:\n{tail(self._log)}")
        self._process = process

    def restart_immediately(self) -> None:
        """Restart without goodbye, as after a crash."""
        self.crash()
        self.come_back()

    def stop(self) -> None:
        """End the server; a second call does nothing.

        The data stay in the folder.
        """
        if self._process is not None:
            process, self._process = self._process, None
            stop_process(process, timeout=30)

    def _install(self) -> None:
        if (self._folder / "data" / "mysql").exists():
            return
        method = "--auth-root-authentication-method=normal"
        options = ("--no-defaults", self._data, method, "--skip-test-db")
        with self._log.open("ab") as log:
            done = subprocess.run(
                [self._installer, *options, "--skip-name-resolve", *self._identity],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                check=False,
            )
        if done.returncode:
            raise RuntimeError(f"mariadb-install-db failed:\n{tail(self._log)}")

    def _start(self) -> None:
        for _ in range(START_ATTEMPTS):
            self._port = free_port(HOST)
            process = self._launch()
            if self._answers(process):
                self._process = process
                return
            stop_process(process)
        raise RuntimeError(f"MariaDB did not start:\n{tail(self._log)}")

    def _launch(self) -> "subprocess.Popen[bytes]":
        # The socket's name is relative to the data folder: a full path may be too long for one.
        own = (self._data, "--socket=socket", f"--port={self._port}", *self._identity)
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [self._server, "--no-defaults", *own, *MARIADB_OPTIONS, *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
            )

    def _answers(self, process: "subprocess.Popen[bytes]") -> bool:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                connection = self._pymysql.connect(
                    host=HOST, port=self._port, user="root", ssl_disabled=True
                )
            except self._pymysql.err.OperationalError:
                time.sleep(0.05)
            else:
                connection.close()
                return True
        return False
