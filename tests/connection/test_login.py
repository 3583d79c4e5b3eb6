"""One login, only ``235`` is one, and its secret comes back in nothing that anybody reads."""

import base64

import pytest

from tests.connection.answers import (
    PASSWORD,
    USERNAME,
    Answer,
    assert_no_login,
    assert_no_secret,
    check_envelope,
)
from tests.connection.conftest import Ask
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import Custom, Raw, Reply, ScriptedServer, Session, Stage, Step

ACCOUNT = (USERNAME, PASSWORD)


def logins(server: ScriptedServer) -> int:
    """How many logins were begun."""
    return sum(
        command.upper().startswith("AUTH")
        for session in server.sessions
        for command in session.commands
    )


@pytest.mark.parametrize("methods", [("PLAIN", "LOGIN"), ("LOGIN",), ("CRAM-MD5", "PLAIN")])
def test_wrong_password(ask: Ask, methods: tuple[str, ...]) -> None:
    """Exactly one login is tried: a second one would lock the account sooner."""
    with ScriptedServer(auth=(USERNAME, "another"), auth_methods=methods) as server:
        error = check_envelope(ask(server), "auth_failed", "auth")
        assert error["reply"]["code"] == 535
        assert error["reply"]["enhanced"] == "5.7.8"
        assert logins(server) == len(server.sessions[0].auth_attempts) == 1
        assert server.sessions[0].commands[-1] == "QUIT"


@pytest.mark.parametrize("methods", [("PLAIN",), ("LOGIN",), ("CRAM-MD5",), ("login", "Plain")])
def test_password_in_any_letters(ask: Ask, methods: tuple[str, ...]) -> None:
    with ScriptedServer(auth=ACCOUNT, auth_methods=methods) as server:
        answer = ask(server)
        assert answer.status == 200, answer.text
        assert len(server.sessions[0].auth_attempts) == 1


@pytest.mark.parametrize(
    "password",
    [" leading and trailing ", "%s{{7*7}}", "пароль🔑", "x", "a\tb", "a" * 1000, "PLAIN", "AUTH",
     "LOGIN", "250", "*****x"],
)  # fmt: skip
def test_password_is_sent_as_typed(ask: Ask, password: str) -> None:
    """Also one that is a word of the protocol: hiding it must not change what the server said."""
    with ScriptedServer(auth=(USERNAME, password)) as server:
        answer = ask(server, password=password)
        assert answer.status == 200, answer.text
        assert server.sessions[0].auth_attempts == [("PLAIN", USERNAME, password)]


def test_login_not_offered(ask: Ask) -> None:
    with ScriptedServer() as server:
        check_envelope(ask(server), "auth_not_offered", "auth")
        assert_no_login(server)
        assert server.sessions[0].commands[-1] == "QUIT"


def test_login_offered_only_after_encryption(ask: Ask, certificates: CertificateFactory) -> None:
    context = certificates.server_context(certificates.valid())
    with ScriptedServer(starttls=context, auth=ACCOUNT) as server:
        error = check_envelope(ask(server, security="none"), "auth_not_offered", "auth")
        assert "STARTTLS" in error["hint"]
        assert_no_login(server)


def test_login_offered_before_encryption_does_not_count(
    ask: Ask, certificates: CertificateFactory
) -> None:
    """What was said in plain text may be anybody's: it is asked again (RFC 3207)."""
    context = certificates.server_context(certificates.valid())
    behaviours: dict[Stage, Step] = {"ehlo": Reply("250-localhost\n250-STARTTLS\n250 AUTH PLAIN")}
    with ScriptedServer(starttls=context, behaviours=behaviours) as server:
        check_envelope(ask(server, security="tls"), "auth_not_offered", "auth")
        assert_no_login(server)


@pytest.mark.parametrize(
    ("offers", "methods"),
    [
        (["AUTH PLAIN", "AUTH NTLM"], ["PLAIN", "NTLM"]),
        (["AUTH NTLM", "AUTH PLAIN"], ["NTLM", "PLAIN"]),
        (["AUTH=LOGIN PLAIN"], ["LOGIN", "PLAIN"]),
        (["AUTH=PLAIN"], ["PLAIN"]),
        (["AUTH LOGIN PLAIN", "AUTH=LOGIN"], ["LOGIN", "PLAIN"]),
        (["AUTH\tLOGIN\tPLAIN"], ["LOGIN", "PLAIN"]),
        (["auth  plain   login "], ["PLAIN", "LOGIN"]),
    ],
)
def test_offers_in_other_forms(ask: Ask, offers: list[str], methods: list[str]) -> None:
    """Exchange has a line for each of its connectors; old servers have a form of their own."""
    said = "\n".join(["250-localhost", *(f"250-{one}" for one in offers), "250 8BITMIME"])
    with ScriptedServer(auth=ACCOUNT, behaviours={"ehlo": Reply(said)}) as server:
        answer = ask(server)
        assert answer.status == 200, answer.text
        assert answer.body["connection"]["auth_methods"] == methods
        assert len(server.sessions[0].auth_attempts) == 1


@pytest.mark.parametrize("offer", ["XOAUTH2", "XOAUTH2 OAUTHBEARER", "NTLM GSSAPI"])
def test_only_other_mechanisms(ask: Ask, offer: str) -> None:
    with ScriptedServer(auth=ACCOUNT, auth_methods=offer.split()) as server:
        answer = ask(server)
        error = check_envelope(answer, "auth_not_offered", "auth")
        assert offer.split(maxsplit=1)[0] in error["message"]
        assert answer.body["connection"]["auth_methods"] == offer.split()
        assert_no_login(server)


@pytest.mark.parametrize(
    "reply",
    ["503 5.5.1 already authenticated", "250 2.0.0 Ok", "220 Ok", "200 Ok", "534 5.7.9 too weak",
     "530 5.7.0 no", "538 5.7.11 encrypt", "504 5.5.4 unknown", "550 no"],
)  # fmt: skip
def test_only_235_is_a_login(ask: Ask, reply: str) -> None:
    with ScriptedServer(auth=ACCOUNT, behaviours={"auth": Reply(reply)}) as server:
        error = check_envelope(ask(server), "auth_failed", "auth")
        assert error["reply"]["code"] == int(reply[:3])
        assert not any(one.startswith("MAIL") for one in server.sessions[0].commands)
        assert logins(server) == 1


@pytest.mark.parametrize(
    "reply",
    ["454 4.7.0 temporary", "421 4.7.0 slow down", "451 4.3.0 try again", "432 4.7.12 transition",
     "450 4.3.2 busy"],
)  # fmt: skip
def test_temporary_refusal_does_not_blame_the_password(ask: Ask, reply: str) -> None:
    with ScriptedServer(auth=ACCOUNT, behaviours={"auth": Reply(reply)}) as server:
        check_envelope(ask(server), "server_refused", "auth")
        assert logins(server) == 1


CHALLENGES = {
    "not base64": b"334 !!!garbage!!!\r\n",
    "no text": b"334\r\n",
    "binary": b"334 \xff\xfe\x00\r\n",
    "huge": b"334 " + b"QUFB" * 10_000 + b"\r\n",
}


@pytest.mark.parametrize("challenge", CHALLENGES.values(), ids=CHALLENGES.keys())
@pytest.mark.parametrize("method", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_endless_challenges(
    ask: Ask, method: str, challenge: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is asked, and however often: a fixed number of answers, then no login."""

    def ask_again(server: ScriptedServer, session: Session, line: str) -> bytes:
        session.commands.append(line)
        session.write(challenge)
        while (got := session.read_line()) != b"QUIT\r\n":
            session.commands.append(got.decode().strip())
            session.write(challenge)
        return b"221 Bye\r\n"

    greeting = Raw(f"250-localhost\r\n250 AUTH {method}\r\n".encode())
    with ScriptedServer(behaviours={"ehlo": greeting, "auth": ask_again}) as server:
        with caplog.at_level("DEBUG"):
            answer = ask(server)
        error = answer.body["error"]
        check_envelope(answer, error["code"], "auth")
        assert error["code"] in {"auth_failed", "not_smtp", "server_refused"}
        said = [one for one in server.sessions[0].commands if not one.startswith("EHLO")]
        assert len(said) <= 5, said
        assert_no_secret(answer.text, caplog.text)


def test_long_challenge(ask: Ask) -> None:
    """A challenge is taken as it came, however long: it is no text for a person."""
    nonce = b"<" + b"7" * 300 + b"@localhost>"

    def cram(server: ScriptedServer, session: Session, line: str) -> bytes:
        import hashlib
        import hmac

        session.write(b"334 " + base64.b64encode(nonce) + b"\r\n")
        answer = base64.b64decode(session.read_line()).decode()
        right = hmac.new(PASSWORD.encode(), nonce, hashlib.md5).hexdigest()
        return b"235 Ok\r\n" if answer == f"{USERNAME} {right}" else b"535 wrong\r\n"

    greeting = Raw(b"250-localhost\r\n250 AUTH CRAM-MD5\r\n")
    with ScriptedServer(behaviours={"ehlo": greeting, "auth": cram}) as server:
        assert ask(server).status == 200


def echo(*, decoded: bool, lines: int = 1) -> Custom:
    """A server that repeats the login in its refusal, as it came or decoded."""

    def refuse(server: ScriptedServer, session: Session, line: str) -> bytes:
        word = line.rsplit(maxsplit=1)[-1] if " PLAIN " in line else ""
        if not word and session.auth_attempts:
            word = base64.b64encode(session.auth_attempts[-1][2].encode()).decode()
        text = base64.b64decode(word).decode() if decoded else f"{line} {word}"
        clean = text.replace("\0", " ")
        return b"".join(
            f"535{'-' if number < lines - 1 else ' '}5.7.8 no: {clean}\r\n".encode()
            for number in range(lines)
        )

    return refuse


def refused(ask: Ask, server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> Answer:
    """The answer to a refused login; nothing in it or in the logs is secret."""
    with caplog.at_level("DEBUG"):
        answer = ask(server)
    check_envelope(answer, "auth_failed", "auth")
    assert_no_secret(answer.text, caplog.text)
    return answer


@pytest.mark.parametrize("lines", [1, 5])
@pytest.mark.parametrize("decoded", [False, True], ids=["as it came", "decoded"])
@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
def test_echoed_login(
    ask: Ask, caplog: pytest.LogCaptureFixture, method: str, decoded: bool, lines: int
) -> None:
    behaviours: dict[Stage, Step] = {"auth": echo(decoded=decoded, lines=lines)}
    with ScriptedServer(auth=ACCOUNT, auth_methods=(method,), behaviours=behaviours) as server:
        answer = refused(ask, server, caplog)
        assert "*****" in answer.body["error"]["reply"]["text"]


@pytest.mark.parametrize("letter", ["\t", "\u00a0", "\u00ad", "\u200b"])
def test_echoed_login_with_letters_that_are_not_printed(
    ask: Ask, caplog: pytest.LogCaptureFixture, letter: str
) -> None:
    """Making a reply printable must not make the password unrecognizable."""
    password = f"left-canary{letter}right-canary"
    with (
        caplog.at_level("DEBUG"),
        ScriptedServer(auth=ACCOUNT, behaviours={"auth": echo(decoded=True)}) as server,
    ):
        answer = ask(server, password=password)
        assert server.sessions[0].auth_attempts[0][2] == password
    check_envelope(answer, "auth_failed", "auth")
    assert "canary" not in answer.text + caplog.text


@pytest.mark.parametrize("stage", ["greeting", "ehlo"])
def test_login_echoed_on_the_next_connection(
    ask: Ask, caplog: pytest.LogCaptureFixture, stage: Stage
) -> None:
    """What a server was told once it can repeat at any later time, also before a login."""
    with ScriptedServer(auth=ACCOUNT) as server:
        assert ask(server).status == 200
        token = base64.b64encode(f"\0{USERNAME}\0{PASSWORD}".encode()).decode()
        server.behave(stage, Reply(f"554 5.7.1 {PASSWORD} {token}"))
        with caplog.at_level("DEBUG"):
            answer = ask(server)
    check_envelope(answer, "server_refused", stage)
    assert_no_secret(answer.text, caplog.text)
