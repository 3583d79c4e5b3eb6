"""The clock of a worker process: duties that come round, each in a transaction of its own.

None of them is done while the process may not act for the database.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask

from smtp_admin.database_errors import AWAY
from smtp_admin.repeated import Trouble

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
    trouble: Trouble = field(default_factory=Trouble)


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
        self._away = Trouble()
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
                self._tell_away(error)
            except Exception as error:  # the other duties must go on
                more = duty.trouble.again()
                if more is not None:
                    log.error("%s failed.%s", duty.name, more, exc_info=None if more else error)  # noqa: TRY400 - the traceback is written once
            else:
                duty.trouble.over()
            # From its beginning: what was slow once must not make every next one late.
            duty.due_at = began + duty.seconds
        return True

    def _may(self) -> bool:
        try:
            with self._app.app_context():
                allowed = self._allowed()
        except AWAY as error:
            self._tell_away(error)
            return False
        if (lasted := self._away.over()) is not None:
            log.warning("the database is back %s", lasted)
        return allowed

    def _tell_away(self, error: Exception) -> None:
        more = self._away.again()
        if more is not None:
            kind = type(error).__name__
            log.warning("the database is away (%s); nothing is done meanwhile.%s", kind, more)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self.run_once():
                self._stopping.wait(_STILL_SECONDS)
                continue
            left = min(duty.due_at for duty in self._duties) - time.monotonic()
            self._stopping.wait(max(0.1, left))
