"""What goes wrong again and again is logged at once, then seldom, and once more when it is over.

A worker tries every few seconds, so a log with a line for each try hides everything else. Each
later line says how often it was tried meanwhile.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from smtp_admin.installation import Kept, installation

#: Seconds between two lines about the same.
SELDOM = 600.0


@dataclass(slots=True)
class Trouble:
    """Something that may be away for long."""

    clock: Callable[[], float] = time.monotonic
    _since: float | None = None
    _told_at: float = 0.0
    _times: int = 0

    def again(self) -> str | None:
        """That it went wrong: what to add to a line about it, or ``None`` to write none now."""
        moment = self.clock()
        self._times += 1
        if self._since is None:
            self._since = self._told_at = moment
            return ""
        if moment - self._told_at < SELDOM:
            return None
        self._told_at = moment
        return f" For {_minutes(moment - self._since)} now, {self._times} times."

    def over(self) -> str | None:
        """That it went well: for how long it did not, or ``None`` if it did before."""
        if self._since is None:
            return None
        words = f"after {_minutes(self.clock() - self._since)}"
        self._since, self._times = None, 0
        return words


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes > 1 else f"{round(seconds)} seconds"


@dataclass(slots=True)
class _OfHost:
    """What of the app's own code raises, by method and error."""

    found: dict[tuple[str, str], Trouble] = field(default_factory=dict)


_OF_HOST = Kept[_OfHost](lambda _: _OfHost())


def host_raised(log: logging.Logger, method: str, error: Exception, so: str = "") -> None:
    """Log that *method* of the app's own ``Host`` raised, with its traceback the first time.

    Args:
        so: what follows from it, as a sentence.
    """
    kind = type(error).__name__
    trouble = _OF_HOST.of(installation()).found.setdefault((method, kind), Trouble())
    more = trouble.again()
    if more is None:
        return
    log.error(
        "%s() of the app's own Host raised %s. Correct it in the app.%s%s",
        method, kind, f" {so}" if so else "", more,
        exc_info=None if more else error,
    )  # fmt: skip
