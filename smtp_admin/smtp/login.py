"""What a session asks of whoever logs in: a credential, and one conversation by one mechanism.

What a login is made of (a password, a token) is the credential's affair; nothing here knows.
"""

import base64
from collections.abc import Callable, Hashable, Sequence
from typing import Protocol, runtime_checkable

from smtp_admin.smtp.reply import Reply

_GO_AHEAD = 334
#: With its line end (RFC 5321 section 4.5.3.1.4).
_LONGEST_COMMAND = 512
_MOST_CHALLENGES = 8
#: Sends one line, of which the second part is never shown, and returns the server's answer.
Say = Callable[[str, str], Reply]


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


@runtime_checkable
class Explained(Protocol):
    """An exchange in which a server says why it refuses, before it does.

    Attributes:
        refusal: what it said; empty if nothing that can be read.
    """

    refusal: str


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


def converse(mechanism: str, exchange: Exchange, say: Say) -> tuple[Reply, bool]:
    """Log in by *mechanism* (RFC 4954 section 4): the last reply, and whether we gave up."""
    command, first = f"AUTH {mechanism}", ""
    initial = exchange.initial
    if initial is not None:
        # Where an empty one is left out, the server would wait for it.
        encoded = _base64(initial) or "="
        if len(f"{command} {encoded}\r\n") <= _LONGEST_COMMAND:
            first, initial = encoded, None
    reply = say(command, first)
    for _ in range(_MOST_CHALLENGES):
        if reply.code != _GO_AHEAD:
            return reply, False
        answer = exchange.answer(_challenge(reply)) if initial is None else initial
        initial = None
        if answer is None:
            break
        reply = say("", _base64(answer))
    if reply.code != _GO_AHEAD:
        return reply, False
    return say("*", ""), True


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _challenge(reply: Reply) -> bytes:
    """What the server asks, without base64; as it stands where it is none."""
    text = "".join(reply.lines)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return text.encode("utf-8")
