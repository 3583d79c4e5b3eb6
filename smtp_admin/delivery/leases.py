"""Keep the leases of a process alive: one heartbeat, however many lanes it holds."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from smtp_admin.database import transaction
from smtp_admin.delivery import lanes
from smtp_admin.delivery.lanes import HeldLane

HEARTBEAT_SECONDS = 10.0


class KeptLease:
    """The lease of one lane, as far as this process knows."""

    def __init__(self, lane: HeldLane, since: float) -> None:
        self.lane = lane
        self._until = since + lanes.LEASE_SECONDS

    @property
    def ran_out(self) -> bool:
        """Whether it may have passed to somebody else; the database is not asked."""
        return time.monotonic() >= self._until

    def renewed(self, began: float) -> None:
        """It is ours from *began* on, by this machine's monotonic clock in seconds."""
        self._until = began + lanes.LEASE_SECONDS

    def lost(self) -> None:
        """It has passed to somebody else."""
        self._until = 0.0


class Leases:
    """The leases of a process; a thread of its own renews them together.

    Args:
        engine: where the lanes are.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._kept: dict[str, KeptLease] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def kept(self, lane: HeldLane, since: float) -> Iterator[KeptLease]:
        """Keep the lease of *lane* alive for as long as the block runs.

        Args:
            since: when it was not yet taken, by this machine's monotonic clock in seconds.
        """
        one = KeptLease(lane, since)
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._beat_on, name="lease heartbeat", daemon=True)
                thread.start()  # it may not, on a machine that is full
                self._thread = thread
            self._kept[lane.lease] = one
        try:
            yield one
        finally:
            with self._lock:
                del self._kept[lane.lease]

    def close(self) -> None:
        """Stop beating."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def beat(self) -> None:
        """Renew all of them, and learn which have passed to somebody else.

        Raises:
            SQLAlchemyError: the database is away, or has no connection free.
        """
        with self._lock:
            kept = list(self._kept.values())
        if not kept:
            return
        began = time.monotonic()
        with transaction(self._engine) as session:
            renewed, lost = lanes.beat(session, [one.lane for one in kept])
        for one in kept:
            if one.lane.lease in renewed:
                one.renewed(began)
            elif one.lane.lease in lost:
                one.lost()

    def _beat_on(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            # A beat that fails, also for want of a free connection, is made up for by the next; a
            # lease outlives three of them.
            with suppress(SQLAlchemyError):
                self.beat()
