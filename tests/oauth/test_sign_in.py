"""Signing a mailbox in by the button of its tab, at a real OAuth2 server on loopback."""

from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.sandbox import site as sandbox
from smtp_admin.senders.resolve import load_sender
from tests.app import ACME_ADMIN, GLOBEX_ADMIN, HostApp
from tests.credentials.logins import MAILBOX
from tests.delivery.workbench import Workbench, deliveries, queue
from tests.oauth.test_senders import PAGE, server, settings, site, tokens
from tests.servers.scripted import ScriptedServer
from tests.servers.token_server import TokenServer

__all__ = ["server", "site", "tokens"]
HTML = {"Accept": "text/html"}
CALLBACK = "/smtp-admin/oauth/callback"


@pytest.fixture
def person(site: HostApp, tokens: TokenServer, server: ScriptedServer) -> HostApp:
    """A sender that somebody has to sign in for, and their partner's admin."""
    tokens.claims = {
        "aud": "https://outlook.office.com", "scp": "SMTP.Send", "upn": "sam@acme.example",
    }  # fmt: skip
    site.save_sender(
        **settings(tokens, server, "microsoft_mailbox",
                   oauth_authorize_url=f"{tokens.url}/authorize"),
        secrets={"oauth_secret": tokens.secret},
    )  # fmt: skip
    site.actor = ACME_ADMIN
    return site


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Where it leads is what the test asks."""


def start(
    host: HostApp, query: str = "?partner=acme&sender=", browser: FlaskClient | None = None
) -> TestResponse:
    page = f"/smtp-admin/oauth/microsoft/start{query}"
    return (browser or host.client).get(page, headers=HTML)


def agree(address: str) -> str:
    """Sign in at the vendor's page; where the browser is sent then, without the host."""
    try:
        build_opener(_Stay).open(address)
    except OSError as error:
        found = urlsplit(error.headers["Location"])  # type: ignore[attr-defined]
        return f"{found.path}?{found.query}"
    raise AssertionError


def test_from_the_button_to_mail(
    person: HostApp, tokens: TokenServer, server: ScriptedServer
) -> None:
    """Paused for lack of a sign-in, signed in, sent, revoked, signed in again, sent."""
    bench, browser = Workbench(person), person.app.test_client()
    queue(person)
    bench.work()
    assert load_sender(person.db.session(), "acme").pause_code == "token_refused"
    page = browser.get(PAGE, headers=HTML).text
    assert "Nobody has signed in yet" in page
    assert "http://localhost/smtp-admin/oauth/callback" in page
    asked = start(person, browser=browser)
    assert asked.status_code == 303
    query = parse_qs(urlsplit(asked.location).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["scope"] == ["https://outlook.office.com/SMTP.Send offline_access"]
    assert query["login_hint"] == [MAILBOX]
    back = browser.get(agree(asked.location), headers=HTML)
    assert (back.status_code, back.location) == (303, PAGE)
    page = browser.get(PAGE, headers=HTML).text
    assert "Signed in as sam@acme.example" in page
    assert tokens.issued[0] not in page
    bench.work()
    assert len(server.wait_for_messages(1)) == 1
    tokens.live.clear()
    with person.db.session() as session:
        session.query(OAuthGrant).update({"access_token": ""})
        session.commit()
    bench.close_connections()
    queue(person)
    bench.work()
    sender = load_sender(person.db.session(), "acme")
    assert (sender.pause_code, sender.pause_cause) == ("token_refused", "oauth_grant_ended")
    assert "Sign in again" in browser.get(PAGE, headers=HTML).text
    browser.get(agree(start(person, browser=browser).location), headers=HTML)
    bench.work()
    assert len(server.wait_for_messages(2)) == 2
    bench.close_connections()
    assert {one.state for one in deliveries(person)} == {"sent"}
    audit = browser.get("/smtp-admin/audit", headers={"Accept": "application/json"}).text
    assert audit.count("oauth.signed_in") == 2


def test_only_this_browser_comes_back(person: HostApp, tokens: TokenServer) -> None:
    browser = person.app.test_client()
    address = agree(start(person, browser=browser).location)
    state = parse_qs(urlsplit(address).query)["state"][0]
    stranger = person.app.test_client()
    assert stranger.get(address, headers=HTML).status_code == 409
    assert browser.get(f"{CALLBACK}?code=x&state=other", headers=HTML).status_code == 409
    # What was begun is used up by any answer.
    assert browser.get(address, headers=HTML).status_code == 409
    assert state
    address = agree(start(person, browser=browser).location)
    person.actor = GLOBEX_ADMIN
    assert browser.get(address, headers=HTML).status_code == 409
    assert [one.form["grant_type"] for one in tokens.asked] == []


def test_whose_sender_it_is(person: HostApp) -> None:
    assert start(person, "?partner=globex").status_code == 404
    assert start(person, "?partner=acme&sender=other").status_code == 404
    assert start(person, "").status_code == 403
    assert person.client.get(
        "/smtp-admin/oauth/google/start?partner=acme", headers=HTML
    ).status_code == 404  # fmt: skip
    person.actor = None
    assert start(person).status_code == 401


def test_no_page_of_others_sends_anybody_there(person: HostApp) -> None:
    """Where it leads is a setting, and may be anywhere: the address here must not lend its name."""
    page = "/smtp-admin/oauth/microsoft/start?partner=acme&sender="
    asked = person.client.get(page, headers=HTML | {"Sec-Fetch-Site": "cross-site"})
    assert (asked.status_code, asked.location) == (303, PAGE)
    asked = person.client.get(page, headers=HTML | {"Sec-Fetch-Site": "same-origin"})
    assert "/authorize?" in asked.location


def test_what_the_vendor_says_is_shown(person: HostApp, tokens: TokenServer) -> None:
    browser = person.app.test_client()
    state = parse_qs(urlsplit(start(person, browser=browser).location).query)["state"][0]
    answer = browser.get(
        f"{CALLBACK}?state={state}&error=access_denied&error_description=<b>not+today</b>",
        headers=HTML,
    )
    assert answer.status_code == 400
    assert "access_denied: &lt;b&gt;not today" in answer.text
    address = agree(start(person, browser=browser).location)
    tokens.codes.clear()
    answer = browser.get(address, headers=HTML)
    assert answer.status_code == 400
    assert "invalid_grant" in answer.text


def test_not_beside_a_copy(person: HostApp) -> None:
    sandbox.add(person.db.session(), "https://somewhere.else")
    person.db.session.commit()
    sandbox.forget()
    assert start(person).status_code == 503


def test_a_key_pair_is_made_by_a_button(
    site: HostApp, tokens: TokenServer, server: ScriptedServer
) -> None:
    form = {name: str(value) for name, value in settings(tokens, server, "microsoft_app").items()}
    answer = site.client.post(
        PAGE,
        data=form | {"driver": "smtp", "revision": "0", "make_key": "1", "verify_tls": "true"},
        headers=HTML,
    )
    assert answer.status_code == 303, answer.text
    sender = load_sender(site.db.session(), "acme")
    tokens.certificate = sender.values["oauth_certificate"]
    page = site.client.get(PAGE, headers=HTML).text
    assert tokens.certificate.splitlines()[1] in page
    assert "PRIVATE KEY" not in page
    assert f"New-ServicePrincipal -AppId {tokens.client_id}" in page
    given = settings(tokens, server, "microsoft_app", oauth_certificate=tokens.certificate)
    tested = site.client.post(f"{PAGE}/test-connection", json=given).get_json()
    assert tested["ok"], tested
