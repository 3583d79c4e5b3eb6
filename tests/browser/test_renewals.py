"""The pages of renewal reminders, in every state, and the countdown of the customer's page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from datetime import time as clock
from typing import TYPE_CHECKING

import pytest

from .inspection import ALL_LOOKS, TWO_LOOKS, Look, inspect
from .site import Site
from .test_pages import State, at

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

BASE = "/smtp-admin/renewals"
ACME = f"{BASE}/partners/acme"
MINE = f"{BASE}/remind-me"
STATES: dict[str, tuple[str, State, tuple[Look, ...]]] = {}


def state(who: str = "admin", looks: tuple[Look, ...] = ALL_LOOKS) -> Callable[[State], State]:
    """List a function that brings a page into a state, for the one who sees it."""

    def add(function: State) -> State:
        STATES[f"renewals_{function.__name__}"] = (who, function, looks)
        return function

    return add


@state()
def overview(page: Page, site: Site) -> None:
    site.save("acme")
    site.remind(enabled=True)
    site.run_renewals()
    at(page, site, f"{BASE}/")
    page.wait_for_selector("text=as the system")


@state("partner")
def settings_off(page: Page, site: Site) -> None:
    site.remind("acme")
    at(page, site, ACME)
    page.wait_for_selector("text=Reminders are off")


@state()
def settings_on(page: Page, site: Site) -> None:
    """With warnings beside two fields, and reports with reasons."""
    site.save("acme")
    site.remind(enabled=True, on_demand_min_hours=168, min_hours=168, steps=(7, 3, 1),
                quiet_from=clock(22), quiet_to=clock(7), time_zone="Europe/Berlin")  # fmt: skip
    site.run_renewals()
    at(page, site, ACME)
    assert page.locator(".smtp-admin-advice").count() >= 2
    page.wait_for_selector("text=There is no valid mail address.")


@state(looks=TWO_LOOKS)
def settings_of_the_system(page: Page, site: Site) -> None:
    at(page, site, f"{BASE}/system")
    assert page.locator("#own").count() == 0


@state()
def settings_inherited(page: Page, site: Site) -> None:
    """The box of own settings sets fields free, and takes them back to what applies."""
    at(page, site, f"{BASE}/partners/globex")
    assert page.is_disabled("#min_hours")
    page.check("#own")
    page.fill("#min_hours", "36")
    page.check("#enabled")
    page.uncheck("#own")
    assert page.is_disabled("#min_hours")
    assert page.input_value("#min_hours") == "48"
    assert not page.is_checked("#enabled")
    page.check("#own")
    assert page.input_value("#min_hours") == "36"
    assert page.is_checked("#enabled")
    page.uncheck("#own")


@state("partner")
def settings_switching_on(page: Page, site: Site) -> None:
    """It says whom it will mail before anything is saved."""
    site.remind(enabled=False)
    at(page, site, ACME)
    page.check("#enabled")
    page.click("button >> text=/^Save$/")
    page.wait_for_selector("text=Nothing is saved yet.")
    page.wait_for_selector("text=Dana Dietrich")


@state(looks=TWO_LOOKS)
def settings_run_now(page: Page, site: Site) -> None:
    site.save("acme")
    site.remind(enabled=True)
    at(page, site, ACME)
    page.click("button >> text=Run now")
    page.wait_for_selector("text=queued.")


@state("partner")
def settings_wrong(page: Page, site: Site) -> None:
    site.remind(enabled=True)
    at(page, site, ACME)
    for field, text in (("window_days", ""), ("steps", "never"), ("min_hours", "0"),
                        ("on_demand_min_hours", "many"), ("quiet_from", "late"),
                        ("time_zone", "Mars/Olympus_averyveryverylongname" * 2)):  # fmt: skip
        page.fill(f"#{field}", text)
    page.click("button >> text=/^Save$/")
    page.wait_for_selector("[aria-invalid=true]")
    assert page.locator("[aria-invalid=true]").count() == 6


@state(looks=TWO_LOOKS)
def settings_saved(page: Page, site: Site) -> None:
    site.remind(enabled=True)
    at(page, site, ACME)
    page.click("button >> text=/^Save$/")
    page.wait_for_selector("text=Saved. Reminders are on")


@state(looks=TWO_LOOKS)
def settings_too_late(page: Page, site: Site) -> None:
    site.remind(enabled=True)
    at(page, site, ACME)
    site.remind(enabled=True)
    page.click("button >> text=/^Save$/")
    page.wait_for_selector("text=Olga Other saved the renewal settings while")


@state()
def calendar(page: Page, site: Site) -> None:
    site.save("acme")
    site.remind(enabled=True)
    at(page, site, f"{ACME}/calendar")
    page.wait_for_selector("text=Dana Dietrich")
    page.click("summary")


@state("partner", looks=TWO_LOOKS)
def calendar_off(page: Page, site: Site) -> None:
    site.remind()
    at(page, site, f"{ACME}/calendar")
    page.wait_for_selector("text=This shows what would be sent if they were on.")


@state(looks=TWO_LOOKS)
def calendar_empty(page: Page, site: Site) -> None:
    at(page, site, f"{BASE}/partners/initech/calendar")
    page.wait_for_selector("text=nothing expires in the next weeks")


@state()
def preview(page: Page, site: Site) -> None:
    site.save("acme")
    site.remind(enabled=True)
    at(page, site, f"{ACME}/calendar")
    page.click("text=Dana Dietrich")
    page.wait_for_selector("text=The mail")
    page.frame_locator("iframe").locator("text=dietrich.example, domain").wait_for()
    page.click("text=As text")
    page.wait_for_selector("pre >> text=dietrich.example, domain")


@state("customer")
def customer_may(page: Page, site: Site) -> None:
    site.save("acme")
    site.remind(enabled=True)
    at(page, site, MINE)
    page.wait_for_selector("text=castner.example, domain")
    assert page.is_enabled("text=Send me a reminder now")


@state("customer")
def customer_too_soon(page: Page, site: Site) -> None:
    site.save("acme")
    site.remind(enabled=True, last=timedelta(minutes=1))
    at(page, site, MINE)
    page.wait_for_selector("text=/in 23:5[0-9]:[0-9][0-9]/")
    assert page.is_disabled("text=Send me a reminder now")


@state("customer", looks=TWO_LOOKS)
def customer_sent(page: Page, site: Site) -> None:
    site.save("acme")
    site.remind(enabled=True)
    at(page, site, MINE)
    page.click("text=Send me a reminder now")
    page.wait_for_selector("text=A reminder is being sent to carl@customer.example.")


@state("customer", looks=TWO_LOOKS)
def customer_off(page: Page, site: Site) -> None:
    site.remind()
    at(page, site, MINE)
    page.wait_for_selector("text=Reminders are switched off here.")


@state("customer")
def customer_dashboard(page: Page, site: Site) -> None:
    """The button in the host's own page."""
    site.save("acme")
    site.remind(enabled=True, last=timedelta(minutes=1))
    at(page, site, "/")
    page.wait_for_selector("text=/in 23:5[0-9]:[0-9][0-9]/")


@state("nobody")
def unsubscribe(page: Page, site: Site) -> None:
    at(page, site, f"/unsubscribe/{site.remind(enabled=True)}")
    page.wait_for_selector("text=Acme GmbH reminds you")


@state("nobody", looks=TWO_LOOKS)
def unsubscribed(page: Page, site: Site) -> None:
    at(page, site, f"/unsubscribe/{site.remind(enabled=True)}")
    page.click("button >> text=No more reminders")
    page.wait_for_selector("text=Done: no more reminders of Acme GmbH.")


@state("nobody", looks=TWO_LOOKS)
def unsubscribe_unknown(page: Page, site: Site) -> None:
    at(page, site, "/unsubscribe/nonsense", 404)


@pytest.mark.parametrize(("name", "who"), [(name, who) for name, (who, *_) in STATES.items()])
def test_page(page: Page, site: Site, name: str, who: str) -> None:
    _, bring_about, looks = STATES[name]
    bring_about(page, site)
    assert inspect(page, name, looks) == []


@pytest.mark.parametrize("who", ["customer"])
def test_the_countdown_ends_in_a_button(page: Page, site: Site) -> None:
    site.save("acme")
    site.remind(enabled=True, last=timedelta(hours=24) - timedelta(minutes=5))
    page.clock.install()
    at(page, site, MINE)
    assert page.is_disabled("text=Send me a reminder now")
    assert page.locator("[role=timer]").text_content()
    page.clock.fast_forward("05:01")
    page.wait_for_selector("button:not([disabled]) >> text=Send me a reminder now")
    assert page.locator("text=Possible again").count() == 0
    site.remind(enabled=True, last=timedelta(hours=24))
    page.click("text=Send me a reminder now")
    page.wait_for_selector("text=A reminder is being sent to")


@pytest.mark.parametrize(("who", "scripts"), [("customer", False)])
def test_without_scripts_the_page_says_when(page: Page, site: Site) -> None:
    site.save("acme")
    site.remind(enabled=True, last=timedelta(hours=3, minutes=30))
    at(page, site, MINE)
    when = page.get_attribute("time >> nth=-1", "datetime")
    assert when
    left = datetime.fromisoformat(when) - datetime.now(UTC)
    assert timedelta(hours=20) < left < timedelta(hours=21)
    page.wait_for_selector("text=in 20 hours 30 minutes.")
    site.remind(enabled=True)
    page.reload()
    page.click("text=Send me a reminder now")
    page.wait_for_selector("text=A reminder is being sent to")


@pytest.mark.parametrize("who", ["customer"])
def test_a_clock_that_is_wrong_does_not_shorten_the_countdown(page: Page, site: Site) -> None:
    site.save("acme")
    site.remind(enabled=True, last=timedelta(minutes=1))
    page.clock.install(time=datetime.now(UTC) + timedelta(days=2))
    at(page, site, MINE)
    page.wait_for_selector("text=/in 23:5[0-9]:[0-9][0-9]/")
    assert page.is_disabled("text=Send me a reminder now")
