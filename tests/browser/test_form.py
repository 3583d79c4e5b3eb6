"""The form of a sender: providers, advice, fixes, passwords, and what is not saved yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.scripted import Reply

from .site import LOGIN, MAIL_PASSWORD, Site

if TYPE_CHECKING:
    from playwright.sync_api import Dialog, Page, Route

pytestmark = pytest.mark.browser

ACME = "/smtp-admin/partners/acme"
EMPTY = "/smtp-admin/partners/umbrella"


@pytest.fixture
def tab(page: Page, site: Site) -> Page:
    """The tab of a partner whose settings are saved."""
    site.save("acme")
    page.goto(site.url + ACME)
    return page


def test_a_provider_fills_in_at_once(page: Page, site: Site) -> None:
    page.goto(site.url + EMPTY)
    page.fill("#from_name", "Umbrella")
    groups = page.locator("#preset optgroup").evaluate_all("some => some.map(one => one.label)")
    assert groups == [
        "Mailbox providers",
        "Sending services",
        "Hosting panels and your own server",
        "Test inboxes",
    ]
    page.select_option("#preset", "gmail")
    page.wait_for_selector("#preset-steps >> text=Gmail")
    assert page.input_value("#host") == "smtp.gmail.com"
    assert page.input_value("#from_name") == "Umbrella"  # what was typed stays
    assert page.evaluate("document.activeElement.id") == "preset"
    page.select_option("#preset", "ses")
    page.wait_for_selector("#region")
    page.select_option("#region", "eu-central-1")
    page.wait_for_url(lambda url: "region=eu-central-1" in url)
    assert page.input_value("#host") == "email-smtp.eu-central-1.amazonaws.com"
    assert page.locator("#preset option:checked").inner_text() == "Amazon SES"
    page.select_option("#preset", "mailgun")  # its region is none of Amazon's
    page.wait_for_selector("#preset-steps >> text=Mailgun")
    assert page.input_value("#host") == "smtp.mailgun.org"


def test_the_fields_of_the_chosen_way_to_sign_in(tab: Page) -> None:
    assert tab.is_hidden("#sign_in")  # most people need none of it
    tab.click("#oauth > summary")
    assert tab.is_visible("#sign_in")
    assert tab.is_hidden("#oauth_tenant")
    assert tab.is_visible("#password-hint")
    tab.select_option("#sign_in", "microsoft_app")
    assert tab.is_visible("#oauth_tenant")
    assert tab.is_hidden("#password-hint"), "no password is used now"
    assert tab.is_hidden("#oauth_authorize_url")
    tab.select_option("#sign_in", "google_service")
    assert tab.is_hidden("#oauth_tenant")
    assert tab.is_visible("#oauth_key")
    tab.select_option("#sign_in", "")
    assert tab.is_visible("#password-hint")


def test_what_to_do_for_the_chosen_way_comes_at_once(page: Page, site: Site) -> None:
    """Where the provider wants no password, and before anything is saved."""
    page.goto(site.url + EMPTY)
    page.select_option("#preset", "microsoft365")
    page.select_option("#sign_in", "microsoft_app")
    page.wait_for_selector("#oauth-guidance >> text=Make a key pair and save")
    assert page.is_hidden("#oauth_token_url"), "Microsoft's is known"
    page.fill("#oauth_client_id", "4711")
    page.press("#oauth_client_id", "Tab")
    for _ in range(400):
        if "4711" in page.input_value("#oauth-commands"):
            break
        page.wait_for_timeout(50)
    assert "-AppId 4711" in page.input_value("#oauth-commands")
    page.select_option("#sign_in", "google_service")
    page.wait_for_selector("#oauth-guidance >> text=Google Admin console")
    page.click("button >> text=/^Save$/")
    page.wait_for_selector("#form-error")
    assert page.is_visible("#preset-steps")
    page.select_option("#sign_in", "")
    page.wait_for_selector("#oauth-guidance", state="hidden")


def test_what_was_chosen_before_the_scripts_came_counts(page: Page, site: Site) -> None:
    held: list[Route] = []
    page.route("**/js/fields.js*", lambda route: held.append(route))
    page.goto(site.url + EMPTY, wait_until="commit")
    page.wait_for_selector("#sign_in", state="attached")
    page.eval_on_selector("#sign_in", "one => { one.value = 'google_service'; }")
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.wait_for_selector("#oauth-guidance >> text=Google Admin console")


def test_advice_comes_when_a_field_is_left(tab: Page) -> None:
    tab.fill("#host", "smtp.gmial.com")
    tab.press("#host", "Tab")
    tab.wait_for_selector("#host-notes >> text=Did you mean smtp.gmail.com?")
    tab.click("#host-notes button")
    assert tab.input_value("#host") == "smtp.gmail.com"
    assert tab.evaluate("document.activeElement.id") == "host"
    tab.wait_for_selector("#host-notes:not(:has(p))", state="attached")
    tab.fill("#port", "many")
    tab.press("#port", "Tab")
    tab.wait_for_selector("#port[aria-invalid=true]")
    assert "whole number" in tab.inner_text("#port-notes")
    border = "one => getComputedStyle(one).borderTopColor"
    assert tab.eval_on_selector("#port", border) != tab.eval_on_selector("#host", border)


def test_a_saved_password_is_replaced_on_purpose(tab: Page, site: Site) -> None:
    assert not tab.is_visible("#password")
    tab.click("text=Replace")
    assert tab.evaluate("document.activeElement.id") == "password"
    tab.fill("#password", MAIL_PASSWORD)
    tab.click("[data-smtp-admin-show=password]")
    assert tab.get_attribute("#password", "type") == "text"
    tab.click("[data-smtp-admin-show=password]")
    assert tab.get_attribute("#password", "type") == "password"
    tab.goto(site.url + ACME)
    tab.fill("#port", "2525")  # it was saved for another destination
    assert tab.is_visible("#password")
    assert "enter it again" in tab.inner_text("#password-hint")


def test_a_fix_is_filled_in_and_tested(tab: Page, site: Site) -> None:
    site.smtp.behave("mail", Reply("553 5.7.1 Sender address rejected: not owned by user"))
    tab.fill("#username", "sam@acme.example")
    tab.fill("#password", MAIL_PASSWORD)
    site.smtp.behave("auth", Reply("235 2.7.0 Welcome"))
    tab.click("text=Test connection")
    tab.click("text=Send from sam@acme.example and test again")
    tab.wait_for_function("document.getElementById('from_email').value === 'sam@acme.example'")
    site.smtp.behave("mail", None)
    tab.wait_for_selector("#connection-test button:not([aria-busy]) >> text=Test connection")
    tab.click("text=Test connection")
    tab.wait_for_selector("text=It works.")
    tab.wait_for_selector("button >> text=Save these settings")


def test_a_result_is_of_the_values_that_were_tested(tab: Page) -> None:
    tab.click("text=Test connection")
    tab.wait_for_selector("text=It works.")
    port = tab.input_value("#port")
    assert tab.is_hidden("#stale-test")
    tab.fill("#from_name", "Another name")
    assert tab.is_hidden("#stale-test"), "no test depends on it"
    good = "one => getComputedStyle(one).backgroundColor"
    note = "#connection-test [aria-live] .smtp-admin-note"
    green = tab.eval_on_selector(note, good)
    tab.fill("#port", "2599")
    assert tab.is_visible("#stale-test")
    assert tab.eval_on_selector(note, good) != green
    tab.fill("#port", port)
    assert tab.is_hidden("#stale-test"), "it is what was tested again"
    tab.select_option("#driver-choice", "mailgun")
    tab.wait_for_selector("#stale-test:not([hidden])")
    tab.select_option("#driver-choice", "smtp")
    tab.wait_for_selector("#stale-test[hidden]", state="attached")
    tab.fill("#port", "2599")
    tab.click("text=Test connection")
    tab.wait_for_selector("#connection-test button:not([aria-busy]) >> text=Test connection")
    assert tab.is_hidden("#stale-test"), "the new result is of the new values"


def test_from_a_good_test_to_a_saved_sender(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/smtp-admin/partners/initech/senders/fresh?new=1")
    assert page.inner_text(".smtp-admin-lead [aria-current]") == "Choose your provider"
    assert page.locator(".smtp-admin-spark").count() == 0
    page.fill("#host", "localhost")
    page.fill("#port", str(site.smtp.port))
    page.fill("#username", LOGIN)
    page.fill("#password", MAIL_PASSWORD)
    page.fill("#from_email", "noreply@umbrella.example")
    page.click("text=Test connection")
    page.click("text=Save these settings")
    page.wait_for_selector("text=Saved as revision")
    assert page.inner_text(".smtp-admin-lead [aria-current]") == "Send a test mail"
    last = page.inner_text("[data-smtp-admin-last]")
    assert "It worked" in last
    assert "just now" in last
    page.click("text=Send test mail")
    page.wait_for_selector("#test-mail >> text=Waiting for a worker.")
    site.work()
    page.wait_for_selector("#test-mail >> text=Test mail to ")
    page.wait_for_selector(".smtp-admin-lead-done >> nth=3")
    assert page.is_hidden("#stale-test"), "nothing was changed"
    site.delete("initech", "fresh")


def test_what_is_not_saved_is_not_left_by_accident(tab: Page, site: Site) -> None:
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    tab.on("dialog", answer)
    tab.click("text=History")
    assert asked == []
    tab.goto(site.url + ACME)
    tab.fill("#from_name", "Another name")
    tab.click("text=History")
    tab.wait_for_url("**/history")
    assert asked == ["beforeunload"]


def test_all_that_is_wrong_is_named_and_linked(tab: Page) -> None:
    tab.fill("#host", "")
    tab.fill("#port", "many")
    tab.click("button >> text=/^Save$/")
    tab.wait_for_selector("#form-error >> text=Please fix Host and Port.")
    tab.click("#form-error a >> text=Port")
    assert tab.evaluate("document.activeElement.id") == "port"
    form, notes = (
        tab.locator("#sender-form").bounding_box(),
        tab.locator("#port-error").bounding_box(),
    )
    assert form is not None
    assert notes is not None
    assert notes["width"] > form["width"] * 0.9


def test_no_entry_of_the_list_is_cut_off(tab: Page) -> None:
    for width in (390, 1280):
        tab.set_viewport_size({"width": width, "height": 900})
        tab.select_option("#security", "none")
        spare = tab.eval_on_selector(
            "#security",
            """one => {
              const words = document.createElement("span");
              words.textContent = one.selectedOptions[0].text;
              words.style.font = getComputedStyle(one).font;
              document.body.append(words);
              const width = words.getBoundingClientRect().width;
              words.remove();
              const box = getComputedStyle(one);
              const sides = parseFloat(box.paddingLeft) + parseFloat(box.paddingRight);
              return one.clientWidth - sides - width;
            }""",
        )
        assert spare > 18  # room for the arrow


def test_a_test_after_the_session_ended_keeps_what_was_typed(tab: Page, site: Site) -> None:
    """Signed out: nothing leaves the page, and after signing in again two presses are enough."""
    tab.click("text=Replace")
    tab.fill("#password", MAIL_PASSWORD)
    tab.fill("#from_name", "Typed")
    cookies: Any = tab.context.cookies()
    tab.context.clear_cookies()
    tab.click("#connection-test button")
    note = tab.locator("#connection-test [data-smtp-admin-unsent]")
    note.get_by_text("You are signed out.").wait_for()
    assert ACME in (note.get_by_role("link").get_attribute("href") or "").replace("%2F", "/")
    assert tab.url == site.url + ACME
    tab.context.add_cookies(cookies)
    tab.evaluate("document.querySelector('#sender-form [name=csrf_token]').value = 'old'")
    tab.click("#connection-test button")
    note.get_by_text("This page was open for too long.").wait_for()
    assert tab.input_value("#password") == MAIL_PASSWORD
    tab.click("#connection-test button")
    tab.wait_for_selector("#connection-test >> text=It works.")
    assert tab.input_value("#from_name") == "Typed"


def test_saving_after_the_session_ended_keeps_what_was_typed(tab: Page, site: Site) -> None:
    tab.fill("#from_name", "Typed before")
    cookies: Any = tab.context.cookies()
    tab.context.clear_cookies()
    tab.click("button >> text=/^Save$/")
    tab.wait_for_selector("text=You are signed out. Nothing was changed.")
    tab.context.add_cookies(cookies)
    tab.click("button >> text=Press again")
    tab.wait_for_selector("#form-error >> text=Press the button again.")
    assert tab.input_value("#from_name") == "Typed before"
    tab.click("button >> text=/^Save$/")
    tab.wait_for_selector("text=Saved as revision")
    assert tab.input_value("#from_name") == "Typed before"


def test_a_test_mail_is_followed_from_the_address_of_a_form(page: Page, site: Site) -> None:
    """Its address takes only forms; what follows asks for the mail's own page."""
    site.save("hooli")
    page.goto(f"{site.url}/smtp-admin/partners/hooli")
    page.click("#test-mail button")
    page.wait_for_selector("#test-mail >> text=Queued")
    where = page.get_attribute("#test-mail", "data-smtp-admin-follow-url") or ""
    assert "/test-email/" in where
    assert page.goto(site.url + "/smtp-admin/partners/hooli/discover")
    assert page.url == f"{site.url}/smtp-admin/partners/hooli"
