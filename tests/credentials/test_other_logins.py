"""Logins that the package does not have: they fit in without a change of client or session."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import pytest

from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.login import Exchange
from smtp_admin.smtp.report import Report
from smtp_admin.smtp.session import Dialler, Server, open_session
from tests.servers.scripted import Raw, ScriptedServer
from tests.transports.sending import LOOPBACK


class Anonymous:
    """RFC 4505, whose initial response may be empty."""

    initial = b""

    def answer(self, challenge: bytes) -> None:
        del challenge


@dataclass(frozen=True)
class Guest:
    """A login with nothing to hide."""

    username: str = "guest"

    @property
    def identity(self) -> Hashable:
        return ("guest",)

    @property
    def secrets(self) -> Sequence[str]:
        return ()

    def mechanisms(self, *, encrypted: bool) -> Sequence[str]:
        del encrypted
        return ("ANONYMOUS",)

    def exchange(self, mechanism: str) -> Exchange:
        assert mechanism == "ANONYMOUS"
        return Anonymous()


def offering(mechanism: str, auth: object) -> ScriptedServer:
    offered = Raw(f"250-localhost\r\n250 AUTH {mechanism}\r\n".encode())
    return ScriptedServer(behaviours={"ehlo": offered, "auth": auth})  # type: ignore[dict-item]


def log_in(server: ScriptedServer, credential: Guest, report: Report) -> None:
    dialler = Dialler(DiallingPolicy(frozenset({server.port}), LOOPBACK), Timeouts(5, 5))
    to = Server("127.0.0.1", server.port, "none")
    open_session(to, credential, dialler, report=report).quit()


def test_an_empty_initial_response_is_told_from_none() -> None:
    """RFC 4954 section 4: it is written as an equals sign."""
    with offering("ANONYMOUS", Raw(b"235 Welcome\r\n")) as server:
        log_in(server, Guest(), Report())
        assert "AUTH ANONYMOUS =" in server.sessions[0].commands


def test_what_is_not_offered_is_not_tried() -> None:
    with (
        offering("PLAIN LOGIN", Raw(b"235 Welcome\r\n")) as server,
        pytest.raises(SMTPFailure) as caught,
    ):
        log_in(server, Guest(), Report())
    assert caught.value.code == "auth_not_offered"
