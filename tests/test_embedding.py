"""A host's own page shows the menu, a badge, the state and the tab, to who may see them."""

import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from flask import render_template_string

from smtp_admin import Actor, Partner
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.test_docs import blocks
from tests.test_static_files import STYLESHEET

NewApp = Callable[..., HostApp]


def shown(host: HostApp, text: str, partner_id: str = "acme") -> str:
    """What a page of the host is, made from *text*."""
    company = SimpleNamespace(id=partner_id, name="Acme")
    with host.app.test_request_context("/companies/1"):
        return render_template_string(text, company=company)


def example() -> str:
    """The one that the documentation shows."""
    (found,) = (text for page, text in blocks("jinja") if "embed.html" in text)
    return found


def test_the_documented_example(host: HostApp) -> None:
    host.actor = ACME_ADMIN
    page = shown(host, example())
    assert STYLESHEET.search(page)
    assert page.count("<li><a href=") == 4
    assert 'action="/smtp-admin/partners/acme"' in page
    assert "Connection test" in page
    assert page.count('id="host"') == 1
    assert "<h1>" not in page.split("</h1>")[1], "the page has a heading of its own"
    assert page.count('class="smtp-admin-dot"') == 1, "the tab has the state already"


@pytest.mark.parametrize("actor", [None, ACME_ADMIN])
@pytest.mark.parametrize("partner_id", ["globex", "", "none"])
def test_nothing_for_who_may_not_see_it(
    host: HostApp, actor: Actor | None, partner_id: str
) -> None:
    host.actor = actor
    macros = '{% from "smtp_admin/embed.html" import badge, state, tab %}'
    for name in ("badge", "state", "tab"):
        assert not shown(host, f"{macros}{{{{ {name}(company.id) }}}}", partner_id).strip()


def test_a_second_app_makes_no_blueprints_of_its_own(host: HostApp, new_app: NewApp) -> None:
    """It took half of what starting an app takes; an app under another address has others."""
    second, third = new_app(), new_app(URL_PREFIX="/post")
    assert second.app.blueprints["smtp_admin"] is host.app.blueprints["smtp_admin"]
    assert third.app.blueprints["smtp_admin"] is not host.app.blueprints["smtp_admin"]
    for one, prefix in ((second, "/smtp-admin"), (third, "/post")):
        one.actor = ADMIN
        page = one.client.get(f"{prefix}/partners", headers={"Accept": "text/html"})
        assert f'href="{prefix}/partners/acme"' in page.text
        assert one.client.get("/elsewhere/partners").status_code == 404


def test_the_menu_of_each(host: HostApp) -> None:
    text = "{% for one in smtp_admin_menu() %}{{ one.text }} {% endfor %}"
    for actor, links in (
        (None, ""),
        (ACME_ADMIN, "Mail All mail Alerts Renewals "),
        (ADMIN, "Mail Partners All mail Alerts System e-mail Renewals "),
    ):
        host.actor = actor
        assert shown(host, text) == links


def test_the_badge_says_what_the_overview_says(host: HostApp) -> None:
    host.actor = ADMIN
    assert "Not set up" in shown(host, "{{ smtp_admin_badge('acme').state.headline }}")
    assert shown(host, "{{ smtp_admin_badge('').url }}") == "/smtp-admin/system"


def test_an_id_may_be_a_number(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most apps count their companies, and a template has no ``str()``."""
    monkeypatch.setattr(host.host, "partners", lambda: [Partner("7", "Seven")])
    monkeypatch.setattr(
        host.host, "partner", lambda one: Partner(one, "Seven") if one == "7" else None
    )
    host.actor = Actor(id="1", email="x@seven.example", partner_ids=frozenset({"7"}))
    macros = '{% from "smtp_admin/embed.html" import badge, state, tab %}'
    once = re.compile(r'name="once" value="[^"]+"')  # each form has its own
    for name in ("badge", "state", "tab"):
        page = shown(host, f"{macros}{{{{ {name}(7) }}}}")
        assert "/smtp-admin/partners/7" in page
        other = shown(host, f"{macros}{{{{ {name}('7') }}}}")
        assert once.sub("", page) == once.sub("", other)
