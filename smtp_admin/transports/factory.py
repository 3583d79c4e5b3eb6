"""The transport of a sender; and the few that a worker thread keeps open."""

import time
from collections import OrderedDict

from smtp_admin.smtp.opening import Destination, Dialler
from smtp_admin.transports.base import Transport
from smtp_admin.transports.smtp import SMTPTransport

_MOST_OPEN = 16
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
    """Open connections of one thread, by sender and revision, the longest unused closed first."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[int, Destination, str], tuple[Transport, float]] = (
            OrderedDict()
        )

    def get(
        self, sender_id: int, destination: Destination, password: str, dialler: Dialler
    ) -> Transport:
        """The open transport for exactly these settings, or a new one."""
        key = (sender_id, destination, password)
        found = self._open.pop(key, None)
        if found is None:
            # Connections with settings that no longer apply are of no use to anybody.
            for other in [one for one in self._open if one[0] == sender_id]:
                self._open.pop(other)[0].close()
            transport = make_transport(destination, password, dialler)
        else:
            transport = found[0]
        self._open[key] = (transport, time.monotonic())
        self.close_idle(_IDLE_SECONDS)
        return transport

    def close_idle(self, seconds: float) -> None:
        """Close what was not used for *seconds*, and what is too many."""
        while self._open:
            key, (transport, used_at) = next(iter(self._open.items()))
            if len(self._open) <= _MOST_OPEN and time.monotonic() - used_at < seconds:
                return
            del self._open[key]
            transport.close()

    def close_all(self) -> None:
        """Say goodbye on all of them."""
        self.close_idle(-1)
