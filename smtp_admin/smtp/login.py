"""What a session asks of whoever logs in: a credential, and one conversation by one mechanism.

What a login is made of (a password, a token) is the credential's affair; nothing here knows.
"""

from collections.abc import Hashable, Sequence
from typing import Protocol


class Exchange(Protocol):
    """One conversation of a SASL mechanism (RFC 4422 section 3)."""

    @property
    def initial(self) -> bytes | None:
        """What goes along with AUTH itself, or ``None`` where the server speaks first.

        Longer ones follow after the server's go-ahead: a command line has at most 512 bytes
        (RFC 5321 section 4.5.3.1.4).
        """
        ...

    def answer(self, challenge: bytes) -> bytes | None:
        """What to say to a challenge of the server, or ``None`` to give up; without base64."""
        ...


class Credential(Protocol):
    """Who logs in, and with what; never shown."""

    @property
    def username(self) -> str:
        """The login; empty where nobody logs in."""
        ...

    @property
    def identity(self) -> Hashable:
        """What two credentials with the same rights have in common; a renewed token keeps it."""
        ...

    @property
    def secrets(self) -> Sequence[str]:
        """What must never be read in a log or on a page."""
        ...

    def mechanisms(self, *, encrypted: bool) -> Sequence[str]:
        """The SASL mechanisms that it can serve, the best first; none where nobody logs in."""
        ...

    def exchange(self, mechanism: str) -> Exchange:
        """A new conversation by *mechanism*, one of :meth:`mechanisms`."""
        ...
