"""The SMTP tab by keyboard and by ear: nothing needs a mouse, and nobody's place is lost."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

import pytest

from tests.patience import SECONDS
from tests.servers.scripted import Reply, ScriptedServer, Session

from .site import LOGIN, MAIL_PASSWORD, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ACME = "/smtp-admin/partners/acme"
TEST = "#connection-test button"
SEND = "#test-mail button"
STATUS = "[role=status]"
# What has the focus: its id, or its words.
FOCUSED = """() => {
  const one = document.activeElement;
  return one === document.body ? "nothing" : one.id || one.textContent.trim();
}"""
# Whether the focused element can be told from the others by looking.
OUTLINED = """() => {
  const style = getComputedStyle(document.activeElement);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""
# The element that a screen reader listens to must be there before its text changes.
KEEP_LISTENING = """(card) => {
  window.listened = document.querySelector(`${card} [aria-live]`);
}"""


@pytest.fixture
def tab(page: Page, site: Site) -> Page:
    """The tab of a partner whose settings are saved."""
    site.save("acme")
    page.goto(site.url + ACME)
    return page


@contextmanager
def slow() -> Iterator[tuple[ScriptedServer, Event]]:
    """A mail server that keeps its clients waiting for the greeting, until the event."""
    greets = Event()

    def greet(server: ScriptedServer, session: Session, line: str) -> bytes | None:
        greets.wait(SECONDS)
        return None

    with ScriptedServer(behaviours={"greeting": greet}) as server:
        try:
            yield server, greets
        finally:
            greets.set()


def focused(page: Page) -> str:
    return str(page.evaluate(FOCUSED))


def heard(page: Page) -> str:
    """The text of the element that was listened to, or that it is gone."""
    return str(
        page.evaluate("() => window.listened.isConnected ? window.listened.innerText : 'gone'")
    )


def test_tab_key_reaches_everything_in_the_order_it_is_read(tab: Page) -> None:
    tab.focus("#host")
    tab.keyboard.press("Shift+Tab")  # to come to the first field by keyboard
    places = []
    for _ in range(30):
        tab.keyboard.press("Tab")
        places.append(focused(tab))
        assert tab.evaluate(OUTLINED), f"Nothing shows that {places[-1]} has the focus."
        if places[-1] == "Send test mail":
            break
    assert places[:7] == [
        "host",
        "port",
        "security",
        "username",
        "Replace the Password",
        "from_email",
        "from_name",
    ]
    assert places[7] == "OAuth2 instead of a password"
    assert places[8].startswith("Reply-to")
    assert places[9] == "Save"
    assert places[10].startswith("Revision")
    # A test mail that was sent before has links of its own between the test and its form.
    assert places[11:14] == [
        "Use the system's sender instead…",
        "Test connection",
        "Test from the worker too",
    ]
    assert places[-2:] == ["to", "Send test mail"]


def test_details_open_by_keyboard(tab: Page) -> None:
    for before, first in (("#from_name", "sign_in"), ("#sign_in", "reply_to")):
        tab.focus(before)
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        tab.keyboard.press("Tab")
        assert focused(tab) == first


def test_enter_in_a_field_saves(tab: Page) -> None:
    """It must not be one of the other buttons that the form has."""
    tab.fill("#from_name", "Typed")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(f"{STATUS} >> text=Saved as revision")
    assert tab.input_value("#from_name") == "Typed"


def test_enter_saves_although_there_is_advice(tab: Page) -> None:
    """Its button comes before Save, and Enter must not press it."""
    tab.fill("#host", "smtp.gmial.com")
    tab.press("#host", "Tab")
    tab.wait_for_selector("#host-notes button")
    tab.fill("#password", "typed")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(f"{STATUS} >> text=Saved as revision")
    assert tab.input_value("#host") == "smtp.gmial.com"


def test_enter_in_the_test_mails_address_neither_saves_nor_is_lost(tab: Page) -> None:
    """The field belongs to the same form, whose first button is Save; this one means its own."""
    revision = tab.input_value("#revision")
    tab.fill("#to", "else@customer.example")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#test-mail >> text=Waiting for a worker.")
    tab.goto(tab.url.partition("?")[0])
    assert tab.input_value("#revision") == revision


@pytest.mark.parametrize("works", [True, False])
def test_focus_stays_on_the_button(tab: Page, site: Site, works: bool) -> None:
    if not works:
        site.smtp.behave("auth", Reply("535 5.7.8 No."))
    tab.focus("button >> text=Test from the worker too")
    tab.keyboard.press("Shift+Tab")
    assert focused(tab) == "Test connection"
    tab.keyboard.press("Space")
    tab.wait_for_selector(f"#connection-test >> text={'It works.' if works else 'What to do:'}")
    assert focused(tab) == "Test connection"
    assert tab.evaluate(OUTLINED)
    tab.keyboard.press("Tab")
    assert focused(tab) == (
        "Send a test mail" if works else "Use noreply@acme.example as login and test again"
    )
    tab.keyboard.press("Tab")
    if not works:
        for name in ("Other possible causes", "Copy report", "Report for the provider's support"):
            assert focused(tab) == name
            tab.keyboard.press("Tab")
    assert focused(tab) == "Test from the worker too"


def test_typed_password_outlives_the_test(tab: Page) -> None:
    tab.fill("#username", "somebody")  # which opens the field of the password
    tab.fill("#password", "typed")
    tab.click(TEST)
    tab.wait_for_selector("#connection-test >> text=What to do:")
    assert tab.input_value("#password") == "typed"
    assert tab.input_value("#username") == "somebody"


def test_result_does_not_pull_away_who_went_on(tab: Page) -> None:
    """A test can take half a minute; meanwhile people fill in the rest of the form."""
    with slow() as (server, greets):
        tab.fill("#port", str(server.port))
        tab.select_option("#security", "none")
        tab.fill("#username", "")
        tab.click(TEST)
        tab.click("#from_name")
        tab.keyboard.press("End")
        tab.keyboard.type("!")
        greets.set()
        tab.wait_for_selector("#connection-test >> text=It works.")
        tab.keyboard.type("?")
    assert focused(tab) == "from_name"
    assert tab.input_value("#from_name").endswith("!?")


def test_second_press_starts_no_second_test(tab: Page) -> None:
    with slow() as (server, greets):
        tab.fill("#port", str(server.port))
        tab.select_option("#security", "none")
        tab.fill("#username", "")
        tab.dblclick(TEST)
        greets.set()
        tab.wait_for_selector("#connection-test >> text=It works.")
        assert server.connections == 1


def test_the_last_result_is_faint_while_the_next_test_runs(tab: Page) -> None:
    def opacity() -> str:
        return str(tab.locator("#connection-test > [aria-live]")
                   .evaluate("one => getComputedStyle(one).opacity"))  # fmt: skip

    tab.click(TEST)
    tab.wait_for_selector("#connection-test >> text=It works.")
    assert opacity() == "1"
    with slow() as (server, greets):
        tab.fill("#port", str(server.port))
        tab.select_option("#security", "none")
        tab.fill("#username", "")
        tab.click(TEST)
        assert float(opacity()) < 1
        greets.set()
        tab.wait_for_selector("#connection-test button >> text=Test connection")
    assert opacity() == "1"


def test_result_of_the_connection_test_is_read_out(tab: Page) -> None:
    """Screen readers watch the live region that is there; one that is replaced says nothing."""
    tab.evaluate(KEEP_LISTENING, "#connection-test")
    tab.click(TEST)
    tab.wait_for_selector("#connection-test >> text=It works.")
    assert "It works." in heard(tab)


def test_arrival_of_the_test_mail_is_read_out(tab: Page, site: Site) -> None:
    tab.evaluate(KEEP_LISTENING, "#test-mail")
    tab.click(SEND)
    tab.wait_for_selector("#test-mail >> text=Waiting for a worker.")
    site.work()
    tab.wait_for_selector("#test-mail >> text=Accepted.")
    assert "Accepted." in heard(tab)


def test_focus_stays_while_a_mail_is_followed(tab: Page, site: Site) -> None:
    """The page looks again every second; whoever is at the button or types stays there."""
    tab.focus(SEND)
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#test-mail >> text=Waiting for a worker.")
    assert focused(tab) == "Send test mail"
    with tab.expect_response(lambda answer: "mail=" in answer.url):
        pass  # it looked again
    tab.wait_for_timeout(100)
    assert focused(tab) == "Send test mail"
    site.work()
    tab.wait_for_selector("#test-mail >> text=Accepted.")
    assert focused(tab) == "Send test mail"


def test_caret_stays_while_a_mail_is_followed(tab: Page, site: Site) -> None:
    tab.click(SEND)
    tab.wait_for_selector("#test-mail >> text=Waiting for a worker.")
    tab.fill("#to", "someone@customer.example")
    tab.keyboard.press("Home")
    tab.keyboard.type("1")
    site.work()
    tab.wait_for_selector("#test-mail >> text=Accepted.")
    tab.keyboard.type("2")
    assert tab.input_value("#to") == "12someone@customer.example"


def test_numbers_follow_a_test_mail(tab: Page, site: Site) -> None:
    tab.click(SEND)
    tab.wait_for_selector("#status dd >> text=1")
    site.work()
    tab.wait_for_selector("#test-mail >> text=Accepted.")
    tab.wait_for_selector("#status dl > div:has-text('Queued') dd >> text=/^0$/")


def test_signed_out_meanwhile(tab: Page, site: Site) -> None:
    """Neither a dead button nor silence: the person sees what happened."""
    tab.context.clear_cookies()
    tab.click(TEST)
    tab.wait_for_selector("#connection-test [data-smtp-admin-unsent]")
    assert "You are signed out. Nothing was changed." in tab.inner_text("#connection-test")


def test_system_sender_has_the_same_buttons(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/smtp-admin/system")
    page.fill("#host", "localhost")
    page.fill("#port", str(site.smtp.port))
    page.fill("#username", LOGIN)
    page.fill("#password", MAIL_PASSWORD)
    page.fill("#from_email", "noreply@northwind.example")
    page.click(TEST)
    page.wait_for_selector("#connection-test >> text=It works.")
    page.click(SEND)
    page.wait_for_selector("#test-mail >> text=These settings are not saved yet")
