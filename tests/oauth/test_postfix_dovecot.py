"""Tokens at a real Postfix whose Dovecot asks the token server whose they are (RFC 7662)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.senders.resolve import load_sender
from tests.app import ADMIN, HostApp
from tests.credentials.logins import MAILBOX
from tests.delivery.workbench import deliveries, queue
from tests.oauth.keeping import sign_in
from tests.oauth.test_senders import step
from tests.servers.certificates import CertificateFactory
from tests.servers.postfix import PostfixWithDovecot
from tests.servers.skipping import skipped_if_unavailable
from tests.servers.token_server import TokenServer

PAGE = "/smtp-admin/partners/acme"


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
            introspection=f"{tokens.url}/introspect",
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
    made = new_app(
        ALLOWED_PORTS=[tokens.port, postfix.ports["usual"]], CA_FILE=str(authorities.ca_file)
    )
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
