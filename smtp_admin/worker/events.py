"""The events of providers that this worker applies, beside its sending."""

import logging
import threading

from flask import Flask
from sqlalchemy import Engine

from smtp_admin.database_errors import AWAY
from smtp_admin.delivery.doorbell import Doorbell
from smtp_admin.events.applying import apply_waiting

log = logging.getLogger("smtp_admin.events")

_STOP_SECONDS = 5.0


class EventsAtWork:
    """Applies events in one thread of its own, which ends when none waits.

    Several workers do no harm: each event is locked by one of them.
    """

    def __init__(self, app: Flask, engine: Engine, bell: Doorbell) -> None:
        self._app = app
        self._engine = engine
        self._bell = bell
        self._lock = threading.Condition()
        self._running = False
        self._again = False
        self._stopping = threading.Event()

    def hear(self) -> None:
        """A call came: events wait."""
        self._bell.hear_events()
        self.begin()

    def begin(self) -> None:
        """Apply what waits; if that is being done, look once more after it."""
        with self._lock:
            self._again = True
            if self._running or self._stopping.is_set():
                return
            self._running = True
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def wait_until_quiet(self) -> None:
        """Wait until nothing is being applied."""
        with self._lock:
            self._lock.wait_for(lambda: not self._running)

    def stop(self) -> None:
        """Begin with no further events; what is under way is finished."""
        self._stopping.set()
        with self._lock:
            self._lock.wait_for(lambda: not self._running, timeout=_STOP_SECONDS)

    def _run(self) -> None:
        while self._next():
            try:
                with self._app.app_context():
                    apply_waiting(self._engine, stopping=self._stopping.is_set)
            except AWAY as error:
                log.warning(
                    "events wait: the database is away (%s); they are looked for again",
                    type(error).__name__,
                )
            except Exception:  # the next look begins anew
                log.exception("applying events failed; they are looked for again")

    def _next(self) -> bool:
        with self._lock:
            if self._again and not self._stopping.is_set():
                self._again = False
                return True
            self._running = False
            self._lock.notify_all()
            return False
