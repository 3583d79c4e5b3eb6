"""History, rolling back, explanations and tests from two places: seen, and used without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.scripted import Reply

from .inspection import TWO_LOOKS, inspect
from .site import Site
from .states import States, at

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ACME = "/smtp-admin/partners/acme"
GLOBEX = "/smtp-admin/partners/globex"  # never saved by any test in here
BOTH = "text=Test from the worker too"
REFUSED = Reply("535 5.7.8 Who are you?")

STATES = States()
state = STATES.add


def saved_often(site: Site) -> int:
    """Three revisions that differ in all kinds of fields; the number of the first."""
    first = site.save("acme", from_name="Acme support", max_per_hour=80)
    site.save("acme", port=2525, security="ssl", reply_to="support@acme.example")
    site.save("acme", from_name="Acme", max_per_hour=None, fallback=True)
    return first


@state(looks=TWO_LOOKS)
def history_empty(page: Page, site: Site) -> None:
    at(page, site, f"{GLOBEX}/history")
    page.wait_for_selector("text=There are no revisions yet.")


@state()
def history(page: Page, site: Site) -> None:
    """The newest one was tested, from both places; one was rolled back to."""
    first = saved_often(site)
    at(page, site, f"{ACME}/rollback?number={first}")
    page.click("button >> text=Roll back to revision")
    page.wait_for_selector("text=with the values of revision")
    site.smtp.behave("auth", REFUSED)
    page.click(BOTH)
    page.wait_for_selector("text=No worker is running.")
    site.smtp.behave("auth", None)
    site.work()
    page.wait_for_selector("text=From the worker: it works.")
    page.click("nav >> text=History")
    page.wait_for_selector(f"text=Back to revision {first}")
    assert page.locator("tbody tr").count() >= 4
    assert page.locator(".smtp-admin-badge").count() == 1


@state(looks=TWO_LOOKS)
def compare(page: Page, site: Site) -> None:
    first = saved_often(site)
    at(page, site, f"{ACME}/history")
    page.select_option("#from", str(first))
    page.click("button >> text=Compare")
    page.wait_for_selector("text=Everything else is the same.")


@state(looks=TWO_LOOKS)
def compare_same(page: Page, site: Site) -> None:
    first = saved_often(site)
    at(page, site, f"{ACME}/history?from={first}&to={first}")
    page.wait_for_selector("text=The two revisions are identical")


@state(looks=TWO_LOOKS)
def rollback(page: Page, site: Site) -> None:
    first = saved_often(site)
    at(page, site, f"{ACME}/history")
    page.click(f"#revision-{first} >> text=Roll back")
    page.wait_for_selector("text=This creates a new revision, so nothing is lost.")


@state(looks=TWO_LOOKS)
def rollback_without_effect(page: Page, site: Site) -> None:
    site.save("acme")
    newest = site.save("acme")
    at(page, site, f"{ACME}/rollback?number={newest - 1}")
    # The same values, but the password was entered again.
    page.click("button >> text=Roll back to revision")
    at(page, site, f"{ACME}/rollback?number={newest - 1}")
    page.wait_for_selector("text=nothing would change")
    assert page.locator(".smtp-admin form").count() == 0


@state(looks=TWO_LOOKS)
def rollback_overtaken(page: Page, site: Site) -> None:
    first = saved_often(site)
    at(page, site, f"{ACME}/rollback?number={first}")
    site.save("acme", from_name="Meanwhile")
    page.click("button >> text=Roll back to revision")
    page.wait_for_selector("text=Olga Other saved these settings while you were deciding.")
    page.wait_for_selector("td >> text=Meanwhile")


@state(looks=TWO_LOOKS)
def explain(page: Page, site: Site) -> None:
    saved_often(site)
    at(page, site, ACME)
    page.click("nav >> text=More")
    page.click("nav >> text=Explain")
    page.select_option("#type", "password_reset")
    page.click("button >> text=Explain")
    page.wait_for_selector("h2 >> text=Password reset")


@state(looks=TWO_LOOKS)
def explain_unconfigured(page: Page, site: Site) -> None:
    at(page, site, f"{GLOBEX}/explain?type=message")
    page.wait_for_selector("text=the partner has saved no settings")


@state(looks=TWO_LOOKS)
def both_waiting(page: Page, site: Site) -> None:
    site.save("acme")
    at(page, site, ACME)
    page.click(BOTH)
    page.wait_for_selector("text=No worker is running.")


@state()
def both_differ(page: Page, site: Site) -> None:
    """Refused here, taken there; the page notices by itself when the worker has answered."""
    site.save("acme")
    at(page, site, ACME)
    site.smtp.behave("auth", REFUSED)
    page.click(BOTH)
    page.wait_for_selector("text=No worker is running.")
    site.smtp.behave("auth", None)
    site.work()
    page.wait_for_selector("text=The results differ at")


@pytest.mark.parametrize("name", STATES)
def test_page(page: Page, site: Site, name: str) -> None:
    bring_about, looks = STATES[name]
    bring_about(page, site)
    assert inspect(page, name, looks) == []


@pytest.mark.parametrize("scripts", [False])
def test_without_scripts(page: Page, site: Site) -> None:
    """Test from both places, look again; go back to an old revision; see it in the history."""
    first = saved_often(site)
    at(page, site, f"{ACME}/history")
    page.click(f"#revision-{first} >> text=Roll back")
    page.click("button >> text=Roll back to revision")
    page.wait_for_selector(f"text=with the values of revision {first}.")
    assert page.input_value("#from_name") == "Acme support"
    page.fill("#from_name", "Only on the screen")
    page.click(BOTH)
    page.wait_for_selector("text=No worker is running.")
    assert page.input_value("#from_name") == "Only on the screen"
    site.work()
    page.click("a >> text=Check again")
    page.wait_for_selector("text=From the worker: it works.")
    page.wait_for_selector("text=From the web: it works.")
    page.click("nav >> text=History")
    assert "in use" in page.inner_text("tbody tr:first-child")
    assert page.inner_text("tbody tr:first-child").count("Works") == 2
