"""What a process does at the same time for people who wait: dialling, asking name servers.

Each holds a thread of the web server for up to twenty seconds. Without a bound, one person who
clicks often would leave none for everybody else.
"""

from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from smtp_admin.errors import RateLimited
from smtp_admin.installation import Kept, installation
from smtp_admin.translation import gettext

#: Of one partner, in one process.
MOST_FOR_PARTNER = 2
_RETRY_SECONDS = 5


class _Running:
    def __init__(self) -> None:
        self.lock = Lock()
        self.of: Tally[str] = Tally()


_RUNNING = Kept[_Running](lambda _: _Running())


@contextmanager
def in_flight(partner_id: str) -> Iterator[None]:
    """Count what is done inside as one that runs for *partner_id*.

    Raises:
        RateLimited: enough runs already; nothing is begun.
    """
    here = installation()
    running = _RUNNING.of(here)
    with running.lock:
        mine, all_ = running.of[partner_id], running.of.total()
        if mine >= MOST_FOR_PARTNER:
            words = gettext(
                "%(mine)s tests of this partner are already running. Wait until one ends.",
                mine=mine,
            )
            raise RateLimited(words, retry_after=_RETRY_SECONDS)
        if all_ >= here.config.tests_at_once:
            words = gettext("%(all)s tests are already running. Wait until one ends.", all=all_)
            raise RateLimited(words, retry_after=_RETRY_SECONDS)
        running.of[partner_id] += 1
    try:
        yield
    finally:
        with running.lock:
            running.of[partner_id] -= 1
            running.of += Tally()  # whoever has none is forgotten
