"""Worker processes of the tests' own: ``flask --app app.py smtp-admin worker`` in a folder."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import update

from smtp_admin.clock import now
from smtp_admin.delivery.models import Delivery
from smtp_admin.encryption import generate_key
from tests.app import HostApp, make_app
from tests.patience import SECONDS
from tests.prepared import Command
from tests.servers.databases import sqlite_url

__all__ = ["PROMPTLY", "Site", "Worker", "move_due_time", "until"]

#: Seconds in which a worker that is asked to end does, on a busy machine; ten are promised where
#: there is nothing else to do.
PROMPTLY = 25.0

APP = '''
"""The host app that the worker runs in."""

import json

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from smtp_admin import Host, SMTPAdmin

app = Flask(__name__)
app.config["SMTP_ADMIN_ALLOWED_PORTS"] = range(1, 65536)
app.config.from_file("config.json", load=json.load)
db = SQLAlchemy(app)
SMTPAdmin(host=Host()).init_app(app, db)
'''


class Site:
    """A host app on a database, and the folder from which workers are started for it.

    Args:
        uri: the database; a new SQLite file in the folder where none is given.
        migrated: whether it gets our tables, and an app on this side.
        more: further ``SMTP_ADMIN_*`` keys without the prefix.
    """

    def __init__(
        self,
        folder: Path,
        redis_url: str,
        *,
        uri: str = "",
        migrated: bool = True,
        **more: Any,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        config: dict[str, Any] = {
            "SECRET_KEYS": [generate_key()],
            "REDIS_URL": redis_url,
            "RETRY_DELAY": 0.05,
            "ALLOWED_NETWORKS": ["127.0.0.0/8"],
            "APP_NAME": "Northwind",
        } | more
        uri = uri or sqlite_url(folder)
        (folder / "app.py").write_text(APP)
        keys = {f"SMTP_ADMIN_{name}": value for name, value in config.items()}
        (folder / "config.json").write_text(json.dumps(keys | {"SQLALCHEMY_DATABASE_URI": uri}))
        if migrated:
            self.host: HostApp = make_app(uri, config)

    @contextlib.contextmanager
    def opened(self) -> Iterator[HostApp]:
        """The app from this side; its connections are closed at the end."""
        with self.host.app.app_context():
            try:
                yield self.host
            finally:
                self.host.db.session.remove()
                self.host.db.engine.dispose()

    def worker(self, *options: str) -> "Worker":
        """A worker for it, started."""
        return Worker(self.folder, *options)


class Worker:
    """One worker process; killed at the end of the ``with`` block if it still runs.

    Args:
        from_nothing: whether it imports everything itself, as a worker does in production.
    """

    def __init__(self, folder: Path, *options: str, from_nothing: bool = False) -> None:
        self._log = folder / f"worker-{time.monotonic_ns()}.log"
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SMTP_", "FLASK_"))
        }
        words = ("smtp-admin", "worker", *options)
        self._process: Command | subprocess.Popen[bytes]
        with self._log.open("wb") as log:
            if from_nothing:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "flask", "--app", "app.py", *words],
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            else:
                self._process = Command(
                    folder, *words, output=log.fileno(), environment=environment
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.alive:
            self.kill()

    @property
    def output(self) -> str:
        """Everything it has printed so far."""
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Its number; 0 before it has one."""
        return self._process.pid or 0

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def ready(self) -> Self:
        """Wait until it works."""
        if not until(lambda: "is ready" in self.output or not self.alive, 60) or not self.alive:
            raise RuntimeError(f"The worker did not start:\n{self.output}")
        return self

    def wait(self, seconds: float) -> int:
        """Its exit status, once it has ended by itself."""
        return self._process.wait(seconds)

    def stop(self, patience: float = PROMPTLY) -> float:
        """Ask it to end, as systemd does, and return how many seconds it took.

        When patience is over it is killed, as systemd does too, and it took for ever.
        """
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            return math.inf
        return time.monotonic() - began

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self._process.wait()


def until(true: Callable[[], bool], seconds: float = SECONDS) -> bool:
    """Whether it becomes true in time.

    Who asks takes the time of a core from what is waited for, so what takes long to ask is asked
    less often.
    """
    ends = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if true():
            return True
        answered = time.monotonic()
        if answered > ends:
            return False
        time.sleep(min(max(0.01, 4 * (answered - asked)), 0.25))


def move_due_time(host: HostApp, state: str) -> None:
    """Let what is in *state* have rested long enough."""
    session = host.db.session()
    session.rollback()
    session.execute(
        update(Delivery)
        .where(Delivery.state == state)
        .values(next_attempt_at=now() - timedelta(minutes=1))
        .execution_options(synchronize_session=False)
    )
    session.commit()
