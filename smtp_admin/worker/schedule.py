"""The clock of a worker process: duties that come round, each in a transaction of its own.

None of them is done while the process may not act for the database.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask

from smtp_admin.database_errors import AWAY

log = logging.getLogger(__name__)

#: How long nothing is looked at while nothing may be done.
_STILL_SECONDS = 2.0


@dataclass(slots=True)
class Duty:
    """Something to do every *seconds*."""

    name: str
    seconds: float
    act: Callable[[], object]
    due_at: float = 0.0


class Schedule:
    """Runs duties in a thread until told to stop.

    Several schedules, on several machines, do no harm: each duty guards its own writes.

    Args:
        allowed: asked, inside an app context, before duties are done.
    """

    def __init__(
        self,
        app: Flask,
        duties: list[Duty],
        stopping: threading.Event,
        allowed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._app = app
        self._allowed = allowed
        self._duties = duties
        self._stopping = stopping
        self._thread = threading.Thread(target=self._run, name="schedule", daemon=True)

    def start(self) -> None:
        """Start; every duty is due at once."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for the duty that is under way, for so long at most."""
        self._thread.join(timeout=seconds)

    def run_once(self) -> bool:
        """Do everything that is due; whether anything may be done at all."""
        if not self._may():
            return False
        for duty in self._duties:
            if self._stopping.is_set() or time.monotonic() < duty.due_at:
                continue
            began = time.monotonic()
            try:
                with self._app.app_context():
                    duty.act()
            except AWAY as error:
                log.warning("%s: the database is away (%s)", duty.name, type(error).__name__)
            except Exception:  # the other duties must go on
                log.exception("%s failed", duty.name)
            # From its beginning: what was slow once must not make every next one late.
            duty.due_at = began + duty.seconds
        return True

    def _may(self) -> bool:
        try:
            with self._app.app_context():
                return self._allowed()
        except AWAY as error:
            log.warning("nothing is done: the database is away (%s)", type(error).__name__)
            return False

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self.run_once():
                self._stopping.wait(_STILL_SECONDS)
                continue
            left = min(duty.due_at for duty in self._duties) - time.monotonic()
            self._stopping.wait(max(0.1, left))
