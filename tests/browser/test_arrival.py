"""A test mail from the button to the tab that says it arrived, by the link in the mail itself."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from typing import TYPE_CHECKING

import pytest

from .inspection import TWO_LOOKS, inspect, new_context

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from .site import Site

pytestmark = pytest.mark.browser


def link_in(content: bytes) -> str:
    """Where the button of the mail leads, below the site's address."""
    body = message_from_bytes(content, policy=policy.default).get_body(("html",))
    assert body is not None
    found = re.search(r'href="[a-z]+://[^/"]+(/smtp-admin/test-mail/[^"]+)"', body.get_content())
    assert found is not None
    return found[1]


def test_from_the_button_to_the_tab(page: Page, site: Site, chromium: Browser) -> None:
    """The reader is nobody that the app knows; looking changes nothing, and the button does."""
    site.save("hooli")
    before = len(site.smtp.messages)
    page.goto(f"{site.url}/smtp-admin/partners/hooli")
    page.fill("#to", "mia@hooli.example")
    page.click("text=Send test mail")
    page.wait_for_selector("#test-mail >> text=Waiting for a worker.")
    site.work()
    page.wait_for_selector("#test-mail >> text=It is not known yet whether it arrived.")
    assert inspect(page, "test_mail_unknown", TWO_LOOKS) == []
    (mail,) = site.smtp.messages[before:]

    context = new_context(chromium)  # another browser, where nobody is signed in
    reader = context.new_page()
    for _ in range(2):  # a scanner of mail, then the reader
        reader.goto(site.url + link_in(mail.data))
        reader.wait_for_selector("button >> text=It arrived")
    assert inspect(reader, "arrival_asked", TWO_LOOKS) == []
    site.work()
    page.wait_for_selector("#test-mail >> text=It is not known yet whether it arrived.")

    reader.click("button >> text=It arrived")
    reader.wait_for_selector("[role=status] >> text=Noted: the test mail to mia@hooli.example")
    assert inspect(reader, "arrival_said", TWO_LOOKS) == []
    context.close()
    site.work()
    page.wait_for_selector("#test-mail >> text=/Arrived after .*[0-9] s\\./")
    assert inspect(page, "test_mail_arrived", TWO_LOOKS) == []
    page.goto(f"{site.url}/smtp-admin/partners/hooli")  # the tab does not forget it
    page.wait_for_selector("#test-mail >> text=/Arrived after .*[0-9] s\\./")
