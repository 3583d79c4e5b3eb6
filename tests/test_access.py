"""Who may do what: a row for every route and method, for everybody who may come."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint

from smtp_admin import Actor
from smtp_admin.access import _TABLE, Action, Role, allowed, guarded, require
from smtp_admin.dns import NAMES
from smtp_admin.errors import Forbidden, NotFound, Unauthenticated
from smtp_admin.protection import protect
from smtp_admin.smtp.nameserver import NameService
from smtp_admin.ways_back import LEADS
from tests.app import ACME_ADMIN, ADMIN, CUSTOMER, GLOBEX_ADMIN, HostApp, make_app
from tests.dumps import Dump, dump
from tests.scene import HTML, JSON, KEY, PREFIX, Scene
from tests.servers.databases import sqlite_url
from tests.servers.dns import DNSServer
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer

__all__ = ["HTML", "JSON", "PREFIX", "Dump", "dump", "routes"]

BOTH = Actor(id="5", email="bo@both.example", partner_ids=frozenset({"acme", "globex"}))
#: In the order of the columns below; the partner of the address is Acme.
ACTORS: Mapping[str, Actor | None] = {
    "anonymous": None,
    "customer": CUSTOMER,
    "other partner's admin": GLOBEX_ADMIN,
    "partner admin": ACME_ADMIN,
    "platform admin": ADMIN,
    "admin of two partners": BOTH,
}

Statuses = tuple[int, int, int, int, int, int]
PARTNER = f"{PREFIX}/partners/<partner_id>"
RENEWALS = f"{PREFIX}/renewals/partners/<partner_id>"

ADMINS: Statuses = (401, 403, 200, 200, 200, 200)
PLATFORM: Statuses = (401, 403, 403, 403, 200, 403)
ACMES: Statuses = (401, 403, 404, 200, 200, 200)
ANYBODY: Statuses = (200, 200, 200, 200, 200, 200)
CUSTOMERS: Statuses = (401, 200, 403, 403, 403, 403)


def with_(status: int, who: Statuses) -> Statuses:
    """The same people, but another success."""
    first, second, third, fourth, fifth, sixth = (status if one == 200 else one for one in who)
    return first, second, third, fourth, fifth, sixth


#: Method and path of each page of a sender → the status of its success in JSON. There are four
#: addresses for each: of the default sender and of another, of the system and of a partner.
SENDER_PAGES: dict[tuple[str, str], int] = {
    ("GET", ""): 200,
    ("POST", ""): 303,
    ("POST", "/test-connection"): 200,
    # No worker runs here: its part of the answer is still to come.
    ("POST", "/test-connection/worker"): 202,
    ("GET", "/test-connection/<public_id>"): 202,
    ("POST", "/advice"): 200,
    ("POST", "/test-email"): 202,
    ("GET", "/test-email/<public_id>"): 200,
    ("POST", "/discover"): 200,
    ("GET", "/deliverability"): 200,
    ("POST", "/deliverability"): 200,
    ("GET", "/explain"): 200,
    ("GET", "/webhook"): 200,
    ("POST", "/webhook"): 200,
    ("GET", "/bounces"): 200,
    ("POST", "/bounces"): 200,
    ("GET", "/symptoms"): 200,
    ("GET", "/history"): 200,
    ("GET", "/rollback"): 200,
    ("POST", "/rollback"): 200,
    ("GET", "/delete"): 200,
    ("POST", "/delete"): 200,
    ("POST", "/pause"): 200,
    ("POST", "/resume"): 200,
}
#: The same for what is about all senders of one owner.
OWNER_PAGES: dict[tuple[str, str], int] = {
    ("GET", "/senders"): 200,
    ("POST", "/senders"): 200,
    ("GET", "/routes"): 200,
    ("POST", "/routes"): 200,
    ("GET", "/mail"): 200,
    ("GET", "/batches"): 200,
    ("GET", "/batches/new"): 200,
    ("POST", "/batches/new"): 202,
    ("GET", "/audit"): 200,
    ("GET", "/tokens"): 200,
    ("POST", "/tokens"): 201,
    ("GET", "/suppressions"): 200,
    ("POST", "/suppressions"): 201,
    ("POST", "/suppressions/import"): 200,
    ("POST", "/suppressions/remove"): 200,
    # Past the guard: no sender here has a list at its provider.
    ("POST", "/suppressions/sync"): 400,
}
OWNERS = ((f"{PREFIX}/system", PLATFORM), (PARTNER, ACMES))

TABLE: dict[tuple[str, str], Statuses] = {
    ("GET", f"{PREFIX}/"): ADMINS,
    ("GET", f"{PREFIX}/partners"): PLATFORM,
    ("GET", f"{PREFIX}/symptoms"): ADMINS,
    **{
        (method, f"{start}{which}{path}"): with_(status, who)
        for start, who in OWNERS
        for which in ("", "/senders/<key>")
        for (method, path), status in SENDER_PAGES.items()
    },
    ("GET", f"{PREFIX}/mail"): ADMINS,
    ("GET", f"{PREFIX}/audit"): ADMINS,
    ("GET", f"{PREFIX}/suppressions"): ADMINS,
    ("GET", f"{PREFIX}/erase"): ADMINS,
    ("POST", f"{PREFIX}/erase"): ADMINS,
    ("GET", f"{PREFIX}/expiry"): ADMINS,
    ("GET", f"{PREFIX}/batches"): ADMINS,
    ("GET", f"{PREFIX}/batches/<public_id>"): ACMES,
    ("POST", f"{PREFIX}/batches/<public_id>/cancel"): ACMES,
    ("POST", f"{PREFIX}/batches/<public_id>/resume"): ACMES,
    ("POST", f"{PREFIX}/mail/actions"): ADMINS,
    ("POST", f"{PREFIX}/mail/undo"): ADMINS,
    ("GET", f"{PREFIX}/mail/<public_id>"): ACMES,
    ("GET", f"{PREFIX}/mail/<public_id>/preview"): ACMES,
    ("GET", f"{PREFIX}/mail/<public_id>/raw"): ACMES,
    **{
        ("POST", f"{PREFIX}/mail/<public_id>/{action}"): ACMES
        for action in ("retry", "hurry", "cancel", "discard", "arrived", "lost", "release")
    },
    ("POST", f"{PREFIX}/mail/<public_id>/correct"): with_(202, ACMES),
    # Mail without another sender ends there.
    ("POST", f"{PREFIX}/system/delete"): with_(409, PLATFORM),
    **{
        (method, f"{start}{path}"): with_(status, who)
        for start, who in OWNERS
        for (method, path), status in OWNER_PAGES.items()
    },
    ("GET", f"{PREFIX}/static/<path:filename>"): (200, 200, 200, 200, 200, 200),
    ("GET", f"{PREFIX}/templates/"): ADMINS,
    **{
        (method, f"{PREFIX}/templates/{start}{path}"): with_(status, who)
        for start, who in (("system", PLATFORM), ("partners/<partner_id>", ACMES))
        for method, path, status in (
            ("GET", "", 200),
            ("POST", "", 303),
            ("GET", "/<type_name>/<language>", 200),
            ("POST", "/<type_name>/<language>", 303),
            ("POST", "/<type_name>/<language>/preview", 200),
        )
    },
    ("GET", f"{PREFIX}/renewals/"): ADMINS,
    ("GET", f"{PREFIX}/renewals/system"): PLATFORM,
    ("POST", f"{PREFIX}/renewals/system"): with_(303, PLATFORM),
    ("POST", f"{PREFIX}/renewals/system/run"): with_(303, PLATFORM),
    ("GET", f"{PREFIX}/renewals/system/calendar"): PLATFORM,
    ("GET", f"{PREFIX}/renewals/system/preview"): PLATFORM,
    ("GET", f"{PREFIX}/renewals/system/preview/mail"): PLATFORM,
    ("GET", RENEWALS): ACMES,
    ("POST", RENEWALS): with_(303, ACMES),
    ("POST", f"{RENEWALS}/run"): with_(303, ACMES),
    ("GET", f"{RENEWALS}/calendar"): ACMES,
    ("GET", f"{RENEWALS}/preview"): ACMES,
    ("GET", f"{RENEWALS}/preview/mail"): ACMES,
    ("GET", f"{PREFIX}/renewals/remind-me"): CUSTOMERS,
    ("POST", f"{PREFIX}/renewals/remind-me"): with_(202, CUSTOMERS),
    ("GET", "/unsubscribe/<token>"): (200, 200, 200, 200, 200, 200),
    ("POST", "/unsubscribe/<token>"): (200, 200, 200, 200, 200, 200),
    ("POST", "/hooks/email/<provider>/<key>"): ANYBODY,
    ("GET", f"{PREFIX}/test-mail/<token>"): ANYBODY,
    ("POST", f"{PREFIX}/test-mail/<token>"): ANYBODY,
    ("GET", f"{PREFIX}/preferences/<token>"): ANYBODY,
    ("POST", f"{PREFIX}/preferences/<token>"): ANYBODY,
    ("GET", f"{PREFIX}/alerts"): ADMINS,
    # The alert is Acme's.
    ("POST", f"{PREFIX}/alerts/<alert_id>/acknowledge"): ACMES,
    ("POST", f"{PREFIX}/alerts/<alert_id>/mute"): ACMES,
    ("POST", f"{PREFIX}/alerts/<alert_id>/unmute"): ACMES,
    # The address names no sender that anybody signs in for, and nobody began to.
    ("GET", f"{PREFIX}/oauth/<provider>/start"): (401, 403, 403, 403, 404, 403),
    ("GET", f"{PREFIX}/oauth/callback"): with_(409, ADMINS),
    # Or for whoever has the token.
    ("GET", f"{PREFIX}/metrics"): PLATFORM,
    # Without a partner's name: of the one partner one has, of all mail, or refused.
    ("GET", "/api/email/status"): (401, 403, 200, 200, 200, 403),
    ("POST", "/api/email/queue"): with_(202, ACMES),
    ("POST", "/api/email/batch"): with_(202, ACMES),
    ("GET", "/api/email/batch/<public_id>"): ACMES,
    ("GET", "/api/email/messages/<public_id>"): ACMES,
    ("POST", "/api/email/messages/<public_id>/cancel"): ACMES,
    ("POST", "/api/email/messages/<public_id>/retry"): ACMES,
    ("GET", "/api/email/senders"): ACMES,
    ("GET", "/api/email/suppressions"): ACMES,
    ("POST", "/api/email/suppressions"): with_(201, ACMES),
    ("DELETE", "/api/email/suppressions"): ACMES,
    ("POST", "/api/email/test-connection"): ACMES,
    ("GET", "/api/email/openapi.json"): ANYBODY,
    ("GET", f"{PREFIX}/tokens"): ADMINS,
    # The token is Acme's.
    ("GET", f"{PREFIX}/tokens/<public_id>/revoke"): ACMES,
    ("POST", f"{PREFIX}/tokens/<public_id>/revoke"): ACMES,
}
#: OPTIONS is answered before the view, which alone knows more than whose page it is.
OPTIONS: dict[str, Statuses] = {
    "/api/email/status": ADMINS,
    "/api/email/senders": ADMINS,
    "/api/email/suppressions": ADMINS,
    **{f"/api/email/{what}/<public_id>": ADMINS for what in ("batch", "messages")},
    f"{PREFIX}/tokens/<public_id>/revoke": ADMINS,
    **{f"{PREFIX}/mail/<public_id>{page}": ADMINS for page in ("", "/preview", "/raw")},
    f"{PREFIX}/batches/<public_id>": ADMINS,
    f"{PREFIX}/oauth/<provider>/start": ADMINS,
    f"{PREFIX}/oauth/callback": ADMINS,
    f"{PREFIX}/metrics": (200, 200, 200, 200, 200, 200),
    **{
        f"{start}{which}/test-connection/<public_id>": who
        for start, who in OWNERS
        for which in ("", "/senders/<key>")
    },
}
#: These only lead to another page, or say what they think.
CHANGES_NOTHING = {f"{start}/senders" for start, _ in OWNERS} | {
    f"{start}{which}/advice" for start, _ in OWNERS for which in ("", "/senders/<key>")
}
CHANGES_NOTHING |= {
    f"{PREFIX}/templates/{start}/<type_name>/<language>/preview"
    for start in ("system", "partners/<partner_id>")
}


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Scene]:
    """One for all tests that change nothing; its name server knows no domain."""
    redis_server.start()
    site = make_app(sqlite_url(tmp_path_factory.mktemp("still")), {"REDIS_URL": redis_server.url})
    with ScriptedServer() as server, DNSServer() as dns:
        NAMES.put(site.installation, NameService((dns.address,)))
        scene = Scene(site, server)
        yield scene
        scene.dump.close()
    with site.app.app_context():
        site.db.engine.dispose()


@pytest.fixture
def scene(new_app: Callable[..., HostApp], still: Scene, tmp_path: Path) -> Iterator[Scene]:
    """One that the test may change: an app on a copy of the other one's database."""
    uri = sqlite_url(tmp_path)
    with (
        still.site.app.app_context(),
        still.site.db.engine.connect() as connection,
        closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as copy,
    ):
        driver: Any = connection.connection.driver_connection
        driver.backup(copy)
    site = new_app(uri=uri, SECRET_KEYS=[still.site.secret_key])
    NAMES.put(site.installation, NAMES.of(still.site.installation))
    scene = Scene(site, still.server, still)
    yield scene
    scene.dump.close()


OURS = tuple(f"smtp_admin{name}." for name in ("", "_api", "_unsubscribe", "_arrival", "_hooks"))


def routes(site: HostApp) -> set[tuple[str, str]]:
    """Every method and rule of ours; HEAD and OPTIONS follow from the others.

    Without those that only lead on from a form's address: see ``test_ways_back.py``.
    """
    return {
        (method, rule.rule)
        for rule in site.app.url_map.iter_rules()
        if rule.endpoint.startswith(OURS) and not rule.endpoint.endswith(LEADS)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_has_a_row(scene: Scene) -> None:
    assert routes(scene.site) == set(TABLE)


#: The same views answer HEAD, and OPTIONS does the same for all; who may least and who may most
#: show that it is guarded alike.
_ASK_OTHERS = {"anonymous", "other partner's admin", "platform admin"}


@pytest.mark.parametrize(("method", "rule"), TABLE, ids=lambda value: str(value))
def test_row(request: pytest.FixtureRequest, method: str, rule: str) -> None:
    scene: Scene = request.getfixturevalue("still" if method == "GET" else "scene")
    for asked, name in product(
        ("OPTIONS", "HEAD", "GET") if method == "GET" else (method,), ACTORS
    ):
        if asked in {"HEAD", "OPTIONS"} and name not in _ASK_OTHERS:
            continue
        row = TABLE[method, rule]
        if asked == "OPTIONS":
            row = OPTIONS.get(rule, row)
        expected = row[[*ACTORS].index(name)]
        scene.site.actor = ACTORS[name]
        scene.prepare(rule)
        before, dialled = scene.dump(), scene.server.connections
        answer = scene.ask(asked, rule)
        assert answer.status_code == expected, (name, asked, answer.text)
        if expected >= 400:
            assert asked == "HEAD" or answer.json
        if expected >= 400 or method == "GET":
            assert scene.dump() == before, (name, asked)
            assert scene.server.connections == dialled
        elif method == "POST" and rule not in CHANGES_NOTHING:
            assert scene.dump() != before, (name, asked)


@pytest.mark.parametrize("headers", [JSON, HTML], ids=["json", "html"])
@pytest.mark.parametrize(
    ("method", "rule"), [row for row in TABLE if "<partner_id>" in row[1]], ids=str
)
def test_other_partner_looks_like_none(
    still: Scene, method: str, rule: str, headers: Mapping[str, str]
) -> None:
    still.site.actor = ACME_ADMIN
    before, dialled = still.dump(), still.server.connections
    other, none = (
        still.ask(method, rule, headers, partner_id=partner_id, public_id=still.mails["globex"])
        for partner_id in ("globex", "nobody")
    )
    assert other.status_code == none.status_code == 404
    assert other.data == none.data
    assert list(other.headers) == list(none.headers)
    assert still.dump() == before
    assert still.server.connections == dialled


@pytest.mark.parametrize("headers", [JSON, HTML], ids=["json", "html"])
def test_other_partners_connection_test_looks_like_none(
    scene: Scene, headers: Mapping[str, str]
) -> None:
    scene.site.actor = ACME_ADMIN
    rule = f"{PARTNER}/test-connection/<public_id>"
    other, system, none = (
        scene.ask("GET", rule, headers, public_id=public_id)
        for public_id in (scene.tests["globex", ""], scene.tests["", ""], "0" * 32)
    )
    assert other.status_code == 404
    assert other.data == system.data == none.data


@pytest.mark.parametrize("headers", [JSON, HTML], ids=["json", "html"])
def test_other_partners_mail_looks_like_none(scene: Scene, headers: Mapping[str, str]) -> None:
    scene.site.actor = ACME_ADMIN
    rule = f"{PARTNER}/test-email/<public_id>"
    other, system, none = (
        scene.ask("GET", rule, headers, public_id=public_id)
        for public_id in (scene.mails["globex"], scene.mails[""], "0" * 32)
    )
    assert other.status_code == 404
    assert other.data == system.data == none.data
    pages = [
        re.sub(rf'{public_id}|value="[^"]{{20,}}"', "", scene.ask("GET", tab, HTML).text)
        for public_id in (scene.mails["globex"], "0" * 32)
        for tab in [f"{PARTNER}?mail={public_id}"]
    ]
    assert pages[0] == pages[1]
    assert {*re.findall(r"/test-email/(\w{32})", pages[0])} <= {scene.mails["acme"]}


#: Pages of a sender that open although nothing is saved under its key yet.
OPEN_TO_NEW = {
    "",
    "/test-connection",
    "/test-connection/worker",
    "/advice",
    "/test-email",
    "/discover",
}


@pytest.mark.parametrize("path", sorted({path for _, path in SENDER_PAGES}))
def test_a_sender_that_is_not_there(scene: Scene, path: str) -> None:
    """Of a key that nobody has, there is only what leads to its first settings."""
    for start, key in product(
        (f"{PREFIX}/system", f"{PREFIX}/partners/acme"), ("none", "No", "system")
    ):
        address = f"{start}/senders/{key}{path.replace('<public_id>', '0' * 32)}"
        for query in ("", "?new=1"):
            for method in {method for method, one in SENDER_PAGES if one == path}:
                before = scene.dump()
                data = {"driver": "smtp", "revision": "0"}
                answer = scene.site.client.open(
                    address + query, method=method, headers=JSON, data=data
                )
                opens = key == "none" and query and path in OPEN_TO_NEW
                assert (answer.status_code == 404) is not bool(opens), (address, query, method)
                assert scene.dump() == before


def test_of_a_deleted_sender_the_history_stays(scene: Scene) -> None:
    address = f"{PREFIX}/partners/acme/senders/{KEY}"
    assert scene.site.client.post(f"{address}/delete", headers=JSON).status_code == 200
    for path in ("", "/explain", "/symptoms", "/rollback", "/deliverability", "/delete"):
        assert scene.site.client.get(address + path, headers=HTML).status_code == 404
    history = scene.site.client.get(f"{address}/history", headers=HTML)
    assert history.status_code == 200
    assert "This sender was deleted." in history.text
    scene.site.actor = GLOBEX_ADMIN
    assert scene.site.client.get(f"{address}/history", headers=HTML).status_code == 404


STATUS: dict[str, Statuses] = {
    "?partner_id=acme": ACMES,
    "?partner_id=globex": (401, 403, 200, 404, 200, 200),
    "?partner_id=nobody": (401, 403, 404, 404, 404, 404),
    "?partner_id=": PLATFORM,
    "?partner_id=%00": (401, 403, 404, 404, 404, 404),
    "?partner_id=acme&partner_id=globex": ACMES,
}


@pytest.mark.parametrize("query", STATUS)
def test_status_of_a_partner(scene: Scene, query: str) -> None:
    for (name, actor), expected in zip(ACTORS.items(), STATUS[query], strict=True):
        scene.site.actor = actor
        answer = scene.site.client.get(f"/api/email/status{query}", headers=JSON)
        assert answer.status_code == expected, name
    scene.site.actor = ACME_ADMIN
    other, none = (
        scene.site.client.get(f"/api/email/status?partner_id={one}") for one in ("globex", "nobody")
    )
    assert other.data == none.data


@pytest.mark.parametrize("actor", [None, CUSTOMER, ACME_ADMIN], ids=["nobody", "customer", "admin"])
def test_status_in_a_browser(scene: Scene, actor: Actor | None) -> None:
    """Whoever opens the API's address in a browser gets a page, whatever it says."""
    scene.site.actor = actor
    answer = scene.site.client.get("/api/email/status?partner_id=nobody", headers=HTML)
    assert answer.status_code == (401 if actor is None else 403 if actor is CUSTOMER else 404)
    assert answer.mimetype == "text/html"


def test_overview_shows_only_ones_own(scene: Scene) -> None:
    for actor, seen in ((ACME_ADMIN, {"Acme GmbH"}), (BOTH, {"Acme GmbH", "Globex"})):
        scene.site.actor = actor
        page = scene.site.client.get(f"{PREFIX}/", headers=HTML).text
        for name in ("Acme GmbH", "Globex", "Initech", "System e-mail"):
            assert (name in page) == (name in seen)


def test_partner_in_the_body_does_not_count(scene: Scene) -> None:
    scene.site.actor = ACME_ADMIN
    before = scene.dump()["smtp_admin_sender"]
    scene.site.client.post(
        f"{PREFIX}/partners/acme?partner_id=globex",
        data={"partner_id": "globex", "host": "evil.example", "port": "25", "security": "none",
              "from_email": "x@evil.example", "revision": "2"},
    )  # fmt: skip
    after = scene.dump()["smtp_admin_sender"]
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert [row[1] for row in changed] == ["acme"]


@pytest.fixture
def scratch(new_app: Callable[..., HostApp]) -> HostApp:
    """An app with one more blueprint of ours: a view without a mark, and one with."""
    site = new_app()
    blueprint = protect(Blueprint("scratch", __name__))
    blueprint.add_url_rule("/unmarked", view_func=lambda: "secret", endpoint="unmarked")
    marked = guarded(Action.LIST_PARTNERS)(lambda: "for admins")
    blueprint.add_url_rule("/marked", view_func=marked, endpoint="marked")
    site.app.register_blueprint(blueprint)
    return site


def test_view_without_a_mark_is_refused(scratch: HostApp) -> None:
    for actor in ACTORS.values():
        scratch.actor = actor
        answer = scratch.client.get("/unmarked", headers=JSON)
        assert answer.status_code == 403
        assert b"secret" not in answer.data
    scratch.actor = ADMIN
    assert scratch.client.get("/marked").text == "for admins"


def test_anonymous_page_without_a_sign_in(scene: Scene) -> None:
    scene.site.actor = None
    answer = scene.ask("GET", PARTNER, HTML)
    assert answer.status_code == 401
    assert answer.mimetype == "text/html"
    assert "Sign in first." in answer.text


def test_anonymous_page_is_sent_to_sign_in(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def sign_in_url(next_url: str) -> str:
        asked.append(next_url)
        return "/sign-in"

    monkeypatch.setattr(scene.site.host, "sign_in_url", sign_in_url)
    scene.site.actor = None
    answer = scene.site.client.get(f"{PREFIX}/partners/acme?mail=1", headers=HTML)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/sign-in")
    assert asked == [f"{PREFIX}/partners/acme?mail=1"]
    answer = scene.ask("GET", PARTNER, JSON)
    assert answer.status_code == 401
    scene.site.actor = CUSTOMER
    assert scene.ask("GET", PARTNER, HTML).status_code == 403


def test_anonymous_json_is_an_envelope(scene: Scene) -> None:
    scene.site.actor = None
    answer = scene.ask("POST", f"{PARTNER}/test-connection")
    assert answer.status_code == 401
    assert answer.json
    assert answer.json["ok"] is False
    assert answer.json["error"]["code"] == "unauthenticated"
    assert set(answer.json["error"]) == {"code", "message", "step", "hint", "reply", "fields"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_demoted_in_the_middle_of_a_session(scene: Scene) -> None:
    client = scene.site.client
    scene.site.actor = ACME_ADMIN
    assert client.get(f"{PREFIX}/partners/acme").status_code == 200
    scene.site.actor = Actor(id=ACME_ADMIN.id, email=ACME_ADMIN.email)
    assert client.get(f"{PREFIX}/partners/acme").status_code == 403


def test_actor_is_asked_anew_in_a_shared_app_context(scene: Scene) -> None:
    """A host's tests often hold one app context open around several requests."""
    with scene.site.app.app_context():
        scene.site.actor = ADMIN
        assert scene.site.client.get(f"{PREFIX}/partners").status_code == 200
        scene.site.actor = None
        assert scene.site.client.get(f"{PREFIX}/partners").status_code == 401


def test_every_action_has_a_row() -> None:
    assert set(_TABLE) == set(Action)
    # Those with the token are nobody that the host knows; the view asks for it.
    open_to_all = {
        Action.SEE_FILES, Action.UNSUBSCRIBE, Action.READ_METRICS, Action.SEE_API_DOCUMENT,
        Action.RECEIVE_EVENTS, Action.CONFIRM_ARRIVAL,
    }  # fmt: skip
    for action in set(Action) - open_to_all:
        assert Role.ANYBODY not in _TABLE[action]
        assert action is Action.ASK_FOR_REMINDER or Role.CUSTOMER not in _TABLE[action]


def test_empty_partner_id_is_nobodys() -> None:
    """A host that gives everybody an empty id must not open the system's sender with it."""
    nearly = Actor(id="6", email="x@x.example", partner_ids=frozenset({""}))
    assert not allowed(nearly, Action.EDIT_SYSTEM_SENDER)
    assert not allowed(nearly, Action.SEE_SYSTEM_STATUS, "")


def test_require_says_no_in_three_ways() -> None:
    with pytest.raises(Unauthenticated):
        require(None, Action.EDIT_PARTNER_SENDER, "acme")
    with pytest.raises(NotFound):
        require(GLOBEX_ADMIN, Action.EDIT_PARTNER_SENDER, "acme")
    with pytest.raises(Forbidden):
        require(CUSTOMER, Action.EDIT_PARTNER_SENDER, "acme")
