"""Logins that the package does not have: they fit in without a change of client or session."""

import base64
import json
import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import pytest

from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.login import Exchange
from smtp_admin.smtp.report import Report
from smtp_admin.smtp.session import Dialler, Server, open_session
from smtp_admin.transports.driver import Setup
from tests.servers.scripted import Custom, Raw, ScriptedServer, Session
from tests.transports.sending import LOOPBACK

TOKEN = "ya29." + "c4n4ry" * 300
WHO = "mia@acme.example"


class XOAuth2:
    """Google's and Microsoft's: the server speaks first; a JSON text means that it refuses."""

    initial = None

    def __init__(self, username: str, token: str) -> None:
        self._said = f"user={username}\1auth=Bearer {token}\1\1".encode()

    def answer(self, challenge: bytes) -> bytes:
        return b"" if challenge.startswith(b"{") else self._said


class Anonymous:
    """RFC 4505, whose initial response may be empty."""

    initial = b""

    def answer(self, challenge: bytes) -> None:
        del challenge


@dataclass(frozen=True)
class Token:
    """A login by a token, which is renewed every hour."""

    username: str = WHO
    token: str = field(default=TOKEN, repr=False)
    by: str = "XOAUTH2"

    @property
    def identity(self) -> Hashable:
        return ("token", self.username)

    @property
    def secrets(self) -> Sequence[str]:
        return (self.token,)

    def mechanisms(self, *, encrypted: bool) -> Sequence[str]:
        del encrypted
        return (self.by,)

    def exchange(self, mechanism: str) -> Exchange:
        assert mechanism == self.by
        return XOAuth2(self.username, self.token) if mechanism == "XOAUTH2" else Anonymous()


def xoauth2(final: str, *, refusal: str = "") -> Custom:
    """A server's half: what came goes to the session's commands."""

    def converse(_server: ScriptedServer, session: Session, _line: str) -> bytes:
        session.write(b"334 \r\n")
        session.commands.append(session.read_line().decode().strip())
        if refusal:
            session.write(b"334 " + base64.b64encode(refusal.encode()) + b"\r\n")
            session.commands.append(session.read_line().decode().strip())
        said = session.commands[-1 if not refusal else -2]
        return final.format(said=said, token=TOKEN).encode() + b"\r\n"

    return converse


def offering(mechanism: str, auth: object) -> ScriptedServer:
    offered = Raw(f"250-localhost\r\n250 AUTH {mechanism}\r\n".encode())
    return ScriptedServer(behaviours={"ehlo": offered, "auth": auth})  # type: ignore[dict-item]


def log_in(server: ScriptedServer, credential: Token, report: Report) -> None:
    dialler = Dialler(DiallingPolicy(frozenset({server.port}), LOOPBACK), Timeouts(5, 5))
    to = Server("127.0.0.1", server.port, "none")
    open_session(to, credential, dialler, report=report).quit()


def test_a_token_logs_in() -> None:
    report = Report()
    with offering("PLAIN XOAUTH2", xoauth2("235 2.7.0 Accepted")) as server:
        log_in(server, Token(), report)
    asked, said = server.sessions[0].commands[1:3]
    assert asked == "AUTH XOAUTH2"
    decoded = base64.b64decode(said).decode()
    assert decoded == f"user={WHO}\1auth=Bearer {TOKEN}\1\1"
    assert [one.detail for one in report.steps if one.name == "auth"] == ["XOAUTH2: Accepted"]


@pytest.mark.parametrize(
    "echo", ["{said}", "{token}", "x", "{token}\r\n535 {said}"], ids=["line", "token", "no", "both"]
)
def test_a_refused_token_is_ended_with_an_empty_line(
    echo: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server's JSON is not the end: it says 535 only after an answer."""
    caplog.set_level(logging.DEBUG)
    report = Report()
    refusal = json.dumps({"status": "401", "schemes": "bearer"})
    final = f"535-5.7.8 {echo}\r\n535 5.7.8 no" if "\r" not in echo else f"535-{echo}"
    with offering("XOAUTH2", xoauth2(final, refusal=refusal)) as server:
        with pytest.raises(SMTPFailure) as caught:
            log_in(server, Token(), report)
        assert server.sessions[0].commands[3] == ""
    assert caught.value.code == "auth_failed"
    assert caught.value.reply is not None
    assert caught.value.reply.code == 535
    seen = f"{caught.value!r} {caught.value} {report!r} {caplog.text}"
    assert "c4n4ryc4n4ry" not in seen
    assert base64.b64encode(b"c4n4ryc4n4ry").decode() not in seen
    said = server.sessions[0].commands[2]
    assert said[:60] not in seen
    assert [line for line in report.dialogue if line.startswith("C:")][1:] == [
        "C: AUTH XOAUTH2", "C: *****", "C:", "C: QUIT",
    ]  # fmt: skip


def test_an_empty_initial_response_is_told_from_none() -> None:
    """RFC 4954 section 4: it is written as an equals sign."""
    with offering("ANONYMOUS", Raw(b"235 Welcome\r\n")) as server:
        log_in(server, Token(by="ANONYMOUS"), Report())
        assert "AUTH ANONYMOUS =" in server.sessions[0].commands


def test_what_is_not_offered_is_not_tried() -> None:
    with (
        offering("PLAIN LOGIN", Raw(b"235 Welcome\r\n")) as server,
        pytest.raises(SMTPFailure) as caught,
    ):
        log_in(server, Token(), Report())
    assert caught.value.code == "auth_not_offered"


def test_a_renewed_token_keeps_a_connection() -> None:
    server = Server("mail.acme.example", 587, "tls")
    old, new = (Setup("smtp", server, Token(token=token)) for token in ("old", "new"))
    assert old == new
    assert hash(old) == hash(new)
    assert old != Setup("smtp", server, Token("tom@acme.example"))
    assert "old" not in repr(old)
