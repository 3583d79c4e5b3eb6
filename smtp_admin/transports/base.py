"""What every way of sending has in common."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from smtp_admin.smtp.classes import Outcome


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


class Transport(Protocol):
    """A way of sending that keeps its connection between calls; used by one thread at a time."""

    def deliver(self, mails: Sequence[Outgoing]) -> Iterator[tuple[int, Outcome]]:
        """Send *mails* in order and yield each key with its outcome, as soon as it is known.

        Before the next mail's last byte is written, the outcome of the one before has been
        yielded. After a failure of the channel the iteration ends: mails without an outcome were
        not touched.
        """
        ...

    def close(self) -> None:
        """Say goodbye and let go of the connection."""
        ...

    def abort(self) -> None:
        """Cut the connection, from any thread; a waiting :meth:`deliver` ends."""
        ...
