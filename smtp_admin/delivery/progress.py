"""How far a lane is: written by the thread that works it, read by whoever shares out the work."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from smtp_admin.transports.base import Transport

#: A lane whose server has said nothing for so long gives its place to another.
SILENT_SECONDS = 0.1
#: A server that has answered before is stuck after so long.
_STUCK_SECONDS = 2.0


def _nothing() -> None:
    """Do nothing."""


@dataclass(slots=True, eq=False)
class Progress:
    """One time slice on one lane.

    Attributes:
        transport: what is in use, so that another thread can cut it at the end.
        place: where its mail goes, as people read it; empty until that is known.
        waits_since: since when it has waited for the mail server, by the monotonic clock in
            seconds; ``None`` while it has work of its own.
        answered: whether the server has taken or refused a mail as one that is well does.
        held: bytes of the mails that it holds in memory.
        alone: whether its place was given to another lane while it waits.
        hurried: whether others wait for such a place, so that nobody is waited for long.
        rest: gives back what a silent server need not keep; for any thread.
    """

    transport: Transport | None = None
    place: str = ""
    waits_since: float | None = None
    answered: bool = False
    held: int = 0
    alone: bool = False
    hurried: bool = False
    rest: Callable[[], None] = _nothing

    def waits(self) -> None:
        """The mail server is to speak next."""
        self.waits_since = time.monotonic()

    def works(self) -> None:
        """It is our turn."""
        self.waits_since = None

    def silent_for(self, moment: float) -> float:
        """Seconds that the server has said nothing by *moment*; 0 while it is our turn."""
        since = self.waits_since
        return 0.0 if since is None else moment - since

    def is_stuck(self, moment: float) -> bool:
        """Whether its server is silent for longer than one that is only far away or slow."""
        return self.silent_for(moment) > (_STUCK_SECONDS if self.answered else SILENT_SECONDS)
