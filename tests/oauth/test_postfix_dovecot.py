"""Tokens at a real Postfix, and at the IMAP of its Dovecot, which asks whose they are."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from smtp_admin.clock import now
from smtp_admin.events.models import BounceMailbox
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.senders.resolve import load_sender
from tests.alerts.watching import look
from tests.app import ADMIN, HostApp
from tests.credentials.logins import MAILBOX
from tests.delivery.workbench import deliveries, queue
from tests.events.bounces.letters import MIA
from tests.events.bounces.test_mailbox import NOAH, bounce, read, row
from tests.events.bounces.test_signing_in import do
from tests.events.bounces.test_trouble import told
from tests.events.hooking import Hooked
from tests.oauth.keeping import sign_in
from tests.oauth.test_senders import step
from tests.servers.certificates import CertificateFactory
from tests.servers.postfix import PostfixWithDovecot
from tests.servers.skipping import skipped_if_unavailable
from tests.servers.token_server import TokenServer

PAGE = "/smtp-admin/partners/acme"
#: ``ssl`` or ``tls`` → what a mailbox's form sends.
Form = Callable[[str], dict[str, str]]


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> CertificateFactory:
    return CertificateFactory(tmp_path_factory.mktemp("postfix"))


@pytest.fixture(scope="module")
def tokens() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


@pytest.fixture(scope="module")
def postfix(authorities: CertificateFactory, tokens: TokenServer) -> Iterator[PostfixWithDovecot]:
    with (
        skipped_if_unavailable(),
        PostfixWithDovecot(
            certificate=authorities.valid(),
            accounts={MAILBOX: "no password here"},
            owners={MAILBOX: MAILBOX},
            doors={"usual": {}},
            introspection=f"{tokens.url}/introspect",  # RFC 7662
            imap=True,
        ) as running,
    ):
        yield running


@pytest.fixture
def site(
    new_app: Callable[..., HostApp], authorities: CertificateFactory, tokens: TokenServer,
    postfix: PostfixWithDovecot,
) -> Iterator[HostApp]:  # fmt: skip
    tokens.claims, tokens.opaque_length = None, 1200
    tokens.mailbox, tokens.revoked = MAILBOX, False
    ports = [tokens.port, postfix.ports["usual"], *postfix.imap_ports.values()]
    made = new_app(ALLOWED_PORTS=ports, CA_FILE=str(authorities.ca_file))
    made.actor = ADMIN
    with made.app.app_context():
        yield made


def given(
    postfix: PostfixWithDovecot, tokens: TokenServer, way: str, **more: Any
) -> dict[str, Any]:
    return {
        "host": "localhost",
        "port": postfix.ports["usual"],
        "security": "tls",
        "username": MAILBOX,
        "from_email": MAILBOX,
        "sign_in": way,
        "oauth_client_id": tokens.client_id,
        "oauth_token_url": f"{tokens.url}/token",
        "oauth_scope": "smtp",
        **more,
    }


def test(site: HostApp, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = site.client.post(f"{PAGE}/test-connection", json=fields).get_json()
    return found


test.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize("mechanism", ["", "xoauth2", "oauthbearer"])
def test_both_mechanisms(
    site: HostApp, postfix: PostfixWithDovecot, tokens: TokenServer, mechanism: str
) -> None:
    """Tokens of 1,200 letters, which no line of AUTH itself could hold."""
    fields = given(postfix, tokens, "other_app", oauth_mechanism=mechanism)
    answer = test(site, **fields, oauth_secret=tokens.secret)
    assert answer["ok"], answer
    assert {"XOAUTH2", "OAUTHBEARER", "PLAIN"} <= set(answer["connection"]["auth_methods"])
    assert step(answer, "auth")["detail"].startswith((mechanism or "XOAUTH2").upper())


@pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer"])
@pytest.mark.parametrize("why", ["revoked", "another mailbox"])
def test_a_token_that_does_not_count(
    site: HostApp, postfix: PostfixWithDovecot, tokens: TokenServer, mechanism: str, why: str
) -> None:
    """Dovecot says first why, and Postfix's 535 decides once that is answered."""
    if why == "revoked":
        tokens.revoked = True
    else:
        tokens.mailbox = "tom@acme.example"
    fields = given(postfix, tokens, "other_app", oauth_mechanism=mechanism)
    answer = test(site, **fields, oauth_secret=tokens.secret)
    error = answer["error"]
    assert (error["code"], error["step"]) == ("auth_failed", "auth"), answer
    assert error["reply"]["code"] == 535
    assert "does not accept the token" in error["hint"]
    assert tokens.issued[-1] not in str(answer)


def test_mail_by_a_sign_in_that_is_renewed(
    site: HostApp, postfix: PostfixWithDovecot, tokens: TokenServer
) -> None:
    saved = site.save_sender(
        **given(postfix, tokens, "other_mailbox", oauth_authorize_url=f"{tokens.url}/authorize"),
        secrets={"oauth_secret": tokens.secret},
    )
    login: Any = saved.setup(site.installation.keyring).credential
    sign_in(tokens, saved, login)
    queue(site)
    site.work()
    # The access token is lost, and the next one comes by the refresh token.
    site.db.session.query(OAuthGrant).update({"access_token": ""})
    site.db.session.commit()
    queue(site)
    site.work()
    assert [one.state for one in deliveries(site)] == ["sent", "sent"]
    assert postfix.log.count("sasl_method=XOAUTH2") >= 2
    assert f"sasl_username={MAILBOX}" in postfix.log
    assert not load_sender(site.db.session(), "acme").pause_code


@pytest.fixture
def signed_in(
    site: HostApp, postfix: PostfixWithDovecot, tokens: TokenServer, mechanism: str
) -> Form:
    """Signs the sender in, and gives the form of its bounce mailbox, by one kind of encryption."""
    own = {"oauth_authorize_url": f"{tokens.url}/authorize", "oauth_mechanism": mechanism.lower()}
    saved = site.save_sender(
        **given(postfix, tokens, "other_mailbox", **own),
        secrets={"oauth_secret": tokens.secret},
    )
    login: Any = saved.setup(site.installation.keyring).credential
    sign_in(tokens, saved, login)

    def form(security: str) -> dict[str, str]:
        return {
            "host": "localhost", "port": str(postfix.imap_ports[security]), "security": security,
            "username": MAILBOX, "sign_in": "sender", "password": "", "folder": "",
        }  # fmt: skip

    return form


@pytest.fixture
def hooked(site: HostApp) -> Iterator[Hooked]:
    made = Hooked(site)
    yield made
    made.engine.dispose()


def make_due(hooked: Hooked) -> None:
    """Let the mailbox be read again now."""
    past = now() - timedelta(seconds=1)
    hooked.host.db.session.execute(update(BounceMailbox).values(next_read_at=past))
    hooked.host.db.session.commit()


@pytest.mark.parametrize(("security", "mechanism"), [("ssl", "XOAUTH2"), ("tls", "OAUTHBEARER")])
def test_bounces_are_read_by_the_token(
    hooked: Hooked, signed_in: Form, postfix: PostfixWithDovecot, tokens: TokenServer,
    security: str, mechanism: str,
) -> None:  # fmt: skip
    """By a token that counts; and by a new one, asked for once, where it no longer does.

    It is told by the mechanism that the sender is set to, though the server offers both.
    """
    tried = do(hooked, "test", signed_in(security))["test"]
    assert tried["error"] is None, tried
    do(hooked, "save", signed_in(security))
    kept, asked, seen = tokens.issued[-1], len(tokens.asked), postfix.seen(MAILBOX)
    first, second = hooked.sent(MIA)[0], hooked.sent(NOAH)[0]
    postfix.put_mail(MAILBOX, bounce(hooked, first))
    assert read(hooked) >= 1, row(hooked).failed_words
    assert len(tokens.asked) == asked
    tokens.issued.remove(kept)  # the token server knows it no more
    postfix.put_mail(MAILBOX, bounce(hooked, second, NOAH))
    make_due(hooked)
    assert read(hooked) == 1, row(hooked).failed_words
    assert [one.form["grant_type"] for one in tokens.asked[asked:]] == ["refresh_token"]
    hooked.apply()
    assert [hooked.state(first), hooked.state(second)] == ["bounced", "bounced"]
    assert postfix.seen(MAILBOX) == seen + 2
    assert row(hooked).failures == 0
    logged = [line for line in postfix.imap_log.splitlines() if "Login: user=" in line]
    assert f"method={mechanism}" in logged[-1]


@pytest.mark.parametrize(
    ("why", "mechanism"), [("revoked", "XOAUTH2"), ("another mailbox", "OAUTHBEARER")]
)
def test_a_mailbox_that_takes_no_token(
    hooked: Hooked, signed_in: Form, tokens: TokenServer, why: str
) -> None:
    """One new token and no third; the second hour, the alert says why and what to do."""
    do(hooked, "save", signed_in("ssl"))
    tokens.revoked = why == "revoked"
    tokens.mailbox = MAILBOX if tokens.revoked else "tom@acme.example"
    for number in (1, 2):
        asked = len(tokens.asked)
        read(hooked)
        seen = row(hooked)
        assert (seen.failures, seen.failed_step, seen.failed_code) == (
            number,
            "auth",
            "auth_failed",
        )
        assert len(tokens.asked) == asked + 1
        past = now() - timedelta(seconds=1)
        hooked.host.db.session.execute(update(BounceMailbox).values(next_read_at=past))
        hooked.host.db.session.commit()
    for _ in range(2):
        look(hooked.host)
    (alert,) = told(hooked)
    assert "The server refused the token of the sender's sign-in." in alert.detail
    assert "that IMAP is turned on for it" in alert.detail
    assert not any(token in alert.detail for token in tokens.issued)
    error = do(hooked, "test", signed_in("ssl"))["test"]["error"]
    assert (error["code"], error["step"]) == ("auth_failed", "auth")
