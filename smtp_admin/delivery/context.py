"""What the sender threads of a worker have in common."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask
from sqlalchemy import Engine

from smtp_admin.delivery.journal import Lines
from smtp_admin.delivery.leases import Leases
from smtp_admin.installation import Installation
from smtp_admin.transports.driver import Surroundings
from smtp_admin.transports.warm import WarmTransports


def _nobody(*_: object) -> None:
    """Ignore the call."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What the sender threads of a worker work with.

    Attributes:
        wanted: whether another lane waits for a thread, so that none should go on for long.
        more: told the sender that has more waiting than one connection takes at once, while another
            of its connections is free.
        suitable: how many mails of a sender suit one batch, kept from one time slice to the next.
    """

    app: Flask
    here: Installation
    engine: Engine
    leases: Leases
    lines: Lines
    surroundings: Surroundings
    transports: WarmTransports
    worker: str
    stopping: threading.Event
    wanted: Callable[[], bool] = bool
    more: Callable[[int], None] = _nobody
    suitable: dict[int, int] = field(default_factory=dict)
