"""What the scripted SMTP server can do instead of giving its normal answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .scripted import ScriptedServer
    from .session import Session

__all__ = [
    "Behaviour",
    "Close",
    "Custom",
    "Drip",
    "Flood",
    "InjectAfterStarttls",
    "Raw",
    "Reply",
    "Reset",
    "Script",
    "Stage",
    "Stall",
    "Step",
    "Then",
    "accepts",
]

Stage = Literal[
    "connect",  # the connection exists, nothing was said and no TLS was started
    "greeting",
    "ehlo",  # EHLO or HELO, except after STARTTLS
    "starttls",
    "handshake",  # the client's first TLS bytes have arrived, after STARTTLS or at once
    "ehlo2",  # EHLO or HELO after STARTTLS
    "auth",  # the verdict, once the credentials were received
    "mail",
    "rcpt",
    "data",  # the answer to DATA itself
    "body",  # the first line of the body has arrived
    "dot",  # the body is complete
    "rset",
    "quit",
]


@dataclass(frozen=True)
class Reply:
    """Sends this text in place of the normal answer, each line ended with CRLF.

    The code decides what happens next: with 2xx or 3xx the server goes on as if it had agreed,
    with 421 or 221 it closes, with anything else the command has no effect.
    """

    text: str | bytes


@dataclass(frozen=True)
class Raw:
    """Sends exactly these bytes in place of the normal answer and goes on.

    It counts as agreement if its last line starts with 2 or 3; it never closes by itself.
    """

    data: bytes


@dataclass(frozen=True)
class Close:
    """Closes the connection before answering, without TLS goodbye.

    The client sees an end of file, never a reset, even while it is still sending.
    """


@dataclass(frozen=True)
class Reset:
    """Breaks the connection off with a TCP reset.

    What the client has not read yet is lost with it.
    """


@dataclass(frozen=True)
class Stall:
    """Neither answers nor reads any more until the client or the server goes away."""


@dataclass(frozen=True)
class Drip:
    """Sends the answer one byte at a time, so that no single wait is ever long.

    Only a limit for the whole conversation protects a client against it.
    """

    text: str | bytes
    interval: float = 0.05


@dataclass(frozen=True)
class Flood:
    """Sends a continuation line over and over, up to the limit, then closes.

    `Session.flooded` says how much the client took before it went away.
    """

    line: str = "250-this answer never ends"
    limit_bytes: int = 50_000_000


@dataclass(frozen=True)
class InjectAfterStarttls:
    """Answers STARTTLS with 220 and puts extra plain text into the same packet.

    A client that keeps the extra bytes would later take them for an answer given under TLS.
    """

    extra: bytes


class Then:
    """Behaves differently each time; the last step repeats and None is the normal answer.

    The count runs over the whole life of the server, not one connection, so that a retry on a
    new connection meets the next step.
    """

    def __init__(self, first: "Step", *rest: "Step") -> None:
        self.steps: tuple[Step, ...] = (first, *rest)


Custom = Callable[["ScriptedServer", "Session", str], bytes | None]
Step = Reply | Raw | Close | Reset | Stall | Drip | Flood | InjectAfterStarttls | Custom | None
Behaviour = Step | Then | Sequence[Step]
Script = Mapping[Stage, Behaviour]


def accepts(answer: bytes) -> bool:
    """Tell whether an answer lets the command take effect.

    The last line counts, as it does for a client.
    """
    lines = answer.splitlines()
    return bool(lines) and lines[-1][:1] in {b"2", b"3"}
