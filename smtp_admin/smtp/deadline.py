"""A point in time after which nobody waits any longer.

A timeout per read is not enough: a server that sends one byte every half second holds such a
client for as long as it likes.
"""

import time


class Deadline:
    """*seconds* from now, or as late as *no_later_than*, whichever comes first."""

    __slots__ = ("_at",)

    def __init__(self, seconds: float, no_later_than: "Deadline | None" = None) -> None:
        at = time.monotonic() + seconds
        self._at: float = at if no_later_than is None else min(at, no_later_than._at)

    def remaining(self) -> float:
        """Seconds left, never less than zero."""
        return max(0.0, self._at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return time.monotonic() >= self._at
