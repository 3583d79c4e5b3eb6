"""The pages of e-mail templates: how they look, and writing one by keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .inspection import TWO_LOOKS, inspect
from .site import Site
from .states import States, at

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Page

pytestmark = pytest.mark.browser

ACME = "/smtp-admin/templates/partners/acme"
EDITOR = f"{ACME}/welcome/de"
STATES = States()


@STATES.add()
def overview(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/templates/")


@STATES.add()
def types(page: Page, site: Site) -> None:
    at(page, site, ACME)
    page.wait_for_selector("text=Workspace invitation")


@STATES.add()
def editor(page: Page, site: Site) -> None:
    at(page, site, EDITOR)
    preview(page).locator("text=Ihr Konto ist bereit. Schön").wait_for()


@STATES.add(TWO_LOOKS)
def mistake(page: Page, site: Site) -> None:
    at(page, site, EDITOR)
    page.fill("#html", "<p>{{ nobody }}</p>")
    page.click("text=/^Save$/")
    page.wait_for_selector("text=Line 1, column 7")
    page.click("#form-error >> text=HTML")
    assert page.evaluate("document.activeElement.id") == "html"


@STATES.add()
def compared(page: Page, site: Site) -> None:
    at(page, site, EDITOR)
    lines = page.input_value("#html").split("\n")
    page.fill("#html", "\n".join([*lines[:2], "<p>Eine neue Zeile</p>", "<p>Moin</p>", *lines[5:]]))
    page.fill("#text", page.input_value("#text") + "\nNoch eine Zeile, <b>länger</b> als andere.")
    page.click("text=/^Compare$/")
    page.wait_for_selector("#compare >> text=Noch eine Zeile")


@STATES.add(TWO_LOOKS)
def another_language(page: Page, site: Site) -> None:
    at(page, site, ACME)
    page.select_option("#type", "welcome")
    page.fill("#language", "it")
    page.click("text=/^Begin$/")
    page.wait_for_selector("text=There is no text in Italian yet.")


@STATES.add(TWO_LOOKS)
def no_language(page: Page, site: Site) -> None:
    at(page, site, ACME)
    page.fill("#language", "dutch")
    page.click("text=/^Begin$/")
    page.click("#begin [role=alert] a")
    assert page.evaluate("document.activeElement.id") == "language"


def preview(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[name=template-preview]")


@pytest.mark.parametrize("who", ["admin"])
@pytest.mark.parametrize("name", STATES)
def test_page(page: Page, site: Site, name: str) -> None:
    bring_about, looks = STATES[name]
    bring_about(page, site)
    assert inspect(page, f"templates_{name}", looks) == []


@pytest.mark.parametrize("who", ["partner"])
def test_by_keyboard(page: Page, site: Site) -> None:
    """Write, see a mistake, mend it, look, send it to oneself, save, and go back."""
    site.save("acme")
    at(page, site, EDITOR)
    page.focus("#html")
    page.keyboard.press("Control+A")
    page.keyboard.type("<p>Moin {{ nam }}</p>")
    preview(page).locator("text=is undefined").wait_for()
    for _ in range(len("nam }}</p>")):
        page.keyboard.press("Backspace")
    page.keyboard.type("name }}</p>")
    preview(page).locator("text=Moin Sam").wait_for()
    page.focus("[aria-label='Insert {{ app_name }}']")
    page.keyboard.press("Enter")
    assert page.input_value("#html") == "<p>Moin {{ name }}</p>{{ app_name }}"
    assert page.evaluate("document.activeElement.id") == "html"
    page.focus("text=Send to me")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=is on its way to mia@acme.example")
    page.focus("text=/^Save$/")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Your own text applies.")
    page.focus("text=Use the shipped text")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=The shipped text is used again.")
    assert "Moin" not in page.input_value("#html")


@pytest.mark.parametrize(("who", "scripts"), [("admin", False)])
def test_without_scripts_a_button_shows_the_preview(page: Page, site: Site) -> None:
    at(page, site, EDITOR)
    for name in ("login_url", "brand.footer", "unsubscribe_url"):
        assert page.locator(f"#template-variables >> text={name}").count() == 1
    page.fill("#html", "<p>Moin {{ name }}</p>")
    page.click("text=/^Preview$/")
    preview(page).locator("text=Moin Sam").wait_for()
    page.click("text=Preview as text")
    preview(page).locator("text=Willkommen bei").first.wait_for()
    assert page.url.endswith(EDITOR)
    page.click("text=/^Compare$/")
    row = page.locator("#compare tr", has_text="Moin {{ name }}")
    assert row.locator("th").text_content() == "~changed"
    assert page.input_value("#html") == "<p>Moin {{ name }}</p>"
