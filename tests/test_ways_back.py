"""A session that ends while somebody types, and the addresses that take only forms."""

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from flask_wtf import CSRFProtect
from werkzeug.test import TestResponse

from smtp_admin import resources
from smtp_admin.senders.fields import all_fields
from smtp_admin.unsent import secret_names
from smtp_admin.ways_back import LEADS
from tests.app import ACME_ADMIN, ADMIN, GLOBEX_ADMIN, HostApp
from tests.scene import HTML, JSON, PREFIX

OWN = {**HTML, "Sec-Fetch-Site": "same-origin"}
TAB = f"{PREFIX}/partners/acme"
#: What somebody typed into the tab of a sender.
TYPED = {"driver": "smtp", "revision": "0", "host": "mail.acme.example", "port": "587",
         "security": "starttls", "from_email": "news@acme.example", "username": "mia",
         "password": "hunter2-typed"}  # fmt: skip
#: Path of a form → the page that it belongs to.
PAGES = {
    "/partners/acme/discover": "/partners/acme",
    "/partners/acme/test-connection": "/partners/acme",
    "/partners/acme/test-connection/worker": "/partners/acme",
    "/partners/acme/senders/news/test-email": "/partners/acme/senders/news",
    "/partners/acme/suppressions/remove": "/partners/acme/suppressions",
    "/mail/actions": "/mail",
    "/mail/undo": "/mail",
    "/mail/abc/retry": "/mail/abc",
    "/alerts/7/mute": "/alerts",
    "/renewals/system/run": "/renewals/system",
    "/templates/system/welcome/de/preview": "/templates/system/welcome/de",
}


def rules(host: HostApp) -> dict[str, set[str]]:
    """Rule of a page of ours → the methods it answers."""
    found: dict[str, set[str]] = {}
    for one in host.app.url_map.iter_rules():
        if one.endpoint.startswith("smtp_admin."):
            found.setdefault(one.rule, set()).update(one.methods or ())
    return found


def test_every_address_can_be_looked_at(host: HostApp) -> None:
    """Whatever takes a form leads to a page that answers, for whoever may send the form."""
    assert all("GET" in methods for methods in rules(host).values())
    lead = [one for one in host.app.url_map.iter_rules() if one.endpoint.endswith(LEADS)]
    assert len(lead) > 30
    named = {"partner_id": "acme", "key": "news", "public_id": "0" * 32, "alert_id": "7",
             "type_name": "welcome", "language": "de"}  # fmt: skip
    for rule in lead:
        path = re.sub(r"<(\w+)>", lambda found: named[found[1]], rule.rule)
        host.actor = None
        assert host.client.get(path, headers=JSON).status_code == 401, path
        host.actor = ADMIN
        answer = host.client.get(path, headers=HTML)
        assert answer.status_code == 303, path
        assert path.startswith(answer.location.rstrip("/")), path
        followed = host.client.get(answer.location, headers=HTML)
        assert followed.status_code in {200, 404}, path
        scripted = host.client.get(path, headers=JSON)
        assert (scripted.status_code, scripted.headers["Allow"]) == (405, "OPTIONS, POST")


@pytest.mark.parametrize(("path", "page"), PAGES.items())
def test_the_page_of_a_form(host: HostApp, path: str, page: str) -> None:
    host.actor = ADMIN
    answer = host.client.get(f"{PREFIX}{path}?new=1", headers=HTML)
    assert (answer.status_code, answer.location) == (303, f"{PREFIX}{page}?new=1")


def test_others_learn_nothing_from_it(host: HostApp) -> None:
    host.actor = GLOBEX_ADMIN
    answers = [
        host.client.get(f"{PREFIX}/partners/{one}/discover", headers=HTML)
        for one in ("acme", "nobody")
    ]
    assert [one.status_code for one in answers] == [404, 404]
    assert answers[0].data == answers[1].data


def signing_in(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the host is asked to lead back to after signing in."""
    asked: list[str] = []

    def sign_in_url(next_url: str) -> str:
        asked.append(next_url)
        return "/the-sign-in"

    monkeypatch.setattr(host.host, "sign_in_url", sign_in_url)
    return asked


@pytest.mark.parametrize(("path", "referrer", "back"), [
    ("", "http://localhost/smtp-admin/partners/acme?new=1", f"{TAB}?new=1"),
    ("/test-connection", "http://localhost/smtp-admin/partners/acme/discover", TAB),
    ("/test-connection", None, TAB),
    ("/suppressions/remove", "http://localhost/smtp-admin/suppressions?q=x",
     f"{PREFIX}/suppressions?q=x"),
    ("/pause", "https://evil.example/smtp-admin/system", TAB),
    ("/pause", "http://localhost//evil.example/", TAB),
    ("/pause", "http://localhost/a-page-of-the-host", TAB),
])  # fmt: skip
def test_signed_out_leads_back_to_the_form(
    host: HostApp, monkeypatch: pytest.MonkeyPatch, path: str, referrer: str | None, back: str
) -> None:
    asked = signing_in(host, monkeypatch)
    host.actor = None
    headers = OWN | ({"Referer": referrer} if referrer else {})
    answer = host.client.post(TAB + path, data=TYPED, headers=headers)
    assert answer.status_code == 401
    assert asked == [back]
    assert 'href="/the-sign-in"' in answer.text
    assert "You are signed out. Nothing was changed." in answer.text
    assert f'href="{back}"' in answer.text


def test_what_was_typed_is_kept_but_no_secret(host: HostApp) -> None:
    host.actor = None
    answer = host.client.post(TAB, data=TYPED, headers=OWN)
    assert "mail.acme.example" in answer.text
    assert "hunter2" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    # That there was one is known on the page that comes next.
    assert '<input type="hidden" name="not_kept" value="password:password">' in answer.text
    host.app.config["WTF_CSRF_ENABLED"] = True
    host.actor = ACME_ADMIN
    again = TYPED | {"password": "", "not_kept": "password:password"}
    assert "Enter this again" in host.client.post(TAB, data=again, headers=OWN).text
    other = host.client.post(f"{TAB}/senders", data=again, headers=OWN).text
    assert '<input id="again-password" name="password" type="password"' in other
    assert "not_kept" not in other


@pytest.mark.parametrize("headers", [
    HTML, {**HTML, "Sec-Fetch-Site": "cross-site"}, {**HTML, "Origin": "https://evil.example"},
    {**HTML, "Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
])  # fmt: skip
def test_what_another_site_sends_is_not_offered_again(
    host: HostApp, headers: dict[str, str]
) -> None:
    host.app.config["WTF_CSRF_ENABLED"] = True
    for actor in (None, ACME_ADMIN):
        host.actor = actor
        for path in ("", "/pause"):
            answer = host.client.post(TAB + path, data=TYPED, headers=headers)
            assert answer.status_code in {400, 401}
            assert "mail.acme.example" not in answer.text
            assert "unsent-form" not in answer.text
            assert "What you typed could not be kept here." in answer.text


@pytest.mark.parametrize("host_checks", [False, True])
@pytest.mark.parametrize("path", ["", "/test-connection", "/test-email", "/discover"])
def test_a_token_that_is_too_old_shows_the_form_again(
    new_app: Callable[..., HostApp], host_checks: bool, path: str
) -> None:
    made = new_app()
    made.app.config["WTF_CSRF_ENABLED"] = True
    if host_checks:
        CSRFProtect(made.app)
    made.actor, client = ACME_ADMIN, made.client
    answer = client.post(TAB + path, data=TYPED | {"csrf_token": "old"}, headers=OWN)
    assert answer.status_code == 400
    assert 'value="mail.acme.example"' in answer.text
    assert "Nothing was changed.</strong>" in answer.text
    assert "Press the button again." in answer.text
    assert "X-CSRFToken" not in answer.text
    assert "Enter this again before you save:" in answer.text
    assert "hunter2" not in answer.text
    saved = client.post(TAB, data=TYPED | {"csrf_token": token_in(answer)}, headers=OWN)
    assert saved.status_code == 303
    made.actor = None
    assert "You are signed out." in made.client.post(TAB + path, data=TYPED, headers=OWN).text
    made.actor = GLOBEX_ADMIN
    assert made.client.post(TAB + path, data=TYPED, headers=OWN).status_code == 404


def test_any_other_form_is_sent_again_with_one_press(host: HostApp) -> None:
    host.app.config["WTF_CSRF_ENABLED"] = True
    host.actor, client = ACME_ADMIN, host.client
    form = {"address": "max@x.example", "note": 'two\n"lines" </textarea>'}
    answer = client.post(f"{TAB}/suppressions", data=form, headers=OWN)
    assert answer.status_code == 400
    assert f'action="{TAB}/suppressions"' in answer.text
    sent = dict(
        re.findall(r'<textarea name="(\w+)" hidden>\n(.*?)</textarea>', answer.text, re.DOTALL)
    )
    assert {name: unescape(text) for name, text in sent.items()} == form
    again = form | {"csrf_token": token_in(answer)}
    assert client.post(f"{TAB}/suppressions", data=again, headers=OWN).status_code == 303


def token_in(answer: TestResponse) -> str:
    """The token of the page."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', answer.text)
    assert found
    return found[1]


def test_every_secret_field_of_a_page_is_known() -> None:
    """A field for a password is one that never goes back to the browser."""
    folder = Path(str(resources.folder("templates"))) / "smtp_admin"
    fields = re.compile(r'name="(\w+)"[^>]*type="password"|entry\("(\w+)", type="password"')
    found = {
        first or second
        for page in folder.rglob("*.html")
        for first, second in fields.findall(page.read_text())
    }
    assert {"password", "secret"} <= found <= secret_names()
    assert {one.name for one in all_fields() if one.secret} <= secret_names()
