"""Schedulers as processes of their own, which can be killed at any moment."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.exc import DBAPIError

from smtp_admin import ExpiringService, Host, Partner, SMTPAdmin
from smtp_admin.clock import shifted
from smtp_admin.database import host_engine, worker_engine
from smtp_admin.renewals.scheduler import run_now
from tests.prepared import FORKS, leave_addresses

__all__ = ["FileHost", "Scheduler", "write_services"]


class FileHost(Host):
    """Knows what a file says."""

    def __init__(self, folder: Path) -> None:
        rows = json.loads((folder / "services.json").read_text())
        self._services = [
            ExpiringService(**row | {"expires_at": datetime.fromisoformat(row["expires_at"])})
            for row in rows
        ]

    def partners(self) -> Iterable[Partner]:
        return [Partner("acme", "Acme GmbH")]

    def expiring_services(self, until: datetime, partner_id: str) -> Iterable[ExpiringService]:
        for one in self._services:
            if one.partner_id == partner_id and one.expires_at <= until:
                yield one

    def customer_services(self, customer_id: str) -> Iterable[ExpiringService]:
        return [one for one in self._services if one.customer_id == customer_id]


def write_services(folder: Path, services: Iterable[ExpiringService]) -> None:
    """Tell the next schedulers what there is."""
    rows = [asdict(one) | {"expires_at": one.expires_at.isoformat()} for one in services]
    (folder / "services.json").write_text(json.dumps(rows))


class Scheduler:
    """One run in a process of its own, at *later* than now."""

    def __init__(self, folder: Path, config: dict[str, Any], later: timedelta) -> None:
        self._process = FORKS.Process(target=_live, args=(folder, config, later))
        self._process.start()
        self._began = time.monotonic()

    def end(self, after: float | None = None) -> float | None:
        """Wait for its end, or kill it *after* some seconds of its life.

        Returns how many seconds it lived, or ``None`` if it was killed on its way.
        """
        if after is not None:
            time.sleep(max(0.0, self._began + after - time.monotonic()))
            assert self._process.pid is not None
            # It may end by itself in this very moment.
            with suppress(ProcessLookupError):
                if self._process.exitcode is None:
                    os.kill(self._process.pid, signal.SIGKILL)
        self._process.join(60)
        code = self._process.exitcode
        self._process.close()
        assert code in {0, -signal.SIGKILL}, code
        return time.monotonic() - self._began if code == 0 else None


def _live(folder: Path, config: dict[str, Any], later: timedelta) -> None:
    leave_addresses()
    app = Flask("tests.renewals.lives")
    app.config.update(config)
    database = SQLAlchemy(app)
    SMTPAdmin(host=FileHost(folder)).init_app(app, database)
    with app.app_context(), shifted(later):
        engine = worker_engine(host_engine(), pool_size=2)
        try:
            run_now(engine)
        except DBAPIError as error:  # it is being restarted; the next run goes on
            print(f"the database is away: {type(error.orig).__name__}", file=sys.stderr)  # noqa: T201
