"""A batch while it is being sent."""

import time
from dataclasses import dataclass

from smtp_admin.delivery.claim import Batch


@dataclass(slots=True)
class UnderWay:
    """A batch of which something is still to be sent."""

    batch: Batch
    count: int
    left: int
    since: float
    until: float

    @property
    def rate(self) -> float:
        """Mails a second so far."""
        return (self.count - self.left) / max(time.monotonic() - self.since, 0.001)
