"""What every sending method has in common."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from smtp_admin.transports.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to one recipient, as it goes on the wire.

    Attributes:
        key: the caller's name for it; comes back with the outcome.
        content: finished bytes with CRLF line ends, not dot-stuffed.
    """

    key: int
    mail_from: str
    recipient: str
    content: bytes


#: Asked for the mails after those that are known. The argument is whether one of these has still
#: to be sent: then nothing may be waited for long, and no answer only means "not yet".
More = Callable[[bool], Iterable[Outgoing]]


def no_more(_ahead: bool) -> tuple[Outgoing, ...]:
    """There is nothing after the mails that are known."""
    return ()


class Sequel:
    """Mails in the order of sending, while more may come."""

    def __init__(self, mails: Iterable[Outgoing], more: More = no_more) -> None:
        self._known = deque(mails)
        self._more = more

    def first(self) -> Outgoing | None:
        """The one to send now, or ``None`` at the end."""
        if not self._known:
            self._known.extend(self._more(False))
        return self._known[0] if self._known else None

    def second(self) -> Outgoing | None:
        """The one after it, if that is known already."""
        if len(self._known) == 1:
            self._known.extend(self._more(True))
        return self._known[1] if len(self._known) > 1 else None

    def done(self) -> None:
        """There is an outcome for the first."""
        self._known.popleft()


class Transport(Protocol):
    """A sending method that keeps its connection between calls; used by one thread at a time.

    One may have an attribute ``opening``, true while no mail is under way because the connection is
    still being made: a worker that is told to stop cuts it then at once.
    """

    def deliver(
        self, mails: Iterable[Outgoing], more: More = no_more
    ) -> Iterator[tuple[int, Outcome]]:
        """Send *mails* in order and yield each key with its outcome, as soon as it is known.

        Before the next mail's last byte is written, the outcome of the one before has been
        yielded. After a failure of the sender the iteration ends: mails without an outcome were
        not touched.

        Args:
            more: asked for the mails that follow these, in time to send them in the same stream.
        """
        ...

    def close(self) -> None:
        """Say goodbye and let go of the connection."""
        ...

    def abort(self) -> None:
        """Cut the connection, from any thread; a waiting :meth:`deliver` ends."""
        ...
