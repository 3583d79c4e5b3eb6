"""No page is a dead end: where one goes on from errors, and to owners that a list leaves out."""

import pytest

from smtp_admin import Actor, Partner
from smtp_admin.pages import sender_frame
from tests.app import ACME_ADMIN, CUSTOMER, HostApp
from tests.scene import HTML, PREFIX


@pytest.mark.parametrize(("actor", "path", "status"), [
    (ACME_ADMIN, "/partners/globex", 404), (ACME_ADMIN, "/system", 403), (CUSTOMER, "/", 403),
])  # fmt: skip
def test_an_error_leads_to_what_one_may_see(
    host: HostApp, actor: Actor, path: str, status: int
) -> None:
    host.actor = actor
    answer = host.client.get(PREFIX + path, headers=HTML)
    assert answer.status_code == status
    assert (f'<a href="{PREFIX}/">To all senders</a>' in answer.text) == (actor is ACME_ADMIN)


def test_partners_are_in_the_order_of_letters(
    host: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["Zeta", "Ärzte", "beta", "Alpha", "Éclair", "Straße", "Strasse"]
    many = [Partner(f"p{n}", name) for n, name in enumerate(names)]
    monkeypatch.setattr(host.host, "partners", lambda: many)
    page = host.client.get(f"{PREFIX}/symptoms", headers=HTML).text
    shown = sorted(names, key=lambda name: page.index(f">{name}</a>"))
    assert shown == ["Alpha", "Ärzte", "beta", "Éclair", "Straße", "Strasse", "Zeta"]


@pytest.mark.parametrize("path", ["tokens", "suppressions"])
def test_owners_that_are_left_out_are_told(
    host: HostApp, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    many = [Partner(f"p{n}", f"Partner {n:02}") for n in range(30)]
    monkeypatch.setattr(host.host, "partners", lambda: many)
    page = host.client.get(f"{PREFIX}/{path}", headers=HTML).text
    assert page.count(f"/{path}#add") == 31
    assert "more: choose one" not in page
    monkeypatch.setattr(sender_frame, "_MOST_OWNERS", 12)
    page = host.client.get(f"{PREFIX}/{path}", headers=HTML).text
    assert page.count(f"/{path}#add") == 13
    assert "And 18 more: choose one" in page
