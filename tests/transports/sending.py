"""A transport on a scripted server, and mails to put through it."""

import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from smtp_admin.providers.catalogue import replies
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.session import Dialler, Server
from smtp_admin.transports.base import Outgoing, Transport
from smtp_admin.transports.outcome import Outcome, Verdict
from smtp_admin.transports.smtp.transport import SMTPTransport
from tests.patience import SECONDS
from tests.servers.scripted import EXTENSIONS, ScriptedServer, Session, Stall
from tests.setups import credential

PLAIN_EXTENSIONS = tuple(one for one in EXTENSIONS if one != "PIPELINING")
ACCEPTED, TEMPORARY, PERMANENT, UNCERTAIN, RELEASED = (
    Verdict.ACCEPTED, Verdict.TEMPORARY, Verdict.PERMANENT, Verdict.UNCERTAIN, Verdict.RELEASED,
)  # fmt: skip
BOTH_WAYS = pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "one by one"])
MEGABYTE = 1024 * 1024
BODY = b"Subject: a mail\r\n\r\nIts text.\r\n"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


def extensions(*, pipelining: bool) -> tuple[str, ...]:
    """What a server with or without pipelining offers."""
    return EXTENSIONS if pipelining else PLAIN_EXTENSIONS


def patience(fault: object, *, greets: bool = False) -> Timeouts:
    """Short where a server will not answer, ample on a busy machine where it will.

    Args:
        greets: whether it answers at first, whatever comes later.
    """
    seconds = 1.0 if isinstance(fault, Stall) else SECONDS
    greeting = SECONDS if greets else None
    return Timeouts(connect=SECONDS, command=seconds, final_dot=seconds, greeting=greeting)


@contextmanager
def transport_to(
    server: ScriptedServer, *, timeouts: Timeouts | None = None, **settings: Any
) -> Iterator[SMTPTransport]:
    """A transport to *server*, closed in the end."""
    dialler = Dialler(
        DiallingPolicy(frozenset({server.port}), LOOPBACK), timeouts or patience(None)
    )
    given: dict[str, Any] = {"host": "127.0.0.1", "port": server.port, "security": "none"}
    who = credential(settings.pop("username", ""), "secret")
    transport = SMTPTransport(Server(**(given | settings)), who, dialler, replies())
    try:
        yield transport
    finally:
        transport.close()


def mail(key: int, content: bytes = BODY, *, recipient: str = "") -> Outgoing:
    """The mail with this key; its recipient and content tell it from the others."""
    return Outgoing(
        key,
        "sender@acme.example",
        recipient or f"r{key}@example.com",
        content.replace(b"a mail", b"mail %d" % key),
    )


def mails(count: int) -> list[Outgoing]:
    """As many different mails."""
    return [mail(number) for number in range(count)]


def deliver(transport: Transport, batch: Sequence[Outgoing]) -> dict[int, Outcome]:
    """The outcomes by key; each key has at most one."""
    found: dict[int, Outcome] = {}
    for key, outcome in transport.deliver(batch):
        assert key not in found
        found[key] = outcome
    return found


def verdicts(found: dict[int, Outcome]) -> dict[int, Verdict]:
    """Only what becomes of each."""
    return {key: outcome.verdict for key, outcome in found.items()}


def said(session: Session) -> list[str]:
    """The commands of a session, without their arguments."""
    return [command.partition(" ")[0].upper() for command in session.commands]
