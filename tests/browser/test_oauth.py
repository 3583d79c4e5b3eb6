"""Microsoft 365 set up by the button, at a real OAuth2 server on loopback; and what ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import hosting
import wsgi
from smtp_admin.clock import now, shifted
from smtp_admin.monitor.alerts.incidents import evaluate
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.sandbox import site as sandbox
from smtp_admin.sandbox.address import comparable
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import save_settings
from smtp_admin.senders.values import SenderValues
from tests.credentials.test_bearer import Checks, offering
from tests.sender_state.scenes import a_worker
from tests.servers.scripted import ScriptedServer
from tests.servers.token_server import TokenServer

from .inspection import Listener, inspect, new_context
from .site import OLGA, Site
from .states import at
from .test_pages import SAVE, TEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

KEY = "office365"
TAB = f"/smtp-admin/partners/acme/senders/{KEY}"
MAILBOX = "sam@acme.example"


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with TokenServer() as server:
        server.claims = {
            "aud": "https://outlook.office.com", "scp": "SMTP.Send", "upn": MAILBOX,
        }  # fmt: skip
        yield server


@pytest.fixture
def mail(tokens: TokenServer) -> Iterator[ScriptedServer]:
    with offering(Checks(lambda token: token in tokens.issued)) as server:
        yield server


@pytest.fixture
def at_home(site: Site) -> Iterator[None]:
    """The site knows its address, to which the vendor's page leads back."""
    here = site.app.extensions["smtp_admin"]
    address = comparable(site.url)
    with site.app.app_context(), hosting.db.session() as session:
        sandbox.add(session, address)
        session.commit()
        sandbox.forget()
    config = replace(here.config, public_url=site.url)
    site.app.extensions["smtp_admin"] = replace(here, config=config)
    yield
    site.app.extensions["smtp_admin"] = here
    with site.app.app_context(), hosting.db.session() as session:
        sandbox.remove(session, address)
        session.commit()
        sandbox.forget()


@pytest.fixture
def mia(
    chromium: Browser, site: Site, cookies: dict[str, Any], tokens: TokenServer, at_home: None
) -> Iterator[Page]:
    """The partner's admin, who may go to the vendor's page too."""
    context = new_context(chromium, storage_state=cookies["partner"])
    page = context.new_page()
    listener = Listener(page, site.url, tokens.url)
    yield page
    context.close()
    site.delete("acme", KEY)
    assert not listener.complaints


def look(site: Site, later: timedelta = timedelta()) -> None:
    """What a worker does each minute."""
    with site.app.app_context(), a_worker(site.app), shifted(later):
        evaluate(hosting.db.engine, for_workers=False)


def send(site: Site) -> None:
    """Queue a mail for this sender, and work."""
    with site.app.app_context():
        wsgi.smtp_admin.send(
            "password_reset",
            to="customer@customer.example",
            partner_id="acme",
            sender=KEY,
            context={"name": "Sam", "reset_url": "https://x.example", "expires_minutes": 5},
        )
        hosting.db.session.commit()
    site.work()


def sign_in(page: Page, words: str) -> None:
    """Press the button; the vendor's page agrees, and leads back."""
    page.click(f"#oauth-guidance a >> text=/^{words}$/")
    page.wait_for_selector("[role=status] >> text=Signed in.")
    assert page.url.endswith(TAB)


def test_from_the_button_to_mail_and_back(
    mia: Page, site: Site, tokens: TokenServer, mail: ScriptedServer
) -> None:
    """Set up, tested, sent; revoked, told of, signed in again, sent."""
    at(mia, site, f"{TAB}?new=1")
    mia.click("#oauth summary")
    addresses = {
        "oauth_token_url": f"{tokens.url}/token",
        "oauth_authorize_url": f"{tokens.url}/authorize",
    }
    mia.select_option("#sign_in", "other_mailbox")  # of Microsoft they are known
    for name, text in addresses.items():
        mia.fill(f"#{name}", text)
    mia.select_option("#sign_in", "microsoft_mailbox")
    assert mia.is_visible("#oauth_token_url"), "another one than Microsoft's is not hidden"
    for name, text in {
        "host": "127.0.0.1",
        "port": str(mail.port),
        "username": MAILBOX,
        "from_email": MAILBOX,
        "oauth_tenant": "acme.example",
        "oauth_client_id": tokens.client_id,
        "oauth_secret": tokens.secret,
        "oauth_secret_until": f"{(now() + timedelta(days=400)).date()}",
    }.items():
        mia.fill(f"#{name}", text)
    mia.select_option("#security", "none")
    mia.click(SAVE)
    mia.wait_for_selector("[role=status] >> text=Now sign in.")
    assert inspect(mia, "oauth-before") == []
    mia.click("#oauth summary") if not mia.is_visible("#oauth-guidance") else None
    sign_in(mia, "Sign in")
    mia.click("#oauth summary") if not mia.is_visible("#oauth-guidance") else None
    mia.wait_for_selector(f"text=Signed in as {MAILBOX}")
    assert inspect(mia, "oauth-signed-in") == []
    mia.click(TEST)
    mia.wait_for_selector("#connection-test >> text=It works.")
    assert "scopes SMTP.Send" in mia.inner_text("#connection-test")
    send(site)
    assert len(mail.wait_for_messages(1)) == 1

    # Somebody revokes it at the vendor.
    tokens.live.clear()
    with site.app.app_context(), hosting.db.session() as session:
        session.query(OAuthGrant).update({"access_token": ""})
        session.commit()
    send(site)
    look(site)
    at(mia, site, "/smtp-admin/alerts")
    mia.wait_for_selector("h2 >> text=Sender problem")
    assert inspect(mia, "oauth-alert") == []
    mia.click("h2 a >> text=office365")
    mia.wait_for_selector("#oauth-guidance >> text=Sign in again")
    assert "has ended" in mia.content() or "revoked" in mia.content()
    assert inspect(mia, "oauth-revoked") == []
    sign_in(mia, "Sign in again")
    site.work()
    assert len(mail.wait_for_messages(2)) == 2
    look(site)
    look(site, timedelta(minutes=6))
    at(mia, site, "/smtp-admin/alerts")
    mia.wait_for_selector("#ended-title")
    assert not mia.is_visible("h2 >> text=office365")


def test_what_ends(page: Page, site: Site) -> None:
    """The list, from a secret that ends in days to a password without an end."""
    with site.app.app_context():
        for key, days in (("soon", 9), ("later", 300)):
            session = hosting.db.session()
            values = SenderValues(
                host="smtp.office365.com", username=MAILBOX, from_email=MAILBOX,
                sign_in="microsoft_app", oauth_tenant="acme.example", oauth_client_id="4711",
                oauth_secret_until=f"{(now() + timedelta(days=days)).date()}",
            )  # fmt: skip
            save_settings(
                session, "acme", values, secrets={"oauth_secret": "x"}, actor=OLGA, key=key,
                expected_revision=load_sender(session, "acme", key).revision,
            )  # fmt: skip
            session.commit()
    site.save("initech")
    try:
        at(page, site, "/smtp-admin/expiry")
        first = page.inner_text("tbody tr >> nth=0")
        assert "Client secret" in first
        assert "Ends soon" in first
        assert inspect(page, "expiry") == []
        page.select_option("#filter-kind", "password")
        page.click("text=Apply")
        page.wait_for_selector("tbody >> text=No known end")
        page.goto(f"{site.url}/smtp-admin/expiry?state=soon")
        page.click("tbody tr >> nth=0 >> text=Open its page")
        page.wait_for_url("**/partners/acme/senders/soon#oauth")
        assert page.is_visible("#oauth_secret_until")
        assert inspect(page, "oauth-date") == []
    finally:
        site.delete("acme", "soon")
        site.delete("acme", "later")
