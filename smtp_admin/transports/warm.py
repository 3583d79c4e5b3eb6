"""The transport of a sender; and those that a process keeps open between mails."""

import threading
import time
from collections import OrderedDict

from smtp_admin.smtp.session import Destination, Dialler
from smtp_admin.transports.base import Transport
from smtp_admin.transports.smtp import SMTPTransport

_MOST_OPEN = 64
_IDLE_SECONDS = 60.0


def make_transport(destination: Destination, password: str, dialler: Dialler) -> Transport:
    """A transport for *destination*; nothing is dialled yet.

    Raises:
        ValueError: there is no such driver.
    """
    if destination.driver == "smtp":
        return SMTPTransport(destination, password, dialler)
    raise ValueError(f"there is no driver called {destination.driver}")


class WarmTransports:
    """The open connections of a process that nobody uses just now, to be used again.

    Whoever takes one has it alone until it is given back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: OrderedDict[int, tuple[_Key, Transport, float]] = OrderedDict()

    def take(
        self, sender_id: int, destination: Destination, password: str, dialler: Dialler
    ) -> Transport:
        """An open transport for exactly these settings, or a new one that is not connected yet."""
        key = (sender_id, destination, password)
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
        return found or make_transport(destination, password, dialler)

    def give_back(
        self, sender_id: int, destination: Destination, password: str, transport: Transport
    ) -> None:
        """Keep *transport* for the next who needs one like it."""
        with self._lock:
            entry = ((sender_id, destination, password), transport, time.monotonic())
            self._idle[id(transport)] = entry
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


_Key = tuple[int, Destination, str]
