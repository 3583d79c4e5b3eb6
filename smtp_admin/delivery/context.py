"""What the sender threads of a worker have in common."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from flask import Flask
from sqlalchemy import Engine

from smtp_admin.delivery.journal import Lines
from smtp_admin.delivery.leases import Leases
from smtp_admin.expiry.seen_certificates import SeenCertificates
from smtp_admin.installation import Installation
from smtp_admin.oauth.kept import with_tokens
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.transports.driver import Setup, Surroundings
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
        certificates: what mail servers show is noted there.
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
    certificates: SeenCertificates = field(default_factory=SeenCertificates)

    def surroundings_of(
        self, sender: ResolvedSender, setup: Setup, pauses: int, *, hurried: bool
    ) -> Surroundings:
        """What this worker lends to *sender*'s driver.

        Args:
            pauses: how often its server could not be reached in a row.
            hurried: whether many others wait for their first words.
        """
        usual = self.surroundings.patient(pauses, hurried=hurried)
        noted = partial(self.certificates.note, sender.sender_id, setup.place)
        usual = replace(usual, saw_certificate=noted)
        return with_tokens(usual, self.engine, self.here, sender, setup)
