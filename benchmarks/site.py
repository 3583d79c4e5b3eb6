"""Our own app on a database, its senders and its worker process."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from benchmarks.mail import BODY, RECIPIENT
from benchmarks.sink import Stalled
from benchmarks.tools import processor_seconds_of
from smtp_admin import Message
from smtp_admin.clock import now
from smtp_admin.delivery.doorbell import ring_after_commit
from smtp_admin.delivery.models import Delivery
from smtp_admin.encryption import generate_key
from smtp_admin.senders.models import Sender
from tests.app import HostApp, make_app
from tests.worker.running import APP, Worker

_SETTLE_SECONDS = 60.0
_PER_TRANSACTION = 100
_LAST_LINES = 30
#: A worker that uses so little of the processor in so long is idle.
_IDLE_LOOK_SECONDS, _IDLE_PROCESSOR_SECONDS, _IDLE_PATIENCE_SECONDS = 0.5, 0.02, 20.0


class Site:
    """A host app with our tables on a new database, and a folder to start workers from."""

    def __init__(self, folder: Path, uri: str, redis_url: str) -> None:
        self._folder = folder
        #: The last delivery before those of the last :meth:`queue`.
        self._queued_after = 0
        config: dict[str, Any] = {
            "SECRET_KEYS": [generate_key()],
            "REDIS_URL": redis_url,
            "QUEUE_LIMIT": 10_000_000,
            "ALLOWED_PORTS": list(range(1, 65536)),
            "ALLOWED_NETWORKS": ["127.0.0.0/8"],
        }
        keys = {f"SMTP_ADMIN_{name}": value for name, value in config.items()}
        (folder / "app.py").write_text(APP)
        (folder / "config.json").write_text(json.dumps(keys | {"SQLALCHEMY_DATABASE_URI": uri}))
        self.host: HostApp = make_app(uri, config)

    @contextmanager
    def opened(self) -> Iterator[Session]:
        """The app's context and its session; connections are closed at the end."""
        with self.host.app.app_context():
            try:
                yield self.host.db.session()
            finally:
                self.host.db.session.remove()
                self.host.db.engine.dispose()

    @contextmanager
    def worker(self, concurrency: int) -> Iterator[Worker]:
        """A worker process that is ready."""
        with Worker(self._folder, "--concurrency", str(concurrency), from_nothing=True) as worker:
            worker.ready()
            try:
                yield worker
            except Stalled as error:
                error.add_note("\n".join(worker.output.splitlines()[-_LAST_LINES:]))
                raise
            finally:
                worker.stop()

    def queue(self, count: int, partner_ids: Sequence[str] = ("acme",)) -> None:
        """Queue *count* mails in turn for these partners, as a host does."""
        session = self.host.db.session()
        self._queued_after = session.scalar(select(func.max(Delivery.id))) or 0
        for number in range(count):
            self.host.plugin.send_message(
                Message(f"x {number}", [RECIPIENT], BODY),
                partner_id=partner_ids[number % len(partner_ids)],
            )
            if number % _PER_TRANSACTION == _PER_TRANSACTION - 1:
                session.commit()
        session.commit()

    def hold(self, partner_ids: Sequence[str] = ("acme",)) -> None:
        """Let these partners' mail wait, with everything else ready."""
        self._pause(partner_ids, now() + timedelta(days=1))

    def release(self, partner_ids: Sequence[str] = ("acme",)) -> None:
        """Let it go, and wake the worker."""
        session = self._pause(partner_ids, None, commit=False)
        for sender_id in session.scalars(_ids_of(partner_ids)):
            ring_after_commit(session, sender_id)
        session.commit()

    def settle(self) -> None:
        """Wait until the result of every mail of the last :meth:`queue` is committed."""
        session = self.host.db.session()
        # By number, because that costs nothing in a large table.
        waiting = (
            select(func.count())
            .select_from(Delivery)
            .where(Delivery.id > self._queued_after, Delivery.state != "sent")
        )
        ends = time.monotonic() + _SETTLE_SECONDS
        while left := session.scalar(waiting):
            session.rollback()
            if time.monotonic() > ends:
                raise RuntimeError(f"{left} results were never committed")
            time.sleep(0.003)
        session.rollback()

    def _pause(self, partner_ids: Sequence[str], until: Any, *, commit: bool = True) -> Session:
        session = self.host.db.session()
        session.execute(
            update(Sender)
            .where(Sender.partner_id.in_(partner_ids))
            .values(paused_until=until, pauses=0, pause_reason="")
            .execution_options(synchronize_session=False)
        )
        if commit:
            session.commit()
        return session


def _ids_of(partner_ids: Sequence[str]) -> Any:
    return select(Sender.id).where(Sender.partner_id.in_(partner_ids)).order_by(Sender.id)


def check_alive(worker: Worker) -> None:
    """Raise, with its last words, if a worker has died."""
    if not worker.alive:
        raise RuntimeError(f"our worker died:\n{worker.output}")


def processor_seconds(worker: Worker) -> float:
    """How much processor time a worker has used, in itself and for the system's calls."""
    return processor_seconds_of(worker.pid)


def wait_until_idle(worker: Worker) -> None:
    """Wait until the duties of a worker's first moments are over: they belong to no mail."""
    ends = time.monotonic() + _IDLE_PATIENCE_SECONDS
    used = processor_seconds(worker)
    while time.monotonic() < ends:
        time.sleep(_IDLE_LOOK_SECONDS)
        by_now = processor_seconds(worker)
        if by_now - used <= _IDLE_PROCESSOR_SECONDS:
            return
        used = by_now


def resident_megabytes(worker: Worker) -> float:
    """How much memory a worker has in use (RSS)."""
    pages = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024
