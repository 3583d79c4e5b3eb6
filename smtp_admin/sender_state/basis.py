"""What the state of a sender follows from."""

from datetime import datetime
from typing import NamedTuple


class Facts(NamedTuple):
    """What the state of a sender follows from, beside the sender itself.

    Attributes:
        trouble: why one of its secrets cannot be used, and what to do; empty where all can.
        workers: how many run; ``None`` if nobody can say.
        at_work: whether one is sending for it right now.
        waiting: mails in its queue; of these *due* may go now, since *due_since*, and *held* are
            kept by the sandbox. Of the rest, the next is due at *next_at*.
        limited: whether its limit is used up, *limit_until* when it goes on, and *urgent_goes*
            if the part that is kept for urgent mail is not. *used_hour* and *used_day* say how
            much of a limit is used, where there is one.
        failed: mails that failed with these settings since one was last accepted, and *refused* if
            the server itself refused them all; *last_error* is of the last one.
        tested: whether the last connection test of these settings worked, ``None`` if there was
            none; asked only where they have sent nothing. *test_error* is why it failed.
    """

    moment: datetime
    trouble: tuple[str, str] = ("", "")
    workers: int | None = None
    at_work: bool = False
    waiting: int = 0
    due: int = 0
    due_since: datetime | None = None
    held: int = 0
    next_at: datetime | None = None
    limited: bool = False
    limit_until: datetime | None = None
    urgent_goes: bool = False
    used_hour: int | None = None
    used_day: int | None = None
    failed: int = 0
    refused: bool = False
    last_error: str = ""
    tested: bool | None = None
    test_error: str = ""

    @property
    def no_worker(self) -> bool:
        """Whether it is certain that nobody sends."""
        return self.workers == 0 and not self.at_work
