"""The connection tests that people ask this worker for, beside its sending."""

import logging
import threading

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from smtp_admin.connection.from_worker import run_waiting_test, waiting_tests
from smtp_admin.connection.probe import OVERALL_SECONDS
from smtp_admin.installation import Installation

log = logging.getLogger("smtp_admin.connection")

_AT_ONCE = 4


class ConnectionTests:
    """Runs tests, each in a thread of its own, so that no mail waits for one.

    What finds no free place stays in its row, and is found at the next look.
    """

    def __init__(self, app: Flask, here: Installation, engine: Engine, worker: str) -> None:
        self._app = app
        self._here = here
        self._engine = engine
        self._worker = worker
        self._running = 0
        self._quiet = threading.Condition()

    def run(self, test_id: int) -> None:
        """Begin this test, unless as many are under way as may be."""
        with self._quiet:
            if self._running >= _AT_ONCE:
                return
            self._running += 1
        # A daemon: a worker that is told to stop does not wait for a mail server's greeting.
        name = f"connection test {test_id}"
        threading.Thread(target=self._run, args=(test_id,), name=name, daemon=True).start()

    def run_waiting(self) -> None:
        """Begin the tests that wait, and forget those that are over."""
        for test_id in waiting_tests(self._engine):
            self.run(test_id)

    def wait_until_quiet(self) -> None:
        """Wait until no test is under way."""
        with self._quiet:
            self._quiet.wait_for(lambda: not self._running, timeout=OVERALL_SECONDS + 5)

    def _run(self, test_id: int) -> None:
        try:
            with self._app.app_context():
                run_waiting_test(
                    self._engine, self._here.config, self._here.keyring, self._worker, test_id
                )
        except (DBAPIError, OverflowError) as error:
            log.warning("connection test %s was not run (%s)", test_id, type(error).__name__)
        except Exception:  # a place that is never given back would be one less for good
            log.exception("connection test %s failed", test_id)
        finally:
            with self._quiet:
                self._running -= 1
                self._quiet.notify_all()
