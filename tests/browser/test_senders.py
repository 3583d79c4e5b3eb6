"""Several senders, sending methods, routes: seen in every look, used by keyboard and by mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.scripted import Reply

from .inspection import ALL_LOOKS, TWO_LOOKS, inspect
from .site import Site
from .test_pages import ACME, LONG, SAVE, TEST, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

NEWS = f"{ACME}/senders/newsletters"


@pytest.fixture(autouse=True)
def alone_again(site: Site) -> Iterator[None]:
    """Leave each partner with its default sender: other tests look at that."""
    yield
    for key in ("newsletters", "invoices", LONG[:40]):
        site.delete("acme", key)
    site.save("acme")


@pytest.fixture
def two(site: Site) -> None:
    """Acme with two senders."""
    site.save("acme")
    site.save("acme", "newsletters", "Newsletters", fallbacks=("default", "system"))


def test_one_sender_offers_another(page: Page, site: Site) -> None:
    site.save("acme")
    at(page, site, ACME)
    assert page.locator(".smtp-admin-senders").count() == 0
    page.click("text=Add a sender")
    page.wait_for_selector("h2 >> text=Add a sender")
    assert inspect(page, "senders_one", TWO_LOOKS) == []


@pytest.mark.usefixtures("two")
def test_bar_of_senders(page: Page, site: Site) -> None:
    site.save("acme", LONG[:40], LONG[:60])
    at(page, site, NEWS)
    page.wait_for_selector("h2 >> text=Sender: Newsletters")
    assert inspect(page, "tab_of_several") == []
    page.click("text=All senders")
    page.wait_for_selector("h2 >> text=Add a sender")
    assert inspect(page, "senders") == []


def test_a_sender_is_added(page: Page, site: Site) -> None:
    site.save("acme")
    at(page, site, f"{ACME}/senders")
    page.fill("#label", "Invoices")
    page.press("#label", "Enter")
    page.wait_for_selector("text=Not saved yet.")
    assert page.input_value("#label") == "Invoices"
    assert inspect(page, "sender_new", TWO_LOOKS) == []
    page.fill("#host", "localhost")
    page.fill("#port", str(site.smtp.port))
    page.fill("#from_email", "invoices@acme.example")
    page.click(TEST)
    page.wait_for_selector("#connection-test >> text=nothing was sent")
    page.click(SAVE)
    page.wait_for_selector("text=Saved as revision")
    assert page.url.endswith("/partners/acme/senders/invoices")
    assert page.locator(".smtp-admin-senders [aria-current]").inner_text().startswith("Invoices")


@pytest.mark.usefixtures("two")
def test_a_key_that_is_taken(page: Page, site: Site) -> None:
    at(page, site, f"{ACME}/senders")
    page.fill("#label", "Newsletters")
    page.press("#label", "Enter")
    page.wait_for_selector("#label-error >> text=already")
    assert inspect(page, "senders_taken", TWO_LOOKS) == []


def test_ways_of_sending(page: Page, site: Site) -> None:
    """Another way shows its fields at once; what was typed into a shared one stays."""
    site.save("acme", from_name="Saved")
    at(page, site, ACME)
    page.fill("#from_email", "typed@acme.example")
    page.click("text=Compare the sending methods")
    assert inspect(page, "ways_compared", TWO_LOOKS) == []
    page.focus("#driver-choice")
    page.select_option("#driver-choice", "sendmail")
    page.wait_for_selector("#host", state="detached")
    assert page.input_value("#from_email") == "typed@acme.example"
    assert page.input_value("#from_name") == "Saved"
    assert page.input_value("#driver") == "sendmail"
    assert page.evaluate("document.activeElement.id") == "driver-choice"
    assert inspect(page, "sendmail") == []
    page.select_option("#driver-choice", "smtp")
    page.wait_for_selector("#host")
    assert page.input_value("#host") == "localhost"


def test_kept_mail_is_told_on_every_page(page: Page, site: Site) -> None:
    site.save("acme", driver="memory")
    for path in ("/", "/partners", "/system", "/partners/acme", "/renewals/", "/partners/nobody"):
        page.goto(f"{site.url}/smtp-admin{path}")
        assert "Acme GmbH is kept, not sent." in page.inner_text("#kept-mail")
    at(page, site, ACME)
    assert inspect(page, "kept", TWO_LOOKS) == []


@pytest.mark.parametrize("who", ["partner"])
def test_what_others_chose_is_read_only(page: Page, site: Site) -> None:
    site.save("acme", driver="sendmail")
    at(page, site, ACME)
    page.wait_for_selector("text=Only the platform's administrators may change this sender")
    assert page.locator(SAVE).count() == 0
    assert inspect(page, "read_only", TWO_LOOKS) == []


@pytest.mark.usefixtures("two")
def test_routes(page: Page, site: Site) -> None:
    at(page, site, ACME)
    page.click("text=Routes")
    page.select_option("#type-renewal", "newsletters")
    page.click(SAVE)
    page.wait_for_selector("text=New mail uses these routes.")
    assert page.input_value("#type-renewal") == "newsletters"
    assert inspect(page, "routes") == []


def test_routes_of_one_sender(page: Page, site: Site) -> None:
    site.save("acme")
    at(page, site, f"{ACME}/routes")
    page.wait_for_selector("text=Nothing to choose yet")
    assert inspect(page, "routes_none", TWO_LOOKS) == []


@pytest.mark.usefixtures("two")
def test_a_sender_is_deleted(page: Page, site: Site) -> None:
    at(page, site, NEWS)
    page.click("text=Delete…")
    page.wait_for_selector("text=Delete Newsletters?")
    assert inspect(page, "delete", TWO_LOOKS) == []
    page.click("button >> text=Delete")
    page.wait_for_selector("text=Deleted: Newsletters.")
    at(page, site, NEWS, 404)
    at(page, site, f"{NEWS}/history")
    page.wait_for_selector("text=This sender was deleted.")
    assert inspect(page, "history_of_deleted", TWO_LOOKS) == []


def test_pause_and_resume(page: Page, site: Site) -> None:
    site.save("acme")
    at(page, site, ACME)
    page.click("button >> text=Pause")
    page.wait_for_selector("text=Mail waits until someone resumes it.")
    assert inspect(page, "paused_by_hand", TWO_LOOKS) == []
    page.click("button >> text=Resume")
    page.wait_for_selector("button >> text=Pause")


def test_report_of_a_failed_test_is_copied(page: Page, site: Site) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    site.save("acme")
    at(page, site, ACME)
    site.smtp.behave("auth", Reply("535 5.7.8 Who are you?"))
    page.click(TEST)
    # What went wrong before may have a report of its own.
    page.click("[data-smtp-admin-copy=report]")
    page.wait_for_selector("[data-smtp-admin-copy=report] >> text=Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("Connection test, ")
    assert "Who are you?" in copied
    page.click("text=Report for the provider's support")
    assert inspect(page, "report", ALL_LOOKS) == []


@pytest.mark.usefixtures("two")
def test_who_steps_in(page: Page, site: Site) -> None:
    at(page, site, NEWS)
    page.click("#more > summary")
    assert page.input_value("#fallbacks") == "default"
    assert page.input_value("#fallbacks-2") == "system"
    page.select_option("#fallbacks", "system")
    page.select_option("#fallbacks-2", "default")
    page.click(SAVE)
    page.wait_for_selector("#fallbacks-error >> text=must be last")
    page.select_option("#fallbacks-2", "")
    page.click(SAVE)
    page.wait_for_selector("text=Saved as revision")
    page.click("#more > summary")
    assert page.input_value("#fallbacks") == "system"
