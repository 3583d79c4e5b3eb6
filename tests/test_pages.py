"""What the pages show: to whom, when, once, and in whose layout."""

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from werkzeug.test import TestResponse

from smtp_admin import schema
from smtp_admin.dns import NAMES
from smtp_admin.smtp.nameserver import NameService
from tests.app import ACME_ADMIN, ADMIN, CUSTOMER, HostApp, TestHost
from tests.servers.dns import DNSServer
from tests.servers.scripted import Reply, ScriptedServer

HTML = {"Accept": "text/html"}
PREFIX = "/smtp-admin"
TAB = f"{PREFIX}/partners/acme"
PASSWORD = "a-word-for-the-page"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A mail server with a login."""
    with ScriptedServer(auth=("login", PASSWORD)) as running:
        yield running


@pytest.fixture
def names() -> Iterator[NameService]:
    """A name server that knows no domain."""
    with DNSServer() as dns:
        yield NameService((dns.address,))


@pytest.fixture
def site(new_app: Callable[..., HostApp], names: NameService) -> HostApp:
    """A host app without any settings, signed in as the platform's admin."""
    made = new_app()
    made.actor = ADMIN
    NAMES.put(made.installation, names)
    return made


def get(site: HostApp, path: str) -> TestResponse:
    return site.client.get(PREFIX + path, headers=HTML)


def form(port: int = 587, **changes: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "username": "login",
        "password": PASSWORD,
        "from_email": "noreply@acme.example",
        "verify_tls": "true",
        "revision": 0,
    } | changes


def post(site: HostApp, path: str, data: dict[str, Any], **more: Any) -> TestResponse:
    return site.client.post(PREFIX + path, data=data, headers=HTML, **more)


class Page(HTMLParser):
    """The structure of a page, as far as it can be wrong."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.controls: list[str] = []
        self.references: list[str] = []
        self.inline: list[str] = []
        self.headings: list[str] = []
        self.forms: list[dict[str, str | None]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect."""
        given = dict(attrs)
        if (id_ := given.get("id")) is not None:
            self.ids.append(id_)
        if tag == "label":
            self.labelled.add(given.get("for") or "")
        if tag in {"select", "textarea", "meter"}:
            self.controls.append(given.get("id") or f"<{tag}>")
        if tag == "input" and given.get("type") not in {"hidden", "submit"}:
            self.controls.append(given.get("id") or f"<input {given.get('name')}>")
        for name in ("for", "aria-describedby", "aria-labelledby", "form"):
            self.references += (given.get(name) or "").split()
        self.inline += [f"{tag} {name}" for name in given if name == "style" or name[:2] == "on"]
        if tag == "style" or (tag == "script" and not given.get("src")):
            self.inline.append(tag)
        if tag in {"h1", "h2", "h3"}:
            self.headings.append(tag)
        if tag == "form":
            self.forms.append(given)


#: name → what brings it up.
PAGES: dict[str, Callable[[HostApp, ScriptedServer], TestResponse]] = {
    "overview": lambda site, _: get(site, "/"),
    "partners": lambda site, _: get(site, "/partners"),
    "system": lambda site, _: get(site, "/system"),
    "empty tab": lambda site, _: get(site, "/partners/initech"),
    "saved tab": lambda site, _: get(site, "/partners/acme"),
    "complaints": lambda site, _: post(site, "/partners/acme", {"revision": 1}),
    "conflict": lambda site, server: post(site, "/partners/acme", form(server.port)),
    "tested": lambda site, server: post(site, "/partners/acme/test-connection", form(server.port)),
    "test failed": lambda site, _: post(site, "/partners/acme/test-connection", form(1)),
    "test impossible": lambda site, _: post(
        site, "/partners/acme/test-connection", form(2, password="")
    ),
    "mail sent": lambda site, server: post(
        site, "/partners/acme/test-email", form(server.port, from_name="Now")
    ),
    "mail failed": lambda site, _: post(site, "/partners/acme/test-email", form(1)),
    "mail queued": lambda site, _: post(
        site, "/partners/acme/test-email", {"to": "you@else.example"}, follow_redirects=True
    ),
    "preset": lambda site, _: get(site, "/partners/acme?preset=ses:eu-west-1"),
    "limit": lambda site, _: get(site, "/partners/acme?preset=gmail&limit=gmail:1"),
    "not found out": lambda site, _: post(site, "/partners/acme/discover", {"address": "a@b.test"}),
    "no address": lambda site, _: post(site, "/partners/acme/discover", {"address": "mia"}),
    "deliverability": lambda site, _: get(site, "/partners/acme/deliverability"),
    "nothing to check": lambda site, _: get(site, "/partners/globex/deliverability"),
    "checked again": lambda site, _: post(site, "/partners/acme/deliverability", {}),
    "not found": lambda site, _: get(site, "/partners/nobody"),
    "no such file": lambda site, _: get(site, "/static/nothing.css"),
}


@pytest.mark.parametrize("name", PAGES)
def test_structure(site: HostApp, server: ScriptedServer, name: str) -> None:
    with site.app.app_context():
        site.save_sender(password=PASSWORD, username="login", port=server.port, max_per_hour=9)
    answer = PAGES[name](site, server)
    assert answer.mimetype == "text/html"
    page = Page(answer.text)
    assert len(page.ids) == len(set(page.ids)), page.ids
    assert set(page.controls) <= page.labelled
    assert {"", "None"}.isdisjoint(page.labelled)
    assert set(page.references) <= set(page.ids)
    assert page.inline == []
    assert page.headings[0] == "h1"
    assert page.headings.count("h1") == 1
    # Choosing a provider or a limit changes nothing, so that its form is a question.
    methods = {one.get("id"): one.get("method") for one in page.forms}
    assert methods.pop(None, "get") == "get"
    for question in ("limits-form", "driver-form"):
        assert methods.pop(question, "get") == "get"
    assert set(methods.values()) <= {"post"}
    assert PASSWORD not in answer.text
    assert answer.headers.get("Cache-Control") == "no-store" or "/static/" in answer.request.path
    assert "<title>" in answer.text
    assert not re.search(r">\s*None\s*<|\bUndefined\b|\{\{|\{%", answer.text)


def test_empty_states(site: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TestHost, "partners", lambda _: ())
    assert "There are no partners yet." in get(site, "/partners").text
    assert "System e-mail" in get(site, "/").text
    site.actor = ACME_ADMIN
    assert "You do not manage a partner yet." in get(site, "/").text


def test_empty_tab(site: HostApp) -> None:
    page = get(site, "/partners/acme").text
    assert "Not set up" in page
    assert "Stored encrypted, never shown again." in page
    assert "Revision" not in page
    assert re.search(r'<input[^>]*name="port"[^>]*value="587"', page)
    assert re.search(r'<option value="tls" selected>', page)


def test_notice_is_shown_once(site: HostApp, server: ScriptedServer) -> None:
    client = site.client
    answer = client.post(TAB, data=form(server.port), headers=HTML)
    assert (answer.status_code, answer.headers["Location"]) == (303, TAB)
    first = client.get(TAB, headers=HTML).text
    assert first.count("Saved as revision 1.") == 1
    assert "Saved as revision" not in client.get(TAB, headers=HTML).text
    assert "Saved as revision" not in get(site, "/partners/acme").text


def test_notice_waits_for_a_page(site: HostApp, server: ScriptedServer) -> None:
    client = site.client
    client.post(TAB, data=form(server.port), headers=HTML)
    client.get("/api/email/status", headers={"Accept": "application/json"})
    client.get(f"{PREFIX}/static/css/smtp-admin.css", buffered=True)
    assert "Saved as revision 1." in client.get(f"{PREFIX}/", headers=HTML).text


@pytest.mark.parametrize("path", ["", "/test-connection", "/test-email"])
def test_password_never_comes_back(
    site: HostApp, server: ScriptedServer, closed_port: int, path: str
) -> None:
    for changes in ({}, {"port": closed_port}, {"port": "x"}, {"host": ""}, {"revision": 9}):
        data: dict[str, Any] = form(server.port) | changes
        answer = post(site, f"/partners/acme{path}", data)
        assert PASSWORD not in answer.text, changes
        if answer.status_code != 303:
            fields = re.findall(r'<input[^>]*type="password"[^>]*>', answer.text)
            assert fields
            for field in fields:
                assert 'value=""' in field


def test_stored_password_is_a_mask(site: HostApp) -> None:
    post(site, "/partners/acme", form())
    page = get(site, "/partners/acme").text
    (field,) = re.findall(r'<input[^>]*name="password"[^>]*>', page)
    assert 'type="password"' in field
    assert 'placeholder="***** saved today"' in field
    assert 'autocomplete="new-password"' in field
    assert "Only ever sent to 127.0.0.1." in page


def test_unsaved_test_shows_steps_and_keeps_what_was_entered(
    site: HostApp, server: ScriptedServer
) -> None:
    data = form(server.port, from_name="Not saved", max_per_hour="12", reply_to="r@acme.example")
    answer = post(site, "/partners/acme/test-connection", data)
    assert answer.status_code == 200
    for words in ("It works.", "These settings are not saved yet.", "Login", "235 2.7.0"):
        assert words in answer.text
    for value in ("Not saved", "12", "r@acme.example", str(server.port)):
        assert f'value="{value}"' in answer.text
    assert get(site, "/partners/acme").text.count("Not saved") == 0
    assert re.search(r'name="revision"[^>]*value="0"', answer.text)


def test_failed_test_shows_where_and_what_to_do(site: HostApp, server: ScriptedServer) -> None:
    server.behave("auth", Reply("535 5.7.8 <b>no</b> & never"))
    answer = post(site, "/partners/acme/test-connection", form(server.port, from_name="Kept"))
    assert answer.status_code == 400
    assert "smtp-admin-step--failed" in answer.text
    assert "&lt;b&gt;no&lt;/b&gt; &amp; never" in answer.text
    assert "<b>no</b>" not in answer.text
    assert "What to do:" in answer.text
    assert 'value="Kept"' in answer.text


@pytest.mark.parametrize("path", ["", "/test-connection", "/test-email"])
def test_a_login_that_cannot_be_right_is_marked_at_its_field(site: HostApp, path: str) -> None:
    data = form(host="smtp.sendgrid.net", security="tls", username="sam@acme.example")
    answer = post(site, f"/partners/acme{path}", data)
    assert answer.status_code == 400
    (field,) = re.findall(r'<input[^>]*id="username"[^>]*>', answer.text)
    assert 'aria-invalid="true"' in field
    assert re.search(r'id="username-error">[^<]*exactly the word apikey', answer.text)


def test_impossible_test_says_that_nothing_was_dialled(
    site: HostApp, server: ScriptedServer
) -> None:
    answer = post(site, "/partners/acme/test-connection", form(server.port, password=""))
    assert answer.status_code == 400
    assert "No connection was made." in answer.text
    assert "Enter the password" in answer.text
    assert server.connections == 0


def test_names_are_text(site: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Partners' names and what they enter come from people."""
    from smtp_admin import Partner

    evil = "<script>alert(1)</script>"
    monkeypatch.setattr(TestHost, "partners", lambda _: (Partner("acme", evil),))
    post(site, "/partners/acme", form(from_name=evil, username=f'"{evil}'))
    for path in ("/", "/partners", "/partners/acme"):
        page = get(site, path).text
        assert evil not in page
        assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("path", "actor", "status", "title"),
    [
        ("/partners/nobody", ADMIN, 404, "Not found"),
        ("/partners/globex", ACME_ADMIN, 404, "Not found"),
        ("/partners", ACME_ADMIN, 403, "Not allowed"),
        ("/", CUSTOMER, 403, "Not allowed"),
        ("/", None, 401, "Not allowed"),
        ("/static/nothing", None, 404, "Not found"),
    ],
)
def test_error_pages(site: HostApp, path: str, actor: Any, status: int, title: str) -> None:
    site.actor = actor
    answer = get(site, path)
    assert answer.status_code == status
    assert f"<h1>{title}</h1>" in answer.text


def test_too_large(site: HostApp) -> None:
    data = {"host": "x" * 300_000}
    assert post(site, "/partners/acme", data).status_code == 413
    answer = site.client.post(f"{TAB}/test-connection", json=data)
    assert answer.status_code == 413
    assert answer.json
    assert answer.json["error"]["code"] == "too_large"


def test_too_often(new_app: Callable[..., HostApp]) -> None:
    site = new_app(TEST_LIMIT="1 per hour")
    site.actor = ADMIN
    post(site, "/partners/acme/test-connection", form(1))
    answer = post(site, "/partners/acme/test-connection", form(1, from_name="Kept"))
    assert answer.status_code == 429
    assert 'value="Kept"' in answer.text
    answer = site.client.post(f"{TAB}/test-connection", json=form(1))
    assert answer.status_code == 429
    assert 3500 <= int(answer.headers["Retry-After"]) <= 3601


def test_without_tables(site: HostApp) -> None:
    with site.app.app_context():
        schema.downgrade(site.db.engine, "base")
    answer = get(site, "/")
    assert answer.status_code == 503
    assert "flask smtp-admin db upgrade" in answer.text
    json = site.client.get("/api/email/status").json
    assert json
    assert json["error"]["code"] == "unavailable"
    assert "flask smtp-admin db upgrade" in json["error"]["hint"]
    with site.app.app_context():
        schema.upgrade(site.db.engine)
    assert get(site, "/").status_code == 200


def test_tables_lost_while_running(site: HostApp) -> None:
    assert get(site, "/").status_code == 200
    with site.app.app_context():
        schema.downgrade(site.db.engine, "base")
    assert get(site, "/").status_code == 503
    assert post(site, "/partners/acme", form()).status_code == 503


BODIES = {
    "nothing": b"", "no json": b"{", "null": b"null", "list": b"[]", "number": b"1",
    "text": b'"x"', "deep": b"[" * 100_000, "deep object": b'{"host":' * 20_000,
    "huge number": b'{"port": ' + b"9" * 5000 + b"}", "not a number": b'{"port": NaN}',
    "latin": b'{"host": "\xe9"}', "utf-16": '{"host": ""}'.encode("utf-16"),
    "list for text": b'{"host": ["x"], "to": ["x"]}', "object for text": b'{"host": {}, "to": {}}',
}  # fmt: skip


@pytest.mark.parametrize("path", ["test-connection", "test-email"])
@pytest.mark.parametrize("body", BODIES)
def test_bad_json_is_an_envelope(site: HostApp, path: str, body: str) -> None:
    answer = site.client.post(
        f"{TAB}/{path}", data=BODIES[body], content_type="application/json", headers=HTML
    )
    assert answer.status_code == 400
    assert answer.json
    assert answer.json["ok"] is False
    assert answer.json["error"]["code"] in {"invalid_input", "missing_host"}
