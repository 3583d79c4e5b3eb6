"""Logging in with a token: on the wire, when it is refused, and when it ends meanwhile."""

import base64
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smtp_admin.credentials.bearer import Bearer
from smtp_admin.credentials.claims import read_claims
from smtp_admin.credentials.oauth import AccessToken, OAuthLogin
from smtp_admin.credentials.token_requests import FromServer
from smtp_admin.providers.catalogue import replies
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.report import Report
from smtp_admin.smtp.session import Dialler, Server, open_session
from smtp_admin.transports.driver import Setup, Surroundings
from smtp_admin.transports.outcome import SenderHealth, Verdict
from smtp_admin.transports.warm import make_transport
from tests.credentials.logins import LOOPBACK, MAILBOX, caller, login
from tests.servers.scripted import Raw, ScriptedServer, Session, Then
from tests.servers.token_server import TokenServer
from tests.transports.sending import mails

LONG = 512
REFUSED = {"status": "401", "schemes": "Bearer", "scope": "https://mail.google.com/"}


class Checks:
    """A server's half of XOAUTH2 and OAUTHBEARER: takes what *accepts* says, as Dovecot would."""

    def __init__(self, accepts: Any = lambda _: True, go_ahead: bytes = b"334 \r\n") -> None:
        self.accepts, self.go_ahead = accepts, go_ahead
        self.said: list[str] = []
        self.refusal: bytes | None = base64.b64encode(json.dumps(REFUSED).encode())
        self.final = b"535-5.7.8 Username and Password not accepted.\r\n535 5.7.8 gsmtp\r\n"

    def __call__(self, _server: ScriptedServer, session: Session, line: str) -> bytes | None:
        if len(line) + 2 > LONG:
            return b"500 5.5.2 Line too long\r\n"
        assert line.split()[1:] in (["XOAUTH2"], ["OAUTHBEARER"])
        session.write(self.go_ahead)
        said = session.read_line().decode().strip()
        self.said.append(base64.b64decode(said).decode())
        token = self.said[-1].partition("auth=Bearer ")[2].rstrip("\1")
        if self.accepts(token):
            return b"235 2.7.0 Accepted\r\n"
        if self.refusal is not None:
            session.write(b"334 " + self.refusal + b"\r\n")
            session.commands.append(session.read_line().decode().strip())
        return self.final


def offering(checks: Any, mechanisms: str = "PLAIN EXTERNAL PLAIN XOAUTH2", **more: Any) -> Any:
    offered = Raw(f"250-localhost\r\n250-PIPELINING\r\n250 AUTH {mechanisms}\r\n".encode())
    behaviours: dict[Any, Any] = {"ehlo": offered, "auth": checks, **more}
    return ScriptedServer(behaviours=behaviours)


def dialler(*ports: int) -> Dialler:
    return Dialler(DiallingPolicy(frozenset(ports), LOOPBACK), Timeouts(5, 5))


def log_in(server: ScriptedServer, who: Bearer, report: Report | None = None) -> None:
    to = Server("127.0.0.1", server.port, "none")
    open_session(to, who, dialler(server.port), report=report or Report()).quit()


@pytest.mark.parametrize("length", [400, 498, 697, 1024, 2400, 12288])
@pytest.mark.parametrize("go_ahead", [b"334 \r\n", b"334\r\n"], ids=["space", "bare"])
def test_a_token_of_any_length(length: int, go_ahead: bytes) -> None:
    """Never with AUTH itself, where many servers take 512 bytes."""
    token = "t" * length
    checks = Checks(go_ahead=go_ahead)
    report = Report()
    with offering(checks) as server:
        log_in(server, Bearer(MAILBOX, token), report)
    assert checks.said == [f"user={MAILBOX}\1auth=Bearer {token}\1\1"]
    assert [one.detail for one in report.steps if one.name == "auth"] == ["XOAUTH2: Accepted"]
    assert token not in f"{report!r}"


def test_a_renewed_token_keeps_a_connection(tokens: TokenServer) -> None:
    """A connection belongs to what asks for tokens, whatever token it was made with."""
    server = Server("mail.acme.example", 587, "tls")
    one, same = (Setup("smtp", server, login(tokens, "microsoft_app")) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    for other in ({"username": "tom@acme.example"}, {"client_secret": "new"}, {"scope": "x"}):
        assert one != Setup("smtp", server, login(tokens, "microsoft_app", **other))
    assert tokens.secret not in f"{one!r} {one.credential!r}"


def test_the_other_mechanism() -> None:
    checks = Checks()
    with offering(checks, "OAUTHBEARER XOAUTH2") as server:
        log_in(server, Bearer("mia,=@acme.example", "token", "OAUTHBEARER"))
    assert checks.said == ["n,a=mia=2C=3D@acme.example,\1auth=Bearer token\1\1"]


@pytest.mark.parametrize(("mechanism", "ending"), [("XOAUTH2", ""), ("OAUTHBEARER", "AQ==")])
def test_a_refusal_in_two_steps(
    mechanism: str, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What follows the token's refusal ends the login, and only then comes the verdict."""
    caplog.set_level(logging.DEBUG)
    token = "ya29." + "c4n4ry" * 300
    report = Report()
    with offering(Checks(lambda _: False), mechanism) as server:
        with pytest.raises(SMTPFailure) as caught:
            log_in(server, Bearer(MAILBOX, token), report)
        assert server.sessions[0].commands[-2:] == [ending, "QUIT"]
    assert caught.value.code == "auth_failed"
    assert caught.value.reply is not None
    assert caught.value.reply.code == 535
    assert "status 401, scope https://mail.google.com/" in caught.value.message
    seen = f"{caught.value!r} {caught.value} {report!r} {caplog.text}"
    assert "c4n4ryc4n4ry" not in seen
    assert base64.b64encode(b"c4n4ryc4n4ry").decode() not in seen


@pytest.mark.parametrize("refusal", [None, b"", b"%%%", b"bm8ganNvbg==", b"W10=", b"W1tbW1tb"])
def test_a_refusal_that_explains_nothing(refusal: bytes | None) -> None:
    checks = Checks(lambda _: False)
    checks.refusal = refusal
    with offering(checks) as server, pytest.raises(SMTPFailure) as caught:
        log_in(server, Bearer(MAILBOX, "token"))
    assert caught.value.message == "The server refused the access token."


def test_a_server_that_repeats_the_token() -> None:
    said: list[str] = []

    def repeat(_server: ScriptedServer, session: Session, _line: str) -> bytes:
        session.write(b"334 \r\n")
        said.append(session.read_line().decode().strip())
        return f"535-5.7.8 {said[0]}\r\n535 5.7.8 secret-token-4711\r\n".encode()

    with offering(repeat) as server, pytest.raises(SMTPFailure) as caught:
        log_in(server, Bearer(MAILBOX, "secret-token-4711"))
    assert "secret-token-4711" not in str(caught.value)
    assert said[0] not in str(caught.value)


def test_a_server_that_hangs_up() -> None:
    def leave(_server: ScriptedServer, session: Session, _line: str) -> None:
        session.write(b"334 \r\n")
        session.read_line()
        session.close()

    with offering(leave) as server, pytest.raises(SMTPFailure) as caught:
        log_in(server, Bearer(MAILBOX, "token"))
    assert caught.value.code == "connection_lost"


def test_a_server_that_takes_no_tokens() -> None:
    with offering(Checks(), "PLAIN LOGIN") as server, pytest.raises(SMTPFailure) as caught:
        log_in(server, Bearer(MAILBOX, "token"))
    assert caught.value.code == "auth_not_offered"


# --- Through the transport -----------------------------------------------------------------------


class Kept:
    """Tokens that are kept until one is refused."""

    def __init__(self, server: TokenServer) -> None:
        self._from = FromServer(caller())
        self.present: AccessToken | None = None
        self.refused: list[str] = []

    def token(self, login: OAuthLogin, *, instead_of: str = "", overall: Any = None) -> AccessToken:
        if instead_of:
            self.refused.append(instead_of)
        if self.present is not None and self.present.value != instead_of:
            return AccessToken(self.present.value, self.present.until, new=False)
        self.present = self._from.token(login)
        return self.present


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with TokenServer() as server:
        server.claims = {"aud": "https://outlook.office365.com", "roles": ["SMTP.SendAsApp"]}
        yield server


def send(
    server: ScriptedServer, issuer: TokenServer, kept: Any = None, count: int = 3
) -> list[Any]:
    setup = Setup("smtp", Server("127.0.0.1", server.port, "none"), login(issuer, "microsoft_app"))
    around = Surroundings(dialler(server.port, issuer.port), replies(), kept_tokens=kept)
    transport = make_transport(setup, around)
    try:
        return list(transport.deliver(mails(count)))
    finally:
        transport.close()


def test_mail_goes_out_with_a_token(tokens: TokenServer) -> None:
    checks = Checks(lambda token: token in tokens.issued)
    with offering(checks) as server:
        outcomes = send(server, tokens)
        assert len(server.messages) == 3
    assert {one.verdict for _, one in outcomes} == {Verdict.ACCEPTED}
    assert len(tokens.asked) == len(checks.said) == 1


def test_a_kept_token_that_was_revoked_is_replaced_once(tokens: TokenServer) -> None:
    kept = Kept(tokens)
    kept.present = AccessToken("revoked", datetime.now(UTC) + timedelta(hours=1))
    with offering(Checks(lambda token: token in tokens.issued)) as server:
        outcomes = send(server, tokens, kept)
        assert server.connections == 2
    assert {one.verdict for _, one in outcomes} == {Verdict.ACCEPTED}
    assert kept.refused == ["revoked"]


def test_a_new_token_that_is_refused_is_not_tried_again(tokens: TokenServer) -> None:
    checks = Checks(lambda _: False)
    checks.refusal = None
    checks.final = b"535 5.7.3 Authentication unsuccessful [SN2PR00CA0018.prod.outlook.com]\r\n"
    with offering(checks) as server:
        ((_, outcome),) = send(server, tokens)
        assert server.connections == 1
    assert (outcome.verdict, outcome.health) == (Verdict.RELEASED, SenderHealth.MISCONFIGURED)
    assert (outcome.code, outcome.cause) == ("auth_failed", "ms_token_not_accepted")
    assert outcome.pause == 3600, "an administrator mends it elsewhere, so it is tried again"


@pytest.mark.parametrize("said", ["535 5.7.3 Authentication unsuccessful", "530 5.7.57 Log in"])
def test_a_token_that_ends_in_a_long_session_is_renewed(tokens: TokenServer, said: str) -> None:
    """One new connection with a new token; nothing pauses, and no mail is lost or doubled."""
    kept = Kept(tokens)
    ended = Then(None, None, Raw(f"{said}\r\n".encode()), None)
    with offering(Checks(lambda token: token in tokens.issued), mail=ended) as server:
        outcomes = send(server, tokens, kept, 5)
        assert server.connections == 2
        assert len(server.messages) == 5
    assert [one.verdict for _, one in outcomes] == [Verdict.ACCEPTED] * 5
    assert len(tokens.asked) == 2
    assert kept.refused == tokens.issued[:1]


def test_a_second_refusal_in_a_row_counts(tokens: TokenServer) -> None:
    ended = Then(None, Raw(b"530 5.7.57 Client not authenticated to send mail.\r\n"))
    with offering(Checks(), mail=ended) as server:
        outcomes = send(server, tokens, Kept(tokens), 5)
        assert server.connections == 2
    assert outcomes[-1][1].health is SenderHealth.MISCONFIGURED
    assert len(outcomes) == 2


@pytest.mark.parametrize(
    ("claims", "cause"),
    [
        ({"aud": "https://graph.microsoft.com", "roles": ["Mail.Send"]}, "oauth_token_for_graph"),
        ({"aud": "00000003-0000-0000-c000-000000000000"}, "oauth_token_for_graph"),
        ({"aud": "https://outlook.office365.com"}, "oauth_permission_missing"),
        ({"aud": "https://outlook.office.com/", "roles": ["Mail.Send"]},
         "oauth_permission_missing"),
    ],
)  # fmt: skip
def test_a_token_for_something_else_is_not_tried(
    tokens: TokenServer, claims: dict[str, Any], cause: str
) -> None:
    tokens.claims = claims
    with offering(Checks()) as server:
        ((_, outcome),) = send(server, tokens)
        assert server.connections == 0
    assert (outcome.code, outcome.cause) == ("token_refused", cause)
    assert outcome.health is SenderHealth.MISCONFIGURED


@pytest.mark.parametrize(
    "claims",
    [None, {"aud": "https://outlook.office.example"}, {}, {"aud": 7, "roles": "x", "exp": "y"},
     {"aud": ["https://outlook.office365.com"], "roles": ["SMTP.SendAsApp"], "exp": 1e300}],
)  # fmt: skip
def test_what_is_not_certain_is_tried(tokens: TokenServer, claims: dict[str, Any] | None) -> None:
    tokens.claims = claims
    with offering(Checks()) as server:
        assert {one.verdict for _, one in send(server, tokens)} == {Verdict.ACCEPTED}


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "....", "x" * 100_000, "a.W10.c", "é.é.é"])
def test_a_token_that_nobody_can_read(token: str) -> None:
    assert read_claims(token) is None


def test_the_token_server_is_down(tokens: TokenServer) -> None:
    tokens.answers.append((503, {"Retry-After": "90"}, b""))
    with offering(Checks()) as server:
        ((_, outcome),) = send(server, tokens)
        assert server.connections == 0
    assert (outcome.verdict, outcome.health) == (Verdict.RELEASED, SenderHealth.DOWN)
    assert (outcome.code, outcome.pause, outcome.opening) == ("token_unavailable", 90, True)
