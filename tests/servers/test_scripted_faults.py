"""The scripted SMTP server misbehaves exactly as it was told."""

import contextlib
import smtplib
import socket
import ssl
import struct
import threading
import time

import pytest

from .certificates import CertificateFactory
from .reference_client import client_of, deliver_to, send, trusting
from .scripted import (
    Behaviour,
    Close,
    Drip,
    Flood,
    InjectAfterStarttls,
    Raw,
    Reply,
    Reset,
    ScriptedServer,
    Session,
    Stage,
    Stall,
    Then,
)


@pytest.mark.parametrize("stage", ["connect", "greeting", "ehlo", "mail", "data", "body", "dot"])
@pytest.mark.parametrize("ending", [Close(), Reset(), Reply("421 4.3.2 closing")])
def test_connection_ends(stage: Stage, ending: Behaviour) -> None:
    with ScriptedServer(behaviours={stage: ending}) as server:
        with pytest.raises((OSError, smtplib.SMTPException)):
            deliver_to(server)
        assert server.sessions[0].finished.wait(40)
        assert server.messages == []
        assert len(server.sessions[0].bodies) == (stage == "dot")


def test_close_is_an_end_of_file_and_reset_is_a_reset() -> None:
    for ending, outcome in ((Close(), b""), (Reset(), ConnectionResetError)):
        with (
            ScriptedServer(behaviours={"ehlo": ending}) as server,
            socket.create_connection((server.host, server.port), timeout=5) as connection,
        ):
            connection.recv(100)
            connection.sendall(b"EHLO me\r\n" + b"NOOP\r\n" * 10_000)
            if outcome == b"":
                assert connection.recv(100) == b""
            else:
                with pytest.raises(ConnectionResetError):
                    connection.recv(100)


@pytest.mark.parametrize("stage", ["connect", "greeting", "ehlo", "rcpt", "body", "dot", "quit"])
def test_stall(stage: Stage) -> None:
    with ScriptedServer(behaviours={stage: Stall()}) as server:
        with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)) as caught:
            deliver_to(server, timeout=0.3)
        assert isinstance(caught.value.__context__ or caught.value, TimeoutError)
        assert server.sessions[0].finished.wait(40)


def test_drip_takes_its_time() -> None:
    with ScriptedServer(behaviours={"greeting": Drip("220 slow", 0.02)}) as server:
        began = time.monotonic()
        with client_of(server) as client:
            assert time.monotonic() - began > 0.15
            send(client)


def test_flood_ends_at_its_limit() -> None:
    with ScriptedServer(behaviours={"ehlo": Flood("250-x", limit_bytes=100_000)}) as server:
        with socket.create_connection((server.host, server.port), timeout=5) as connection:
            connection.sendall(b"EHLO me\r\n")
            with connection.makefile("rb") as answers:
                assert len(answers.read()) > 100_000
        assert server.sessions[0].flooded >= 100_000


def test_flood_stops_when_the_client_leaves() -> None:
    with ScriptedServer(behaviours={"greeting": Flood()}) as server:
        with socket.create_connection((server.host, server.port), timeout=5) as connection:
            connection.recv(100)
        assert server.sessions[0].finished.wait(40)
        assert server.sessions[0].flooded < 50_000_000


def test_raw_bytes_and_many_lines() -> None:
    behaviours: dict[Stage, Behaviour] = {
        "greeting": Reply("220-one\n220 two"),
        "mail": Raw(b"250 bare\n"),
        "dot": Reply(b"250 \xff\xfe"),
    }
    with ScriptedServer(behaviours=behaviours) as server:
        with client_of(server) as client:
            send(client)
        assert len(server.messages) == 1


def test_steps_run_over_connections_and_the_last_repeats() -> None:
    with ScriptedServer(behaviours={"greeting": Then(Reply("421 busy"), None)}) as server:
        with pytest.raises(smtplib.SMTPConnectError), client_of(server):
            pass
        for _ in range(2):
            with client_of(server) as client:
                send(client)
        assert server.occurrences("greeting") == 3
        server.behave("dot", [Reply("451 later"), None])
        with client_of(server) as client:
            with pytest.raises(smtplib.SMTPDataError):
                send(client)
            send(client)
        assert len(server.messages) == 3


def test_callable_sees_the_command_and_its_error_is_not_lost() -> None:
    def rcpt(server: ScriptedServer, session: Session, line: str) -> bytes | None:
        assert server.sessions == [session]
        return b"550 no\r\n" if "bad" in line else None

    with ScriptedServer(behaviours={"rcpt": rcpt}) as server, client_of(server) as client:
        send(client, "good@x", "bad@x")
        assert server.messages[0].recipients == ["good@x"]

    def broken(server: ScriptedServer, session: Session, line: str) -> bytes | None:
        raise LookupError(line)

    with (
        pytest.raises(LookupError, match="ehlo"),
        ScriptedServer(behaviours={"ehlo": broken}) as server,
        client_of(server) as client,
        contextlib.suppress(smtplib.SMTPException),
    ):
        client.ehlo()


def test_injection_after_starttls(certificates: CertificateFactory) -> None:
    context = certificates.server_context(certificates.valid())
    extra = b"250 injected\r\n"
    with (
        ScriptedServer(
            starttls=context, behaviours={"starttls": InjectAfterStarttls(extra)}
        ) as server,
        socket.create_connection((server.host, server.port), timeout=5) as connection,
    ):
        assert connection.recv(1000).startswith(b"220")
        connection.sendall(b"STARTTLS\r\nMAIL FROM:<smuggled@x>\r\n")
        assert connection.recv(1000) == b"220 2.0.0 Ready to start TLS\r\n" + extra
        trusted = trusting(certificates)
        with trusted.wrap_socket(connection, server_hostname="localhost") as protected:
            protected.sendall(b"NOOP\r\nQUIT\r\n")
            with protected.makefile("rb") as answers:
                assert answers.read() == b"250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n"
        session = server.sessions[0]
        assert session.commands == ["STARTTLS", "NOOP", "QUIT"]
        assert b"smuggled" in session.plain_bytes
        assert session.tls_bytes == b"NOOP\r\nQUIT\r\n"


@pytest.mark.parametrize("fault", [Close(), Reset(), Stall(), Raw(b"not TLS at all\r\n")])
def test_handshake_faults(certificates: CertificateFactory, fault: Behaviour) -> None:
    context = certificates.server_context(certificates.valid())
    trusted = trusting(certificates)
    with ScriptedServer(implicit_tls=context, behaviours={"handshake": fault}) as server:
        with pytest.raises((ssl.SSLError, ConnectionError, TimeoutError)):
            smtplib.SMTP_SSL("localhost", server.port, timeout=0.5, context=trusted)
        assert server.sessions[0].finished.wait(40)
        assert not server.sessions[0].used_tls
    with (
        ScriptedServer(starttls=context, behaviours={"handshake": fault}) as server,
        client_of(server, timeout=0.5) as client,
    ):
        with pytest.raises((ssl.SSLError, ConnectionError, TimeoutError)):
            client.starttls(context=trusted)
        client.close()
        assert server.sessions[0].finished.wait(40)
        assert server.sessions[0].commands[-1] == "STARTTLS"
        assert not server.sessions[0].used_tls


def test_ehlo_after_starttls_is_a_stage_of_its_own(certificates: CertificateFactory) -> None:
    context = certificates.server_context(certificates.valid())
    with (
        ScriptedServer(starttls=context, behaviours={"ehlo2": Reply("451 no")}) as server,
        client_of(server) as client,
    ):
        assert client.ehlo()[0] == 250
        client.starttls(context=trusting(certificates))
        assert client.ehlo()[0] == 451
        assert client.mail("s@x")[0] == 503


def test_stop_is_quick_and_start_keeps_the_port() -> None:
    server = ScriptedServer(behaviours={"ehlo": [Stall(), Drip("250 x", 9), Flood(), None]})
    server.start()
    port = server.port
    with contextlib.ExitStack() as clients:
        for _ in range(4):
            connection = socket.create_connection((server.host, port), timeout=5)
            clients.enter_context(connection)
            connection.sendall(b"EHLO me\r\n")
        while server.occurrences("ehlo") < 4:
            time.sleep(0.01)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5
        assert not any(each.name.startswith("smtp-") for each in threading.enumerate())
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.host, port))
        server.start()
        with client_of(server) as client:
            send(client)
        assert server.port == port
        server.stop()


def test_a_client_that_vanishes_is_no_error() -> None:
    with ScriptedServer() as server:
        for _ in range(20):
            connection = socket.create_connection((server.host, server.port))
            linger_zero = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
            connection.close()
        with client_of(server) as client:
            send(client)
        assert server.errors == []
