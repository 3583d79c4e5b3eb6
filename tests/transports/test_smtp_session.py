"""The connection of a transport: opening, keeping, leaving, aborting."""

import threading
import time
from pathlib import Path

import pytest

from smtp_admin.credentials.none import NoLogin
from smtp_admin.providers.catalogue import replies
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.session import Dialler, Server
from smtp_admin.transports.driver import Surroundings
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict
from smtp_admin.transports.smtp.transport import SMTPTransport
from smtp_admin.transports.warm import WarmTransports
from tests.patience import SECONDS
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import (
    Close,
    Raw,
    Reply,
    Reset,
    ScriptedServer,
    Stage,
    Stall,
    Step,
)
from tests.setups import smtp_setup
from tests.transports.sending import (
    ACCEPTED,
    LOOPBACK,
    RELEASED,
    UNCERTAIN,
    deliver,
    mail,
    mails,
    patience,
    transport_to,
    verdicts,
)
from tests.worker.running import until


@pytest.mark.parametrize(
    "fault",
    [Close(), Reset(), Reply("500 what"), Reply("421 bye"), Raw(b"nonsense\r\n")],
    ids=["close", "reset", "500", "421", "nonsense"],
)
def test_goodbye_changes_nothing(fault: Step) -> None:
    with ScriptedServer(behaviours={"quit": fault}) as server, transport_to(server) as transport:
        found = deliver(transport, mails(1))
        transport.close()
        transport.close()
        assert verdicts(found) == {0: ACCEPTED}
        assert len(server.messages) == 1


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("last_words", [b"", b"421 4.4.2 idle for too long\r\n"])
def test_server_that_closed_while_idle(
    certificates: CertificateFactory,
    encrypted: bool,
    last_words: bytes,
) -> None:
    """It is noticed before a mail is begun: no attempt, no pause, a new connection."""
    context = certificates.server_context(certificates.valid()) if encrypted else None
    with (
        ScriptedServer(starttls=context) as server,
        transport_to(
            server, security="tls" if encrypted else "none", verify_tls=False
        ) as transport,
    ):
        assert verdicts(deliver(transport, mails(1))) == {0: ACCEPTED}
        session = server.sessions[0]
        if last_words:
            session.write(last_words)
        session.abort()
        assert session.finished.wait(SECONDS)
        assert verdicts(deliver(transport, mails(2))) == {0: ACCEPTED, 1: ACCEPTED}
        assert server.connections == 2


@pytest.mark.parametrize(
    ("behaviours", "code", "health"),
    [
        ({"greeting": Reply("554 5.7.1 no")}, "server_refused", SenderHealth.DOWN),
        ({"greeting": Reply("421 4.7.0 too many")}, "server_refused", SenderHealth.LIMITED),
        ({"greeting": Close()}, "connection_lost", SenderHealth.DOWN),
        ({"greeting": Stall()}, "timeout", SenderHealth.DOWN),
        ({"ehlo": Raw(b"nonsense\r\n")}, "not_smtp", SenderHealth.DOWN),
        ({"auth": Reply("535 5.7.8 wrong")}, "auth_failed", SenderHealth.MISCONFIGURED),
        ({"auth": Reply("454 4.3.0 later")}, "server_refused", SenderHealth.DOWN),
        ({"auth": Reply("451 4.3.0 later")}, "server_refused", SenderHealth.DOWN),
    ],
)
def test_no_session(behaviours: dict[Stage, Step], code: str, health: SenderHealth) -> None:
    """Only the first mail has an outcome, the sender's; the others were not touched."""
    with (
        ScriptedServer(auth=("robot", "secret"), behaviours=behaviours) as server,
        transport_to(
            server, timeouts=patience(behaviours.get("greeting")), username="robot"
        ) as transport,
    ):
        found = deliver(transport, mails(3))
        assert verdicts(found) == {0: RELEASED}
        assert (found[0].code, found[0].health) == (code, health)
        assert "secret" not in repr(transport)


def test_bad_certificate(certificates: CertificateFactory) -> None:
    context = certificates.server_context(certificates.self_signed())
    with (
        ScriptedServer(starttls=context) as server,
        transport_to(server, security="tls") as transport,
    ):
        found = deliver(transport, mails(2))
        assert verdicts(found) == {0: RELEASED}
        assert found[0].health is SenderHealth.MISCONFIGURED
        assert not server.messages


def test_no_mails_no_connection() -> None:
    """Whether or not anybody listens."""
    with ScriptedServer() as server, transport_to(server) as transport:
        assert deliver(transport, []) == {}
        server.stop()
        assert deliver(transport, []) == {}


def test_left_in_the_middle() -> None:
    """Who stops listening to outcomes leaves a begun envelope; it must not become a mail."""
    with ScriptedServer() as server, transport_to(server) as transport:
        outcomes = transport.deliver(mails(3))
        assert next(outcomes)[0] == 0
        outcomes.close()  # type: ignore[attr-defined]  # it is a generator
        assert server.sessions[0].finished.wait(SECONDS), (
            "the connection is not kept for the next one"
        )
        assert verdicts(deliver(transport, [mail(7)])) == {7: ACCEPTED}
        assert [one.recipients for one in server.messages] == [
            ["r0@example.com"], ["r7@example.com"]
        ]  # fmt: skip
        assert server.connections == 2


@pytest.mark.parametrize(
    ("stage", "verdict", "encrypted"),
    [
        (stage, verdict, encrypted)
        for stage, verdict in (
            ("greeting", RELEASED), ("mail", RELEASED), ("data", RELEASED), ("dot", UNCERTAIN),
        )
        for encrypted in (False, True)
    ] + [("handshake", RELEASED, True)],
)  # fmt: skip
def test_abort(
    certificates: CertificateFactory, stage: Stage, verdict: Verdict, encrypted: bool
) -> None:
    """From another thread, whatever is being waited for: the waiting ends at once."""
    context = certificates.server_context(certificates.valid()) if encrypted else None
    found: dict[int, Outcome] = {}
    with (
        ScriptedServer(starttls=context, behaviours={stage: Stall()}) as server,
        transport_to(
            server,
            timeouts=Timeouts(connect=60, command=60, final_dot=60),
            security="tls" if encrypted else "none",
            verify_tls=False,
        ) as transport,
    ):
        worker = threading.Thread(target=lambda: found.update(deliver(transport, mails(2))))
        worker.start()
        assert until(lambda: server.occurrences(stage) > 0)
        time.sleep(0.05)
        began = time.monotonic()
        transport.abort()
        worker.join(SECONDS)
        assert time.monotonic() - began < SECONDS
        assert verdicts(found) == {0: verdict}


def test_abort_without_a_connection() -> None:
    with ScriptedServer() as server, transport_to(server) as transport:
        transport.abort()
        assert verdicts(deliver(transport, mails(1))) == {0: ACCEPTED}
        transport.abort()
        assert verdicts(deliver(transport, mails(1))) == {0: ACCEPTED}
        assert server.connections == 2


def test_abort_while_the_name_is_looked_up() -> None:
    """What is connected afterwards is cut as well."""
    asked, answer = threading.Event(), threading.Event()

    def slowly(_host: str, _port: int) -> list[str]:
        asked.set()
        answer.wait(SECONDS)
        return ["127.0.0.1"]

    found: dict[int, Outcome] = {}
    with ScriptedServer(behaviours={"greeting": Stall()}) as server:
        policy = DiallingPolicy(frozenset({server.port}), LOOPBACK, slowly)
        dialler = Dialler(policy, Timeouts(connect=60, command=60, final_dot=60))
        transport = SMTPTransport(
            Server("mail.acme.example", server.port, "none"), NoLogin(), dialler, replies()
        )
        worker = threading.Thread(target=lambda: found.update(deliver(transport, mails(2))))
        worker.start()
        assert asked.wait(SECONDS)
        began = time.monotonic()
        transport.abort()
        answer.set()
        worker.join(SECONDS)
        assert time.monotonic() - began < SECONDS
        assert verdicts(found) == {0: RELEASED}


def test_servers_that_are_slow_to_say_goodbye_do_not_hold_up_the_end() -> None:
    """A worker may have 64 connections open, and ten seconds to end."""
    warm = WarmTransports()
    with ScriptedServer(behaviours={"quit": Stall()}) as server:
        policy = DiallingPolicy(frozenset({server.port}), LOOPBACK)
        dialler = Dialler(policy, patience(None))
        setup = smtp_setup("127.0.0.1", server.port, "none")
        for sender_id in range(20):
            transport = warm.take(sender_id, setup, Surroundings(dialler, replies()))
            assert verdicts(dict(transport.deliver(mails(1)))) == {0: ACCEPTED}
            warm.give_back(sender_id, setup, transport)
        began = time.monotonic()
        warm.close_all()
        assert time.monotonic() - began < 10, "one after the other it would be twenty"
        assert until(lambda: server.occurrences("quit") == 20), "they are told all the same"


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"], ids=["gone", "empty", "no"])
def test_a_file_of_authorities_that_cannot_be_read_pauses(
    certificates: CertificateFactory, tmp_path: Path, content: bytes | None
) -> None:
    """It was there when the app started. What replaces it may be there in a moment."""
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_bytes(content)
    context = certificates.server_context(certificates.valid())
    with ScriptedServer(starttls=context) as server:
        policy = DiallingPolicy(frozenset({server.port}), LOOPBACK)
        dialler = Dialler(
            policy, Timeouts(connect=SECONDS, command=SECONDS, final_dot=SECONDS), ca_file=file
        )
        transport = SMTPTransport(
            Server("127.0.0.1", server.port, "tls"), NoLogin(), dialler, replies()
        )
        ((_, outcome),) = transport.deliver(mails(2))
    assert (outcome.verdict, outcome.health) == (RELEASED, SenderHealth.DOWN)
    assert outcome.code == "tls_failed"
