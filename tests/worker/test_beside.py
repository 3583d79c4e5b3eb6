"""Duties beside the sweep: all that hang are waited for together."""

import threading
import time

import pytest

from smtp_admin.worker import beside
from smtp_admin.worker.beside import Beside
from tests.app import HostApp
from tests.patience import SECONDS


def test_all_that_hang_are_waited_for_together(
    host: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each for itself would take longer than a worker may take to end."""
    ends, hanging = threading.Event(), threading.Semaphore(0)

    def hang(*_: object) -> None:
        hanging.release()
        ends.wait(2 * SECONDS)

    names = ("run_slot", "take_turn_and_look", "collect", "import_lists", "remove_waiting")
    for name in names:
        monkeypatch.setattr(beside, name, hang)
    stopping = threading.Event()
    with host.app.app_context():
        duties = Beside(host.app, host.db.engine, host.installation, stopping, lambda: True)
    duties.start()
    try:
        assert all(hanging.acquire(timeout=SECONDS) for _ in names)
        stopping.set()
        began = time.monotonic()
        duties.join(began + 1.0)
        assert 0.9 < time.monotonic() - began < 1.0 * len(names)
    finally:
        ends.set()
        duties.join(time.monotonic() + SECONDS)
