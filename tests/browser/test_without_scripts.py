"""The SMTP tab in a browser that runs no scripts: everything works, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.scripted import Reply

from .site import LOGIN, MAIL_PASSWORD, Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SAVE = "button >> text=/^Save$/"
TEST = "text=Test connection"
SEND = "text=Send test mail"


@pytest.fixture
def scripts() -> bool:
    """None."""
    return False


@pytest.fixture
def tab(page: Page, site: Site) -> Page:
    """The tab of a partner whose settings are saved."""
    site.save("acme")
    page.goto(f"{site.url}/smtp-admin/partners/acme")
    return page


def shown(page: Page, text: str, part: str = "main") -> bool:
    """Wait for a text; whether it can be read at once, without scrolling down to it."""
    found = page.wait_for_selector(f"{part} >> text={text}")
    size = page.viewport_size
    assert found is not None
    assert size is not None
    for _ in range(400):  # a page that has just come is still on its way to what the address names
        box = found.bounding_box()
        if box is not None and 0 <= box["y"] < size["height"]:
            return True
        page.wait_for_timeout(50)
    return False


def test_fill_in_test_and_save(page: Page, site: Site) -> None:
    """From an empty tab to settings that are saved; a password is never sent back to a page."""
    page.goto(f"{site.url}/smtp-admin/partners/umbrella")
    typed = {
        "host": "localhost",
        "port": str(site.smtp.port),
        "username": LOGIN,
        "from_email": "noreply@umbrella.example",
    }
    for field, text in typed.items():
        page.fill(f"#{field}", text)
    page.fill("#password", MAIL_PASSWORD)
    page.click(TEST)
    assert shown(page, "It works.")
    assert shown(page, "These settings are not saved yet.")
    page.click("#connection-test a >> text=Password")
    assert page.evaluate("document.activeElement.id") == "password"
    assert {field: page.input_value(f"#{field}") for field in typed} == typed
    assert MAIL_PASSWORD not in page.content()

    page.click(SAVE)  # the password is missing now, and the page says so
    assert shown(page, "Enter the password for this login.")
    page.fill("#password", MAIL_PASSWORD)
    page.click(SAVE)
    assert shown(page, "Saved as revision 1.")
    assert {field: page.input_value(f"#{field}") for field in typed} == typed
    page.reload()
    assert not page.is_visible("text=Saved as revision 1.")


def test_the_fields_of_the_chosen_way_to_sign_in(tab: Page) -> None:
    tab.click("#oauth > summary")
    tab.select_option("#sign_in", "microsoft_app")
    tab.click("text=Show the fields for it")
    assert shown(tab, "Directory (tenant) ID")
    assert tab.is_visible("#oauth_secret")
    assert tab.is_hidden("#oauth_authorize_url")
    assert tab.is_visible("text=Make a key pair and save")


def test_failed_test_is_explained(tab: Page, site: Site) -> None:
    site.smtp.behave("auth", Reply("535 5.7.8 Not you."))
    tab.click(TEST)
    assert shown(tab, "The server refused the user name or password.")
    assert shown(tab, "Not you.")
    assert shown(tab, "What to do:")


def test_fields_say_what_is_wrong(tab: Page) -> None:
    tab.fill("#port", "many")
    tab.click(SAVE)
    tab.wait_for_selector("#port[aria-invalid=true]")
    described = tab.get_attribute("#port", "aria-describedby")
    assert described is not None
    assert "A port is a whole number" in str(tab.text_content(f"#{described.split()[0]}"))
    assert tab.input_value("#port") == "many"


def test_saved_settings_send_through_the_queue(tab: Page, site: Site) -> None:
    tab.fill("#to", "person@customer.example")
    tab.click(SEND)
    assert shown(tab, "Queued to person@customer.example")
    site.work()
    tab.click("text=Check again")
    assert shown(tab, "The server took the mail to person@customer.example.")


def test_unsaved_settings_send_at_once(tab: Page) -> None:
    tab.fill("#from_name", "Only on the screen")
    tab.click(SEND)
    assert shown(tab, "These settings are not saved yet")
    assert tab.input_value("#from_name") == "Only on the screen"


def test_refused_test_mail_shows_the_servers_words(tab: Page, site: Site) -> None:
    site.smtp.behave("rcpt", Reply("550 5.1.1 No such person"))
    tab.click(SEND)
    site.work()
    tab.click("text=Check again")
    assert shown(tab, "Not delivered")
    assert shown(tab, "No such person")


def test_enter_in_the_test_mails_address_does_no_harm(tab: Page) -> None:
    """The field belongs to a form whose first button is Save; nobody means that here."""
    revision = tab.input_value("#revision")
    before = tab.url
    tab.fill("#to", "person@customer.example")
    tab.press("#to", "Enter")
    tab.wait_for_timeout(300)
    assert tab.url == before
    assert tab.input_value("#to").strip() == "person@customer.example"
    tab.click(SEND)
    assert shown(tab, "Queued to person@customer.example")
    assert tab.input_value("#revision") == revision


def test_settings_are_found_and_saved(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/smtp-admin/partners/umbrella")
    revision = int(page.input_value("#revision"))
    if not page.is_visible("#address"):
        page.click("#find > summary")
    page.fill("#address", "acme@acme.example")
    page.press("#address", "Enter")
    assert shown(page, "answers, encrypts, has a valid certificate and offers a login.")
    assert page.input_value("#port") == str(site.smtp.port)
    assert page.input_value("#revision") == str(revision)
    page.fill("#username", LOGIN)
    page.fill("#password", MAIL_PASSWORD)
    page.fill("#from_name", "Found")
    page.click(SAVE)
    assert shown(page, f"Saved as revision {revision + 1}.")


def test_a_limit_is_taken(page: Page, site: Site) -> None:
    site.save("acme", host="smtp.office365.com", port=587, username="sam@acme.example")
    page.goto(f"{site.url}/smtp-admin/partners/acme")
    page.click("#more > summary")
    page.click("button >> text=Use it")
    assert shown(page, "filled in, not saved yet")
    assert page.input_value("#max_per_hour") == "1800"
    page.click(SAVE)
    assert shown(page, "Saved as revision")
    assert page.input_value("#max_connections") == "3"


def test_dns_is_checked_again(page: Page, site: Site) -> None:
    site.save("acme", from_email="nobody.asked@acme.example")  # what was found is remembered
    page.goto(f"{site.url}/smtp-admin/partners/acme")
    page.click("text=Deliverability")
    assert shown(page, "It takes a few seconds")
    page.click("text=Check now")
    assert shown(page, "What DNS says about acme.example")
    page.click("text=Check again")
    assert shown(page, "just now")
    assert not page.is_visible("button >> text=Copy"), "a button that only a script could serve"


def test_another_way_of_sending(tab: Page) -> None:
    tab.select_option("#driver-choice", "sendmail")
    tab.click("text=Use this")
    assert shown(tab, "Shows the fields of this method below")
    assert tab.locator("#host").count() == 0
    assert tab.input_value("#from_email") == "noreply@acme.example"


def test_a_sender_is_added_routed_and_deleted(tab: Page, site: Site) -> None:
    tab.click("text=Add a sender")
    tab.fill("#label", "Invoices")
    tab.click("text=Continue")
    assert shown(tab, "Not saved yet.")
    tab.select_option("#preset", "gmail")
    tab.click("text=Fill in")
    assert shown(tab, "Host, port and security are filled in below")
    assert tab.input_value("#label") == "Invoices"
    typed = {"host": "localhost", "port": str(site.smtp.port), "from_email": "bill@acme.example"}
    for field, text in typed.items():
        tab.fill(f"#{field}", text)
    tab.click(TEST)
    tab.wait_for_selector("#connection-test >> text=nothing was sent")
    assert tab.input_value("#label") == "Invoices"
    tab.click(SAVE)
    assert shown(tab, "Saved as revision")
    tab.click("text=Routes")
    tab.select_option("#type-renewal", "invoices")
    tab.click(SAVE)
    assert shown(tab, "New mail uses these routes.")
    tab.click("text=Invoices")
    tab.click("text=Delete…")
    assert shown(tab, "These routes are removed: Renewal reminder.")
    tab.click("button >> text=Delete")
    assert shown(tab, "Deleted: Invoices.")


def test_a_report_can_be_selected(tab: Page, site: Site) -> None:
    site.smtp.behave("auth", Reply("535 5.7.8 Not you."))
    tab.click(TEST)
    assert not tab.is_visible("text=Copy report"), "a button that only a script could serve"
    tab.click("text=Report for the provider's support")
    assert tab.input_value("#report").startswith("Connection test, ")


def test_pause_and_resume(tab: Page) -> None:
    tab.click("button >> text=Pause")
    assert shown(tab, "Mail waits until someone resumes it.")
    tab.click("button >> text=Resume")
    assert shown(tab, "Resumed. Waiting mail is being sent.")


def test_from_a_symptom_to_its_causes(tab: Page) -> None:
    """By links and details alone, and by keyboard."""
    tab.click("nav >> text=/^Troubleshooting$/")
    assert shown(tab, "What do you see?")
    tab.focus("text=/^Mail arrives late$/")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/symptoms#delayed")
    assert shown(tab, "That shows on which side the delay is", "#delayed")
    tab.focus("#delayed summary")
    tab.keyboard.press("Enter")
    assert tab.is_visible("#delayed >> text=greylisting")


def test_a_fix_is_applied_and_tested(tab: Page, site: Site) -> None:
    site.smtp.behave("mail", Reply("553 5.7.1 Sender address rejected: not owned by user"))
    tab.fill("#username", "sam@acme.example")
    tab.fill("#password", MAIL_PASSWORD)
    site.smtp.behave("auth", Reply("235 2.7.0 Welcome"))
    tab.click(TEST)
    tab.fill("#password", MAIL_PASSWORD)  # no page sends it back
    site.smtp.behave("mail", None)
    tab.click("text=Send from sam@acme.example and test again")
    assert shown(tab, "It works.")
    assert tab.input_value("#from_email") == "sam@acme.example"
    assert shown(tab, "Enter this again before you save: Password.")
    tab.fill("#password", MAIL_PASSWORD)
    tab.click("text=Save these settings")
    assert shown(tab, "Saved as revision")


def test_advice_is_applied_and_nothing_saved(tab: Page) -> None:
    revision = tab.input_value("#revision")
    tab.fill("#host", "smtp.gmial.com")
    tab.fill("#password", MAIL_PASSWORD)
    tab.click(SAVE)
    assert shown(tab, "Saved as revision")
    tab.fill("#from_name", "Typed")
    tab.click("#host-notes button")
    tab.wait_for_selector("#host[value='smtp.gmail.com']")
    assert tab.input_value("#from_name") == "Typed"
    assert tab.input_value("#revision") == str(int(revision) + 1)
