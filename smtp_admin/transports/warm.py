"""The transport of a sender; and those that a process keeps open between mails."""

import threading
import time
from collections import OrderedDict

from smtp_admin.transports.base import Transport
from smtp_admin.transports.driver import Setup, Surroundings
from smtp_admin.transports.registry import driver

_MOST_OPEN = 64
_IDLE_SECONDS = 60.0


def make_transport(setup: Setup, surroundings: Surroundings) -> Transport:
    """A transport for *setup*; nothing is dialled yet.

    Raises:
        LookupError: there is no such driver.
    """
    return driver(setup.driver).open(setup, surroundings)


class WarmTransports:
    """The open connections of a process that nobody uses just now, to be used again.

    Whoever takes one has it alone until it is given back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: OrderedDict[int, tuple[tuple[int, Setup], Transport, float]] = OrderedDict()

    def take(self, sender_id: int, setup: Setup, surroundings: Surroundings) -> Transport:
        """An open transport for exactly these settings, or a new one that is not connected yet."""
        key = (sender_id, setup)
        stale = []
        found = None
        with self._lock:
            for handle in [one for one, entry in self._idle.items() if entry[0][0] == sender_id]:
                if self._idle[handle][0] != key:
                    # Settings that no longer apply: nobody will ask for these again.
                    stale.append(self._idle.pop(handle)[1])
                elif found is None:
                    found = self._idle.pop(handle)[1]
        for transport in stale:
            transport.close()
        return found or make_transport(setup, surroundings)

    def give_back(self, sender_id: int, setup: Setup, transport: Transport) -> None:
        """Keep *transport* for the next who needs one like it."""
        with self._lock:
            self._idle[id(transport)] = ((sender_id, setup), transport, time.monotonic())
        self.close_idle(_IDLE_SECONDS)

    def close_idle(self, seconds: float) -> None:
        """Close what was not used for *seconds*, and the oldest of what is too many."""
        closing = []
        with self._lock:
            while self._idle:
                handle, (_, transport, since) = next(iter(self._idle.items()))
                if len(self._idle) <= _MOST_OPEN and time.monotonic() - since < seconds:
                    break
                del self._idle[handle]
                closing.append(transport)
        for transport in closing:
            transport.close()

    def close_all(self) -> None:
        """Say goodbye on all of them."""
        self.close_idle(-1)
