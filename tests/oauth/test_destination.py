"""A token that a person granted goes to the mail server that it was granted for, and no other."""

from collections.abc import Callable
from typing import Any

from smtp_admin.credentials.oauth import OAuthLogin, login_of
from smtp_admin.senders.fields import fields_of
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.values import SenderValues
from tests.app import ADMIN, HostApp
from tests.credentials.test_bearer import Checks, offering
from tests.delivery.workbench import Workbench, queue
from tests.oauth.keeping import sign_in
from tests.oauth.test_senders import settings, tokens
from tests.servers.token_server import TokenServer

__all__ = ["tokens"]


def test_it_does_not_go_to_another_mail_server(
    new_app: Callable[..., HostApp], tokens: TokenServer
) -> None:
    """Whoever may change the settings gets no hold of somebody's mailbox by it."""
    tokens.claims = None
    mine, theirs = Checks(), Checks()
    with offering(mine) as server, offering(theirs) as other:
        site = new_app(ALLOWED_PORTS=[tokens.port, server.port, other.port])
        site.actor = ADMIN
        with site.app.app_context():
            given: dict[str, Any] = settings(
                tokens, server, "other_mailbox", oauth_authorize_url=f"{tokens.url}/authorize"
            )
            saved = site.save_sender(**given, secrets={"oauth_secret": tokens.secret})
            credential = saved.setup(site.installation.keyring).credential
            assert isinstance(credential, OAuthLogin)
            sign_in(tokens, saved, credential)
            bench = Workbench(site)
            queue(site)
            bench.work()
            bench.close_connections()
            assert len(mine.said) == 1
            # They know a client of their own, so that no stored secret is needed for this.
            site.save_sender(
                **given | {"port": other.port}, secrets={"oauth_secret": tokens.secret}
            )
            queue(site)
            bench.work()
            bench.close_connections()
            assert theirs.said == []
            sender = load_sender(site.db.session(), "acme")
            assert (sender.pause_code, sender.pause_cause) == (
                "token_refused", "oauth_not_signed_in",
            )  # fmt: skip


def test_every_field_that_leads_elsewhere_counts() -> None:
    """The table of fields says which those are; a secret is stored for the same ones."""
    given = {"sign_in": "other_mailbox", "username": "mia@acme.example", "oauth_client_id": "1",
             "oauth_token_url": "https://login.example/t"}  # fmt: skip
    values = SenderValues(**given)
    purpose = login_of(values, {}).purpose
    others = {"host": "evil.example", "port": 465, "security": "ssl", "verify_tls": False}
    leads = {one.name for one in fields_of("smtp") if one.destination}
    # Where a person is sent, and parts of the address of the token server.
    assert leads - {"oauth_authorize_url", "oauth_authority", "oauth_tenant", "driver"} == {
        *others, *given, "ca_certificate"
    }  # fmt: skip
    for name, value in others.items():
        assert login_of(values.replace(**{name: value}), {}).purpose != purpose, name
