"""Nothing is changed for a request that did not come from our own page."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from flask_wtf import CSRFProtect
from werkzeug.test import TestResponse

from smtp_admin.delivery.mail_actions import MAIL_ACTIONS
from smtp_admin.dns import NAMES
from smtp_admin.smtp.nameserver import NameService
from tests.app import ADMIN, HostApp
from tests.servers.dns import DNSServer
from tests.servers.scripted import ScriptedServer
from tests.test_access import HTML, JSON, PREFIX, Dump, dump, routes

#: Path of each page of a sender that takes a POST, and the statuses of its success in JSON and in
#: a page; nothing is saved yet.
OF_NOTHING = {
    "/test-connection": (200, 200),
    "/advice": (200, 200),
    "/test-email": (200, 200),
    "/test-connection/worker": (202, 200),
    # Past the check there is nothing yet to go back to, to pause or to delete.
    "/rollback": (404, 404),
    "/pause": (409, 409),
    "/resume": (409, 409),
    "/delete": (404, 404),
    "/discover": (200, 200),
    # There is none yet to change.
    "/webhook": (404, 404),
    "/bounces": (404, 404),
}
#: The same after saving; deleting comes last.
OF_SAVED = {
    "": (303, 303),
    # Only what is saved can be checked.
    "/deliverability": (200, 200),
}
OWNERS = (f"{PREFIX}/system", f"{PREFIX}/partners/<partner_id>")
#: Every POST of ours, and the statuses of its success in JSON and in a page. Saving comes last:
#: a test mail with settings that are saved already would go through the queue.
POSTS: dict[str, tuple[int, int]] = {
    **{owner + path: how for owner in OWNERS for path, how in OF_NOTHING.items()},
    # The system's default sender has a row from the start, where its mail waits.
    f"{PREFIX}/system/pause": (200, 303),
    f"{PREFIX}/system/resume": (200, 303),
    f"{PREFIX}/system/delete": (409, 409),
    **{owner + path: how for owner in OWNERS for path, how in OF_SAVED.items()},
    # Of another sender nothing is there, so that nothing but the check can answer otherwise.
    **{
        f"{owner}/senders/<key>{path}": (404, 404)
        for owner in OWNERS
        for path in (*OF_NOTHING, *OF_SAVED)
    },
    **{f"{owner}/senders": (200, 303) for owner in OWNERS},
    **{f"{owner}/routes": (200, 303) for owner in OWNERS},
    # Past the check there is no list, and no batch.
    **{f"{owner}/batches/new": (400, 400) for owner in OWNERS},
    **{f"{PREFIX}/batches/<public_id>/{name}": (404, 404) for name in ("cancel", "resume")},
    **{
        f"{PREFIX}/templates/{whose}{path}": answers
        for whose in ("system", "partners/<partner_id>")
        for path, answers in (
            ("", (303, 303)),
            # Past the check there is no subject; the frame says so.
            ("/<type_name>/<language>", (400, 400)),
            ("/<type_name>/<language>/preview", (200, 200)),
        )
    },
    f"{PREFIX}/renewals/system": (303, 303),
    f"{PREFIX}/renewals/partners/<partner_id>": (303, 303),
    f"{PREFIX}/renewals/system/run": (409, 409),
    f"{PREFIX}/renewals/partners/<partner_id>/run": (409, 409),
    f"{PREFIX}/renewals/remind-me": (409, 409),
    # Nothing but JSON is read; past the check there is no such mail, and no such token.
    **{
        f"/api/email/{name}": (415, 415)
        for name in ("queue", "batch", "test-connection", "suppressions")
    },
    **{f"/api/email/messages/<public_id>/{name}": (404, 404) for name in ("cancel", "retry")},
    **{f"{owner}/tokens": (400, 400) for owner in OWNERS},
    f"{PREFIX}/erase": (200, 200),
    **{f"{owner}/suppressions": (201, 303) for owner in OWNERS},
    **{
        f"{owner}/suppressions/{what}": (400, 400)
        for owner in OWNERS
        for what in ("import", "remove", "sync")
    },
    f"{PREFIX}/tokens/<public_id>/revoke": (404, 404),
    # How many that would be: none, which a page says as an error.
    f"{PREFIX}/mail/actions": (200, 409),
    # Past the check there is no such mail.
    f"{PREFIX}/mail/undo": (404, 404),
    **{f"{PREFIX}/mail/<public_id>/{name}": (404, 404) for name in (*MAIL_ACTIONS, "correct")},
    # Nothing is wrong here, so there is no alert.
    **{
        f"{PREFIX}/alerts/<alert_id>/{what}": (404, 404)
        for what in ("acknowledge", "mute", "unmute")
    },
}
#: Mail programs and providers post here by themselves, with nothing but the address.
WITHOUT_TOKEN = {
    "/unsubscribe/<token>",
    f"{PREFIX}/preferences/<token>",
    f"{PREFIX}/test-mail/<token>",
    "/hooks/email/<provider>/<key>",
}


class Site:
    """An app with the check switched on, a mail server, and a browser with the tab open."""

    def __init__(self, made: HostApp, server: ScriptedServer) -> None:
        made.app.config["WTF_CSRF_ENABLED"] = True
        made.actor = replace(ADMIN, customer_id="c1")
        self.made = made
        self.server = server
        self.client: FlaskClient = made.client
        self.token = token_of(self.client)

    def post(
        self, rule: str, headers: Mapping[str, str], token: str | None = None, **more: str
    ) -> TestResponse:
        """One complete form, with the token in the form if one is given."""
        data = {
            "host": "127.0.0.1",
            "port": str(self.server.port),
            "security": "none",
            "from_email": "noreply@acme.example",
            "address": "mia@acme.example",
            "revision": "0",
            "number": "1",
            "label": "Another",
            "action": "cancel",
            "all": "1",
        }
        if token is not None:
            data["csrf_token"] = token
        address = address_of(rule)
        return self.client.post(address, headers={**headers, **more}, data=data)

    def dump(self) -> Dump:
        """Our tables."""
        return dump(self.made)


def address_of(rule: str) -> str:
    """Where *rule* leads."""
    named = {"partner_id": "acme", "key": "news", "type_name": "welcome", "language": "de"}
    for name, value in named.items():
        rule = rule.replace(f"<{name}>", value)
    return rule


def token_of(client: FlaskClient) -> str:
    """The token on a page of ours."""
    page = client.get(f"{PREFIX}/partners/acme", headers=HTML).text
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found[1]


@pytest.fixture(params=["alone", "with the host's own check"])
def site(request: pytest.FixtureRequest, new_app: Callable[..., HostApp]) -> Iterator[Site]:
    """The plugin alone, and beside a global ``CSRFProtect``."""
    made = new_app()
    if request.param != "alone":
        CSRFProtect(made.app)
    with ScriptedServer() as server, DNSServer() as dns:
        NAMES.put(made.installation, NameService((dns.address,)))
        yield Site(made, server)


def test_every_post_is_here(site: Site) -> None:
    assert {rule for method, rule in routes(site.made) if method != "GET"} == {
        *POSTS,
        *WITHOUT_TOKEN,
    }


@pytest.mark.parametrize("token", [None, "x", "stranger's"])
def test_without_the_right_token(site: Site, token: str | None) -> None:
    if token == "stranger's":
        token = token_of(site.made.client)
    before = site.dump()
    for rule in POSTS:
        answer = site.post(rule, JSON, token)
        assert answer.status_code == 400, rule
        assert answer.json
        assert answer.json["ok"] is False
        assert answer.json["error"]["code"] == "csrf_failed"
        assert set(answer.json) == {"ok", "error", "connection", "steps"}
        answer = site.post(rule, HTML, token)
        assert answer.status_code == 400, rule
        assert answer.mimetype == "text/html"
        assert "Nothing was changed" in answer.text
        assert 'class="smtp-admin"' in answer.text
    assert site.dump() == before
    assert site.server.connections == 0


def test_json_without_a_token(site: Site) -> None:
    """A JSON body is no proof: another site can send one with a plain form."""
    for rule in POSTS:
        answer = site.client.post(
            address_of(rule),
            json={"host": "127.0.0.1"},
        )
        assert answer.status_code == 400, rule
        assert answer.json
        assert answer.json["error"]["code"] == "csrf_failed"


@pytest.mark.parametrize("headers", [JSON, HTML], ids=["json", "html"])
def test_with_the_token_in_the_form(site: Site, headers: Mapping[str, str]) -> None:
    for rule, statuses in POSTS.items():
        answer = site.post(rule, headers, site.token)
        assert answer.status_code == statuses[headers is HTML], (rule, answer.text)


@pytest.mark.parametrize("header", ["X-CSRFToken", "X-CSRF-Token"])
def test_with_the_token_in_a_header(site: Site, header: str) -> None:
    for rule, statuses in POSTS.items():
        answer = site.post(rule, JSON, **{header: site.token})
        assert answer.status_code == statuses[0], (rule, answer.text)


def test_json_with_the_token_in_a_header(site: Site) -> None:
    answer = site.client.post(
        f"{PREFIX}/partners/acme/test-connection",
        json={"host": "127.0.0.1", "port": site.server.port, "security": "none"},
        headers={"X-CSRFToken": site.token},
    )
    assert answer.status_code == 200, answer.text


def test_token_of_a_session_that_is_gone(site: Site) -> None:
    site.client.delete_cookie("session")
    answer = site.post(f"{PREFIX}/system", JSON, site.token)
    assert answer.status_code == 400


def test_host_check_comes_first(new_app: Callable[..., HostApp]) -> None:
    """It guards the whole app before any blueprint is asked; the answer is still in our form."""
    made = new_app()
    made.app.config["WTF_CSRF_ENABLED"] = True
    assert made.client.post(f"{PREFIX}/system", headers=JSON).status_code == 401
    made = new_app()
    made.app.config["WTF_CSRF_ENABLED"] = True
    CSRFProtect(made.app)
    guarded = made.client.post(f"{PREFIX}/system", headers=JSON)
    assert guarded.status_code == 400
    assert guarded.json
    assert guarded.json["error"]["code"] == "csrf_failed"
    assert guarded.json["steps"] == []


def test_exempt_by_the_host_is_still_checked(new_app: Callable[..., HostApp]) -> None:
    made = new_app()
    made.actor = ADMIN
    made.app.config["WTF_CSRF_ENABLED"] = True
    CSRFProtect(made.app).exempt(made.app.blueprints["smtp_admin"])
    answer = made.client.post(f"{PREFIX}/system", headers=JSON)
    assert answer.status_code == 400
    assert answer.json
    assert answer.json["error"]["code"] == "csrf_failed"


def test_reading_needs_no_token(site: Site) -> None:
    for path in ("/", "/partners", "/system", "/partners/acme"):
        assert site.made.client.get(PREFIX + path, headers=HTML).status_code == 200


def test_switched_off_by_the_host(site: Site) -> None:
    site.made.app.config["WTF_CSRF_ENABLED"] = False
    assert site.post(f"{PREFIX}/system", JSON).status_code == 303


@pytest.mark.parametrize(("token", "reason"), [(None, "token is missing"), ("x", "is invalid")])
def test_a_script_learns_what_is_wrong(site: Site, token: str | None, reason: str) -> None:
    answer = site.post(f"{PREFIX}/system/test-connection", JSON, token)
    hint = answer.get_json()["error"]["hint"]
    assert reason in hint
    assert "X-CSRFToken" in hint


def test_the_hosts_check_over_https_names_the_referer(new_app: Callable[..., HostApp]) -> None:
    made = new_app()
    CSRFProtect(made.app)
    with ScriptedServer() as server:
        site = Site(made, server)
        address = f"{PREFIX}/partners/acme/test-connection"
        given = {"host": "127.0.0.1", "port": server.port, "security": "none"}
        headers = {"X-CSRFToken": site.token}
        answer = site.client.post(
            address, json=given, headers=headers, base_url="https://localhost"
        )
        assert answer.status_code == 400
        assert "referrer" in answer.get_json()["error"]["hint"]
        headers["Referer"] = "https://localhost/"
        made.client.get(f"{PREFIX}/", base_url="https://localhost")
        answer = site.client.post(
            address, json=given, headers=headers, base_url="https://localhost"
        )
        assert answer.get_json()["ok"] is True
