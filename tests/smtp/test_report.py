"""What a report of a session holds for whoever asks a provider for help, and what never."""

import base64
import ipaddress
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress

import pytest

from smtp_admin.credentials.none import NoLogin
from smtp_admin.credentials.password import Password
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.login import Credential
from smtp_admin.smtp.report import Report
from smtp_admin.smtp.session import Dialler, Security, Server, open_session
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import Reply, ScriptedServer, Step

SECRET = "pässword-canary-4711"
LOGIN = Password("mia@acme.example", SECRET)
EVERYWHERE = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


def opened(
    port: int,
    credential: Credential = LOGIN,
    *,
    security: Security = "none",
    resolved: Sequence[str] = ("127.0.0.1",),
    certificates: CertificateFactory | None = None,
) -> Report:
    """The report of a session that is ended at once, or that failed."""
    report = Report()
    dialler = Dialler(
        DiallingPolicy(frozenset({port}), EVERYWHERE, lambda *_: resolved),
        Timeouts(connect=5, command=5),
        ca_file=certificates.ca_file if certificates else None,
        ehlo_name="app.example",
    )
    with suppress(SMTPFailure):
        open_session(Server("localhost", port, security), credential, dialler, report=report).quit()
    return report


@pytest.mark.parametrize("method", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_it_holds_what_was_said_but_not_the_login(method: str) -> None:
    account = (LOGIN.username, SECRET)
    with ScriptedServer(auth=account, auth_methods=[method]) as server:
        said = opened(server.port).dialogue
    assert said[0].startswith("S: 220 ")
    assert said[1] == "C: EHLO app.example"
    assert said[2].startswith("S: 250-")
    asked = {"PLAIN": "C: AUTH PLAIN *****"}.get(method, f"C: AUTH {method}")
    assert asked in said
    assert "S: 235 2.7.0 Authentication successful" in said
    assert said[-2:] == ["C: QUIT", said[-1]]
    assert said[-1].startswith("S: 221")
    seen = "\n".join(said)
    assert SECRET not in seen
    assert base64.b64encode(SECRET.encode()).decode() not in seen
    assert base64.b64encode(f"\0{LOGIN.username}\0{SECRET}".encode()).decode() not in seen


def test_encryption_is_part_of_it(certificates: CertificateFactory) -> None:
    context = certificates.server_context(certificates.valid("localhost"))
    with ScriptedServer(starttls=context) as server:
        said = opened(server.port, security="tls", certificates=certificates).dialogue
    assert said.count("C: EHLO app.example") == 2
    assert "C: STARTTLS" in said


@pytest.mark.parametrize(
    "echo",
    [
        f"535-5.7.8 {SECRET[:8]}\n535 5.7.8 {SECRET[8:]}",
        f"535 {'x' * 490} {SECRET}",
        f"535 {'x' * 485} {SECRET}",
        f"535-{'x' * 195}{SECRET}\n535 and {SECRET}",
        f"535 {'x' * 190}{SECRET}",
    ],
    ids=["split", "at the cut", "over the cut", "twice", "over the cut of a reply"],
)
def test_a_secret_in_a_refusal(echo: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither whole nor cut in two: it is taken out first, and the rest is cut then."""
    caplog.set_level(logging.DEBUG)
    account = (LOGIN.username, SECRET)
    with ScriptedServer(auth=account, behaviours={"auth": Reply(echo)}) as server:
        report = opened(server.port)
    assert report.steps[-2].status == "failed"
    seen = f"{report!r}{caplog.text}"
    for piece in (SECRET[:8], SECRET[8:], SECRET[:4], SECRET[-4:]):
        assert piece not in seen
    assert max(map(len, report.dialogue)) <= 500


def test_a_server_without_end_fills_no_memory() -> None:
    lines = "\n".join(f"250-{number} {'x' * 600}" for number in range(90))
    behaviours: dict[str, Step] = {"ehlo": Reply(f"{lines}\n250 end")}
    with ScriptedServer(behaviours=behaviours) as server:  # type: ignore[arg-type]
        report = opened(server.port, NoLogin())
    assert len(report.dialogue) > 90
    assert max(map(len, report.dialogue)) == 500
    for _ in range(1000):
        report.note("C: more")
    assert len(report.dialogue) == 400


def test_it_holds_every_address_and_what_came_of_it(closed_port: int) -> None:
    report = opened(closed_port, resolved=["127.0.0.2", "127.0.0.1"])
    assert report.answers == ["127.0.0.2", "127.0.0.1"]
    assert report.tried == [
        ("127.0.0.2", "connection refused"), ("127.0.0.1", "connection refused"),
    ]  # fmt: skip
    assert report.dialogue == []


def test_the_address_that_worked_is_the_last_one_tried() -> None:
    with ScriptedServer() as server:
        report = opened(server.port, NoLogin(), resolved=["127.0.0.2", "127.0.0.1", "127.0.0.3"])
    assert report.answers == ["127.0.0.2", "127.0.0.1", "127.0.0.3"]
    assert report.tried == [("127.0.0.2", "connection refused"), ("127.0.0.1", "connected")]
    assert report.address == "127.0.0.1"


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (TimeoutError(), "no answer"),
        (ConnectionResetError(), "broken off at once"),
        (OSError(113, "No route to host"), "unreachable"),
    ],
)
def test_each_address_has_its_own_outcome(
    problem: OSError, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.socket.connect

    def connect(sock: socket.socket, address: tuple[str, int]) -> None:
        if address[0] == "127.0.0.2":
            raise problem
        real(sock, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    with ScriptedServer() as server:
        report = opened(server.port, NoLogin(), resolved=["127.0.0.2", "127.0.0.1"])
    assert report.tried == [("127.0.0.2", words), ("127.0.0.1", "connected")]


def test_where_all_fail_each_is_named_and_the_most_telling_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def connect(_sock: socket.socket, address: tuple[str, int]) -> None:
        raise ConnectionRefusedError if address[0] == "127.0.0.2" else OSError(113, "No route")

    monkeypatch.setattr(socket.socket, "connect", connect)
    resolved = ["127.0.0.2", "127.0.0.3"]
    dialler = Dialler(DiallingPolicy(frozenset({2525}), EVERYWHERE, lambda *_: resolved))
    with pytest.raises(SMTPFailure) as caught:
        open_session(Server("localhost", 2525, "none"), NoLogin(), dialler)
    assert caught.value.code == "connection_refused"
    assert caught.value.facts == {"tried": "127.0.0.2: connection refused; 127.0.0.3: unreachable"}
    assert caught.value.facts["tried"] in caught.value.message


def test_forbidden_addresses_are_not_in_it() -> None:
    """They would map the network inside."""
    report = Report()
    policy = DiallingPolicy(frozenset({25}), resolve=lambda *_: ["8.8.8.8", "10.0.0.7"])
    with pytest.raises(SMTPFailure):
        open_session(Server("a.example", 25, "none"), NoLogin(), Dialler(policy), report=report)
    assert "10.0.0.7" not in repr(report)
    assert (report.answers, report.tried) == ([], [])


def test_sending_writes_nothing_down(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[str] = []
    monkeypatch.setattr(Report, "note", lambda _, line: noted.append(line))
    with ScriptedServer() as server:
        policy = DiallingPolicy(frozenset({server.port}), EVERYWHERE)
        to = Server("127.0.0.1", server.port, "none")
        open_session(to, NoLogin(), Dialler(policy, Timeouts(5, 5))).quit()
    assert noted == []


def test_a_sender_may_have_a_name_of_its_own() -> None:
    with ScriptedServer() as server:
        dialler = Dialler(
            DiallingPolicy(frozenset({server.port}), EVERYWHERE),
            Timeouts(5, 5),
            None,
            "app.example",
        )
        for name in ("", "mail.acme.example"):
            to = Server("127.0.0.1", server.port, "none", ehlo_name=name)
            open_session(to, NoLogin(), dialler).quit()
    greeted = [session.commands[0] for session in server.sessions]
    assert greeted == ["EHLO app.example", "EHLO mail.acme.example"]
