"""A bounce mailbox that the sender's own sign-in opens: its token goes to its vendor only."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from smtp_admin.credentials.bearer import Bearer
from smtp_admin.credentials.claims import Claims, check_reading
from smtp_admin.credentials.sign_ins import SIGN_INS
from smtp_admin.credentials.token_failure import TokenFailure
from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.errors import InvalidInput
from smtp_admin.events.bounces.mailboxes import entered, save, sealed_in_mailboxes
from smtp_admin.events.bounces.signing_in import servers_for
from smtp_admin.events.bounces.trouble import remedy_of
from smtp_admin.senders.keys import KeyReport
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.sealed_texts import check_texts
from smtp_admin.senders.values import SenderValues
from tests.app import ADMIN
from tests.credentials.logins import MAILBOX, login
from tests.delivery.conftest import NewHost
from tests.events.bounces.letters import MIA
from tests.events.bounces.test_mailbox import JSON, PAGE, bounce, read, row
from tests.events.conftest import Hook, opened
from tests.events.hooking import Hooked
from tests.expiry.ending import signed_in_sender
from tests.servers.certificates import CertificateFactory
from tests.servers.imap import ImapServer
from tests.servers.token_server import TokenServer

__all__ = ["opened"]

SEND = "https://outlook.office.com/SMTP.Send"


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with TokenServer() as server:
        server.claims = None
        yield server


@pytest.fixture(params=["XOAUTH2", "OAUTHBEARER"])
def server(
    request: pytest.FixtureRequest, certificates: CertificateFactory, tokens: TokenServer
) -> Iterator[ImapServer]:
    """Takes the tokens of that server, by one mechanism."""
    context = certificates.server_context(certificates.valid())
    with ImapServer(context, username=MAILBOX) as running:
        running.capabilities = f"IMAP4rev1 AUTH=PLAIN AUTH={request.param}"
        running.tokens = tokens.issued
        yield running


@pytest.fixture
def site(
    opened: NewHost, hook: Hook, certificates: CertificateFactory, tokens: TokenServer
) -> Hooked:
    """With a sender that somebody has signed in to, at a mail server called localhost."""
    ports = [tokens.port, 25, 587, *range(1024, 65536)]
    made = hook(opened(CA_FILE=str(certificates.ca_file), ALLOWED_PORTS=ports))
    signed_in_sender(made.host, tokens, "other_mailbox")
    return made


def form(server: ImapServer, **more: str) -> dict[str, str]:
    """The page's form, without a password."""
    return {
        "host": "127.0.0.1", "port": str(server.port), "security": "ssl", "username": MAILBOX,
        "sign_in": "sender", "password": "", "folder": "", **more,
    }  # fmt: skip


def do(site: Hooked, what: str, fields: dict[str, str]) -> Any:
    return site.client.post(PAGE, data={"do": what, **fields}, headers=JSON).json


def test_it_is_tested_saved_and_read(site: Hooked, server: ImapServer, tokens: TokenServer) -> None:
    """By a token that is kept; no password is stored, and none is sent."""
    html = site.client.get(PAGE, headers={"Accept": "text/html"}).text
    assert 'value="sender"' in html
    tried = do(site, "test", form(server))["test"]
    assert tried["error"] is None
    assert tried["steps"][0]["name"] == "token"
    saved = do(site, "save", form(server))["mailbox"]
    assert (saved["sign_in"], row(site).password) == ("sender", "")
    asked = len(tokens.asked)
    (mail,) = site.sent(MIA)
    server.mails = {1: bounce(site, mail)}
    assert read(site) == 1
    site.apply()
    assert site.state(mail) == "bounced"
    assert len(tokens.asked) == asked  # the kept one still counts
    assert not any("LOGIN" in one or "PLAIN" in one for one in server.said)
    check_texts(
        sealed_in_mailboxes(site.host.db.session()),
        Keyring([generate_key()]),
        report := KeyReport(),
    )
    assert (report.newest, report.older, report.unreadable) == (0, 0, ())


def test_a_token_that_was_revoked_is_replaced_once(
    site: Hooked, server: ImapServer, tokens: TokenServer
) -> None:
    do(site, "save", form(server))
    old = tokens.issued[0]
    server.tokens = ()
    assert read(site) == 0
    seen = row(site)
    assert (seen.failed_step, seen.failed_code, seen.failures) == ("auth", "auth_failed", 1)
    assert "refused the token" in seen.failed_words
    assert "turned on for it" in remedy_of(seen)
    tries = [one for one in server.said if one.startswith("AUTHENTICATE")]
    assert len(tries) == 2
    assert any(one.startswith("answered") for one in server.said)
    assert len(tokens.issued) == 2
    do(site, "save", form(server))
    server.tokens = {one for one in tokens.issued if one != old}
    read(site)
    assert row(site).failures == 0


def test_a_server_that_repeats_the_token(
    site: Hooked, server: ImapServer, tokens: TokenServer
) -> None:
    do(site, "save", form(server))
    token = tokens.issued[0]
    mechanism = server.capabilities.rpartition("AUTH=")[2]
    said = Bearer(MAILBOX, token).exchange(mechanism).answer(b"") or b""
    for repeated in (token.encode(), base64.b64encode(said)):
        server.answers["SELECT"] = b"{tag} NO " + repeated + b"\r\n"
        do(site, "save", form(server))
        read(site)
        words = row(site).failed_words
        assert "*****" in words
        assert repeated.decode() not in words


def test_the_sender_names_the_mechanism(
    opened: NewHost, hook: Hook, certificates: CertificateFactory, server: ImapServer,
    tokens: TokenServer,
) -> None:  # fmt: skip
    """It is used although the server would take the other one too; and no other is tried."""
    ports = [tokens.port, 25, 587, *range(1024, 65536)]
    site = hook(opened(CA_FILE=str(certificates.ca_file), ALLOWED_PORTS=ports))
    signed_in_sender(site.host, tokens, "other_mailbox", oauth_mechanism="oauthbearer")
    only = server.capabilities.rpartition("AUTH=")[2]
    found = do(site, "test", form(server))["test"]
    if only == "OAUTHBEARER":
        assert found["error"] is None
    else:
        error = found["error"]
        assert (error["code"], error["step"]) == ("auth_not_offered", "auth")
        assert "no login by OAUTHBEARER, which the sender is set to" in error["message"]
        assert "Login with the token" in error["hint"]
        do(site, "save", form(server))
        read(site)
        assert "Login with the token" in remedy_of(row(site))
    server.capabilities = "IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER"
    server.said.clear()
    assert do(site, "test", form(server))["test"]["error"] is None
    assert "AUTHENTICATE OAUTHBEARER" in server.said


def test_nobody_has_signed_in(
    opened: NewHost, hook: Hook, certificates: CertificateFactory, server: ImapServer
) -> None:
    """The mailbox says so, and no server is dialled."""
    made = hook(opened(CA_FILE=str(certificates.ca_file)))
    made.host.save_sender(
        "acme", username=MAILBOX, sign_in="other_mailbox", oauth_client_id="x",
        oauth_token_url="https://127.0.0.1/t", oauth_authorize_url="https://127.0.0.1/a",
    )  # fmt: skip
    error = do(made, "test", form(server))["test"]["error"]
    assert (error["code"], error["step"]) == ("token_refused", "token")
    do(made, "save", form(server))
    read(made)
    seen = row(made)
    assert (seen.failed_step, seen.failed_code) == ("token", "token_refused")
    assert "sign in again" in remedy_of(seen)
    assert server.said == []
    assert read(made, later=50) == 0
    assert row(made).failures == 1  # not again within the hour


def test_no_other_server_gets_the_token(site: Hooked, server: ImapServer) -> None:
    """Neither by the form nor after the sender was changed."""
    answer = do(site, "save", form(server, host="localhost"))
    assert "only opens mailboxes at 127.0.0.1" in answer["error"]["fields"]["host"][0]
    do(site, "save", form(server))
    site.host.save_sender("acme", host="mail.elsewhere.example")
    error = do(site, "test", form(server))["error"]
    assert list(error["fields"]) == ["sign_in"]
    read(site)
    assert row(site).failed_code == "token_refused"
    assert "not for the server 127.0.0.1" in row(site).failed_words
    assert server.said == []
    # Nothing saved stands in for a password.
    with_password = do(site, "save", form(server, sign_in="password"))
    assert list(with_password["error"]["fields"]) == ["password"]
    changed = do(site, "save", form(server, sign_in="password", password="x"))
    assert changed["mailbox"]["sign_in"] == "password"


@pytest.mark.parametrize(
    ("way", "servers"),
    [
        ("microsoft_app", ("outlook.office365.com", "smtp.office365.com")),
        ("microsoft_mailbox", ("outlook.office365.com", "smtp.office365.com")),
        ("google_mailbox", ("imap.gmail.com", "smtp.office365.com")),
        ("google_service", ("imap.gmail.com", "smtp.office365.com")),
        ("other_app", ("smtp.office365.com",)),
        ("", ()),
    ],
)
def test_which_servers(way: str, servers: tuple[str, ...]) -> None:
    values = SenderValues(driver="smtp", host="smtp.office365.com", sign_in=way)
    assert servers_for(values) == servers
    assert servers_for(SenderValues(driver="memory")) == ()


@pytest.mark.parametrize(
    ("way", "enough", "remedy"),
    [
        (
            "microsoft_mailbox",
            {"scopes": ("SMTP.Send", "IMAP.AccessAsUser.All")},
            f"{SEND} offline_access https://outlook.office.com/IMAP.AccessAsUser.All",
        ),
        ("microsoft_app", {"roles": ("SMTP.SendAsApp", "IMAP.AccessAsApp")}, "IMAP.AccessAsApp"),
    ],
)
def test_a_token_that_may_only_send(
    tokens: TokenServer, way: str, enough: dict[str, Any], remedy: str
) -> None:
    """What is missing is said before any server is dialled; what is unknown is tried."""
    one, audience = login(tokens, way), SIGN_INS[way].audiences[1]
    for claims in (None, Claims(), Claims(audience="https://elsewhere.example"),
                   Claims(audience=audience, **enough)):  # fmt: skip
        check_reading(one, claims)
    some = {name: names[:1] for name, names in enough.items()}
    with pytest.raises(TokenFailure, match="does not allow reading mail") as refused:
        check_reading(one, Claims(audience=audience, **some))
    assert remedy in refused.value.hint
    check_reading(login(tokens, "google_mailbox"), Claims(audience=audience, scopes=("x",)))


def test_a_sender_with_a_password_has_no_sign_in(opened: NewHost, hook: Hook) -> None:
    made = hook(opened())
    made.host.save_sender("acme")
    session = made.host.db.session()
    sender = load_sender(session, "acme")
    with pytest.raises(InvalidInput) as refused:
        entered(session, sender, {"host": "x.example", "username": "x", "sign_in": "sender"})
    assert list(refused.value.fields) == ["sign_in"]
    assert "sign_in" not in made.client.get(PAGE, headers={"Accept": "text/html"}).text
    with pytest.raises(InvalidInput):
        save(session, sender, entered(session, sender, {"host": "x.example"}), ADMIN)
