"""The scripted SMTP server serves an ordinary client as any mail server does."""

import smtplib
import socket
from base64 import b64encode

import pytest

from .certificates import CertificateFactory
from .reference_client import LETTER, client_of, send, trusting
from .scripted import (
    Reply,
    ScriptedServer,
)

ACCOUNT = ("partner@example.org", "påsswörd")


def test_plain_delivery_keeps_every_byte() -> None:
    with ScriptedServer() as server, client_of(server) as client:
        send(client, "a@example.org", "b@example.org")
        send(client)
        client.quit()
        first, second = server.wait_for_messages(2)
        assert first.mail_from == "sender@example.org"
        assert first.recipients == ["a@example.org", "b@example.org"]
        assert first.data == second.data == LETTER
        session = first.session
        assert session.finished.wait(40)
        assert session.commands[1].startswith("mail FROM:<sender@example.org>")
        assert session.commands[-1] == "quit"
        assert session.plain_bytes.startswith(b"ehlo ")
        assert not session.used_tls
        assert not session.tls_bytes
        assert server.connections == len(server.sessions) == 1


def test_starttls_and_login(certificates: CertificateFactory) -> None:
    context = certificates.server_context(certificates.valid())
    with ScriptedServer(starttls=context, auth=ACCOUNT) as server, client_of(server) as client:
        client.ehlo()
        assert not client.has_extn("auth")
        assert client.docmd("AUTH PLAIN AAA=")[0] == 530
        client.starttls(context=trusting(certificates))
        client.ehlo()
        assert not client.has_extn("starttls")
        assert client.mail("early@example.org")[0] == 530
        login(client, *ACCOUNT)
        send(client)
        client.quit()
        session = server.sessions[0]
        assert session.used_tls
        assert b"STARTTLS" in session.plain_bytes
        assert b"MAIL" not in session.plain_bytes
        assert LETTER.splitlines()[0] in session.tls_bytes
        assert session.auth_attempts[-1] == ("PLAIN", *ACCOUNT)
        assert len(server.messages) == 1


def login(client: smtplib.SMTP, username: str, password: str) -> tuple[int, bytes]:
    secret = b64encode(f"\0{username}\0{password}".encode()).decode()
    return client.docmd(f"AUTH PLAIN {secret}")


def test_implicit_tls(certificates: CertificateFactory) -> None:
    context = certificates.server_context(certificates.valid())
    with ScriptedServer(implicit_tls=context) as server:
        with smtplib.SMTP_SSL(
            "localhost", server.port, timeout=5, context=trusting(certificates)
        ) as client:
            send(client)
        assert server.sessions[0].used_tls
        assert server.sessions[0].plain_bytes == b""
        assert server.messages[0].data == LETTER


@pytest.mark.parametrize("method", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.parametrize("challenged", [False, True])
def test_every_login_method(method: str, *, challenged: bool) -> None:
    account = ("partner", "secret")
    with ScriptedServer(auth=account, auth_methods=(method,)) as server:
        for password, accepted in (("wrong", False), ("secret", True)):
            with client_of(server) as client:
                client.ehlo()
                client.user, client.password = "partner", password
                authenticator = getattr(client, f"auth_{method.lower().replace('-', '_')}")
                ok = not challenged and method != "CRAM-MD5"
                if accepted:
                    assert client.auth(method, authenticator, initial_response_ok=ok)[0] == 235
                    send(client)
                else:
                    with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
                        client.auth(method, authenticator, initial_response_ok=ok)
                    assert refusal.value.smtp_code == 535
        attempts = [attempt for each in server.sessions for attempt in each.auth_attempts]
        assert [attempt[:2] for attempt in attempts] == [(method, "partner")] * 2
        if method != "CRAM-MD5":
            assert [attempt[2] for attempt in attempts] == ["wrong", "secret"]


def test_pipelined_group_and_order_of_commands() -> None:
    with ScriptedServer(behaviours={"rcpt": [None, Reply("550 5.1.1 no"), None]}) as server:
        with socket.create_connection((server.host, server.port), timeout=5) as connection:
            answers = connection.makefile("rb")
            assert answers.readline().startswith(b"220")
            connection.sendall(
                b"MAIL FROM:<s@x>\r\nEHLO me\r\nRCPT TO:<early@x>\r\nRSET\r\n"
                b"MAIL FROM:<> SIZE=5\r\nRCPT TO:<b@x>\r\nRCPT TO:<c@x>\r\nRCPT TO:<d@x>\r\n"
                b"NOOP\r\nWHAT\r\nDATA\r\n.\r\nQUIT\r\n"
            )
            text = answers.read().decode()
            answers.close()
        codes = [line[:3] for line in text.splitlines() if line[3] == " "]
        expected = "503 250 503 250 250 550 250 250 250 500 354 250 221"
        assert codes == expected.split()
        assert server.messages[0].mail_from == ""
        assert server.messages[0].recipients == ["c@x", "d@x"]
        assert server.messages[0].data == b""


def test_only_a_dot_between_full_line_endings_ends_the_message() -> None:
    body = b"a\n.\n.b\r\n..c\r\n"
    with ScriptedServer() as server, client_of(server) as client:
        client.ehlo()
        client.mail("s@x")
        client.rcpt("r@x")
        client.docmd("DATA")
        client.send(body + b".\r\n")
        assert client.getreply()[0] == 250
        assert server.messages[0].data == b"a\n.\n.b\r\n.c\r\n"
