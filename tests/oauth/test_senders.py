"""Senders that sign in by OAuth2: saved, tested, and sent with by the worker's own code."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from smtp_admin.clock import shifted
from smtp_admin.credentials.oauth import OAuthLogin
from smtp_admin.errors import InvalidInput
from smtp_admin.senders.resolve import load_sender
from tests.app import ADMIN, HostApp
from tests.credentials.logins import MAILBOX, key_pair, public_key, without_lines
from tests.credentials.test_bearer import Checks, offering
from tests.delivery.workbench import Workbench, deliveries, queue
from tests.oauth.keeping import sign_in
from tests.servers.scripted import ScriptedServer
from tests.servers.token_server import TokenServer

PAGE = "/smtp-admin/partners/acme"
APP_CLAIMS = {"aud": "https://outlook.office365.com", "roles": ["SMTP.SendAsApp"]}


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with TokenServer() as server:
        server.claims = dict(APP_CLAIMS)
        yield server


@pytest.fixture
def server(tokens: TokenServer) -> Iterator[ScriptedServer]:
    with offering(Checks(lambda token: token in tokens.issued)) as made:
        yield made


@pytest.fixture
def site(
    new_app: Callable[..., HostApp], tokens: TokenServer, server: ScriptedServer
) -> Iterator[HostApp]:
    made = new_app(ALLOWED_PORTS=[tokens.port, server.port, 25, 587])
    made.actor = ADMIN
    with made.app.app_context():
        yield made


def settings(tokens: TokenServer, server: ScriptedServer, way: str, **more: Any) -> dict[str, Any]:
    """The fields of a sender, as JSON and forms have them."""
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "username": MAILBOX,
        "from_email": MAILBOX,
        "sign_in": way,
        "oauth_tenant": "acme.example" if way.startswith("microsoft") else "",
        "oauth_client_id": tokens.client_id,
        "oauth_token_url": f"{tokens.url}/token",
        **more,
    }


def test(site: HostApp, **fields: Any) -> tuple[int, dict[str, Any]]:
    answer = site.client.post(f"{PAGE}/test-connection", json=fields)
    return answer.status_code, answer.get_json()


test.__test__ = False  # type: ignore[attr-defined]


def step(answer: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in answer["steps"] if one["name"] == name)
    return found


def test_the_test_has_a_step_for_the_token(
    site: HostApp, tokens: TokenServer, server: ScriptedServer
) -> None:
    given = settings(tokens, server, "microsoft_app", oauth_secret=tokens.secret)
    status, answer = test(site, **given)
    assert status == 200, answer
    names = [one["name"] for one in answer["steps"]]
    assert names.index("token") == names.index("validate") + 1
    detail = step(answer, "token")["detail"]
    assert "for https://outlook.office365.com, roles SMTP.SendAsApp" in detail
    assert re.match(r"until \d+ \w+ 20\d\d \d\d:\d\d UTC, for ", detail)
    assert tokens.secret not in str(answer)
    assert tokens.issued[0] not in str(answer)


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"aud": "https://graph.microsoft.com"}, "The token is for Microsoft Graph"),
        ({"aud": "https://outlook.office365.com"}, "does not carry the permission"),
    ],
)
def test_a_token_that_is_for_something_else(
    site: HostApp, tokens: TokenServer, server: ScriptedServer, claims: dict[str, Any], words: str
) -> None:
    tokens.claims = claims
    given = settings(tokens, server, "microsoft_app", oauth_secret=tokens.secret)
    status, answer = test(site, **given)
    error = answer["error"]
    assert (status, error["code"], error["step"]) == (400, "token_refused", "token")
    assert words in error["hint"]
    assert step(answer, "connect")["status"] == "skipped"
    assert server.connections == 0


@pytest.mark.parametrize(
    ("final", "words"),
    [
        ("535 5.7.3 Authentication unsuccessful [SN2PR00CA0018.prod.outlook.com]",
         "object ID of the enterprise application"),
        ("535 5.7.139 SmtpClientAuthentication is disabled for the Mailbox.",
         "switched off for this mailbox"),
        ("535 5.7.8 Error: authentication failed", "does not accept the token"),
    ],
)  # fmt: skip
def test_what_the_mail_server_says_of_a_good_token(
    site: HostApp, tokens: TokenServer, final: str, words: str
) -> None:
    checks = Checks(lambda _: False)
    checks.refusal, checks.final = None, f"{final}\r\n".encode()
    with offering(checks) as server:
        given = settings(tokens, server, "microsoft_app", oauth_secret=tokens.secret)
        site.installation.config = replace(
            site.installation.config,
            allowed_ports=site.installation.config.allowed_ports | {server.port},
        )
        status, answer = test(site, **given)
    assert (status, answer["error"]["code"], answer["error"]["step"]) == (
        400,
        "auth_failed",
        "auth",
    )
    assert words in answer["error"]["hint"]
    assert step(answer, "token")["status"] == "ok"


def test_mail_goes_out_and_tokens_are_kept(
    site: HostApp, tokens: TokenServer, server: ScriptedServer
) -> None:
    site.save_sender(
        **settings(tokens, server, "microsoft_app"), secrets={"oauth_secret": tokens.secret}
    )
    bench = Workbench(site)
    for _ in range(2):
        queue(site)
        bench.work()
        bench.close_connections()
    assert len(server.wait_for_messages(2)) == 2
    assert len(tokens.asked) == 1
    with shifted(timedelta(hours=2)):
        queue(site)
        bench.work()
    assert len(server.wait_for_messages(3)) == 3
    bench.close_connections()
    assert len(tokens.asked) == 2
    assert {one.state for one in deliveries(site)} == {"sent"}


def test_signed_in_revoked_and_signed_in_again(
    site: HostApp, tokens: TokenServer, server: ScriptedServer
) -> None:
    """The sender pauses until somebody signs in; no mail is lost, no attempt is counted."""
    tokens.claims = None
    saved = site.save_sender(**settings(tokens, server, "other_mailbox",
                                        oauth_authorize_url=f"{tokens.url}/authorize"),
                             secrets={"oauth_secret": tokens.secret})  # fmt: skip
    credential = saved.setup(site.installation.keyring).credential
    assert isinstance(credential, OAuthLogin)
    bench = Workbench(site)
    queue(site)
    bench.work()
    sender = load_sender(site.db.session(), "acme")
    assert (sender.pause_code, sender.pause_cause) == ("token_refused", "oauth_not_signed_in")
    (waiting,) = deliveries(site)
    assert (waiting.state, waiting.attempts) == ("queued", 0)
    sign_in(tokens, saved, credential)
    given = settings(tokens, server, "other_mailbox", oauth_authorize_url=f"{tokens.url}/authorize")
    status, answer = test(site, **given)
    assert status == 200, answer


def test_changing_where_the_secret_goes_asks_for_it_again(
    site: HostApp, tokens: TokenServer, server: ScriptedServer
) -> None:
    site.save_sender(
        **settings(tokens, server, "microsoft_app"), secrets={"oauth_secret": tokens.secret}
    )
    for change in ({"oauth_tenant": "evil.example"}, {"oauth_token_url": "https://evil.example/"},
                   {"host": "evil.example"}, {"oauth_client_id": "4712"},
                   {"sign_in": "other_app"}):  # fmt: skip
        given = settings(tokens, server, "microsoft_app") | change
        status, answer = test(site, **given)
        assert (status, answer["error"]["code"]) == (400, "password_required"), change
        with pytest.raises(InvalidInput, match="client secret again"):
            site.save_sender(**given)
        site.db.session.rollback()
    assert tokens.asked == []


@pytest.mark.parametrize(
    ("way", "changes", "field"),
    [
        ("microsoft_app", {"username": ""}, "username"),
        ("microsoft_app", {"oauth_tenant": ""}, "oauth_tenant"),
        ("microsoft_app", {"oauth_tenant": "common"}, "oauth_tenant"),
        ("other_mailbox", {"oauth_token_url": ""}, "oauth_token_url"),
        ("other_mailbox", {"oauth_token_url": "http://login.example/"}, "oauth_token_url"),
        ("microsoft_app", {"oauth_secret": ""}, "oauth_secret"),
        ("google_service", {}, "oauth_key"),
        ("microsoft_app", {"oauth_key": key_pair()[1]}, "oauth_certificate"),
        ("nobody", {}, "sign_in"),
    ],
)
def test_what_is_missing_stands_beside_its_field(
    site: HostApp, tokens: TokenServer, server: ScriptedServer, way: str,
    changes: dict[str, str], field: str,
) -> None:  # fmt: skip
    given = settings(tokens, server, way, oauth_secret=tokens.secret) | changes
    status, answer = test(site, **given)
    assert status == 400
    assert field in answer["error"]["fields"], answer["error"]
    assert tokens.asked == []


def test_a_key_of_google_comes_in_its_json(
    site: HostApp, tokens: TokenServer, server: ScriptedServer
) -> None:
    tokens.public_key, tokens.service_mailboxes, tokens.claims = public_key(), {MAILBOX}, None
    file = json.dumps({"type": "service_account", "private_key": key_pair()[1]})
    given = settings(tokens, server, "google_service", oauth_key=file)
    status, answer = test(site, **given)
    assert status == 200, answer
    assert without_lines(key_pair()[1]) not in str(answer)


def test_a_password_stays_what_it_was(site: HostApp, server: ScriptedServer) -> None:
    """The new fields are empty for it, so what it was sealed for is the same."""
    saved = site.save_sender(port=25, username="mia", password="geheim")
    assert not any(
        str(name).startswith(("oauth", "sign")) for name, _ in saved.values.destination.binding()
    )
