"""The pages of API tokens: seen in every look, and used with and without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest

from .inspection import TWO_LOOKS, inspect
from .site import Site
from .states import States, at

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PAGE = "/smtp-admin/partners/initech/tokens"
LONG = "averyveryverylongname" * 3

STATES = States()
state = STATES.add


def make(page: Page, site: Site, name: str) -> str:
    """Create a token by the form; the token."""
    at(page, site, PAGE)
    page.fill("#name", name)
    page.check("#scope-status")
    page.check("#scope-send")
    page.select_option("#expires", "30d")
    page.click("#token-form button")
    page.wait_for_selector("#made")
    return page.input_value("#made-token")


@state()
def token_made(page: Page, site: Site) -> None:
    make(page, site, f"Made {page.evaluate('Date.now()')}, {LONG}"[:80])


@state()
def tokens(page: Page, site: Site) -> None:
    make(page, site, f"Listed {page.evaluate('Date.now()')}")
    page.goto(f"{site.url}{PAGE}")
    page.click("tbody tr >> nth=0 >> text=Revoke…")
    page.click("#revoke-form button")
    page.wait_for_selector("[role=status] >> text=Revoked: Listed")
    make(page, site, f"Listed {page.evaluate('Date.now()')}")
    at(page, site, PAGE)


@state(looks=TWO_LOOKS)
def tokens_of_all(page: Page, site: Site) -> None:
    make(page, site, f"Of all {page.evaluate('Date.now()')}")
    at(page, site, "/smtp-admin/tokens")
    page.wait_for_selector("th >> text=Owner")


@state(looks=TWO_LOOKS)
def token_refused(page: Page, site: Site) -> None:
    at(page, site, PAGE)
    page.click("#token-form button")
    page.wait_for_selector("[role=alert]")


@state(looks=TWO_LOOKS)
def token_revoke(page: Page, site: Site) -> None:
    make(page, site, f"Asked for {page.evaluate('Date.now()')}")
    at(page, site, PAGE)
    page.click("tbody tr >> nth=0 >> text=Revoke…")
    page.wait_for_selector("#revoke-form")


@pytest.mark.parametrize("name", STATES)
def test_page(page: Page, site: Site, name: str) -> None:
    bring_about, looks = STATES[name]
    bring_about(page, site)
    assert inspect(page, name, looks) == []


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_from_a_form_to_an_answer(page: Page, site: Site, scripts: bool) -> None:
    """Made, used by a program, revoked: by the page alone."""
    token = make(page, site, f"CRM {'with' if scripts else 'without'} scripts")
    request = Request(f"{site.url}/api/email/status", headers={"Authorization": f"Bearer {token}"})
    with urlopen(request) as answer:
        assert answer.status == 200
    assert page.locator("#made button").is_visible() is scripts
    at(page, site, PAGE)
    assert token not in page.content()
    row = page.locator("tbody tr").first
    assert "Working" in row.inner_text()
    row.locator("text=Revoke…").click()
    page.click("#revoke-form button")
    page.wait_for_selector("[role=status] >> text=Revoked: CRM")
    assert "Revoked" in page.locator("tbody tr").first.inner_text()
