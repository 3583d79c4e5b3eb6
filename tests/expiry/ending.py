"""What tests of expiry share: senders with things that end, and looking at them."""

from datetime import timedelta
from typing import Any

from smtp_admin.clock import now, shifted
from smtp_admin.expiry.things import Ending, Name
from smtp_admin.monitor.expiring import endings
from tests.app import HostApp
from tests.credentials.logins import MAILBOX, login
from tests.oauth.keeping import sign_in
from tests.servers.token_server import TokenServer

__all__ = ["DAY", "ends_of", "microsoft", "signed_in_sender", "the"]

DAY = timedelta(days=1)


def ends_of(
    host: HostApp, later: timedelta = timedelta(), scope: frozenset[str] | None = None
) -> list[Ending]:
    """Everything that ends, as it would be seen *later*."""
    host.db.session.rollback()
    with shifted(later):
        return endings(host.db.session(), scope)


def the(host: HostApp, kind: Name, later: timedelta = timedelta()) -> Ending:
    """The only thing of a kind."""
    (found,) = (one for one in ends_of(host, later) if one.kind == kind)
    return found


def microsoft(days: int | None, **more: Any) -> dict[str, Any]:
    """The settings of an application with a client secret that ends in so many days."""
    until = "" if days is None else f"{(now() + timedelta(days=days)).date()}"
    return {
        "host": "smtp.office365.com",
        "port": 587,
        "security": "tls",
        "username": MAILBOX,
        "sign_in": "microsoft_app",
        "oauth_tenant": "acme.example",
        "oauth_client_id": "4711",
        "oauth_secret_until": until,
        "secrets": {"oauth_secret": "s3cr3t"},
        **more,
    }


def signed_in_sender(
    host: HostApp,
    server: TokenServer,
    way: str = "microsoft_mailbox",
    partner_id: str = "acme",
    **more: str,
) -> Any:
    """A sender whose mailbox somebody has signed in to, at *server*, and its login."""
    extra = {"oauth_authorize_url": f"{server.url}/authorize"} if way == "other_mailbox" else {}
    sender = host.save_sender(
        partner_id,
        username=MAILBOX,
        sign_in=way,
        oauth_tenant="acme.example" if way.startswith("microsoft") else "",
        oauth_client_id=server.client_id,
        oauth_token_url=f"{server.url}/token",
        secrets={"oauth_secret": server.secret},
        **extra,
        **more,
    )
    credential: Any = sender.setup(host.installation.keyring).credential
    assert credential.way.key == login(server, way).way.key
    sign_in(server, sender, credential)
    return sender, credential
