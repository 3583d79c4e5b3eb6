"""Sendmail with a real Postfix behind it: chosen on the tab, tested, saved, and a mail arrives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.servers.postfix_queue import PostfixQueue
from tests.servers.scripted import ScriptedServer
from tests.servers.skipping import skipped_if_unavailable

from .site import Site
from .test_pages import ACME, SAVE, TEST, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture
def relayed(site: Site) -> Iterator[ScriptedServer]:
    """What Postfix passes on arrives here; the site's mail program is that Postfix's."""
    site.work()  # what earlier tests left waiting has another way
    here = site.app.extensions["smtp_admin"]
    with skipped_if_unavailable(), ScriptedServer() as relay, PostfixQueue(relay.port) as postfix:
        config = replace(here.config, sendmail=postfix.command)
        site.app.extensions["smtp_admin"] = replace(here, config=config)
        yield relay
    site.app.extensions["smtp_admin"] = here
    site.save("acme")


def test_mail_by_the_machines_own_mail_server(
    page: Page, site: Site, relayed: ScriptedServer
) -> None:
    site.save("acme")
    at(page, site, ACME)
    page.select_option("#driver-choice", "sendmail")
    page.wait_for_selector("#host", state="detached")
    page.fill("#from_email", "noreply@acme.example")
    page.click(TEST)
    page.wait_for_selector("#connection-test >> text=nothing was sent")
    page.click(SAVE)
    page.wait_for_selector("text=Saved as revision")
    assert page.input_value("#driver") == "sendmail"
    page.fill("#to", "sam@customer.example")
    page.click("button >> text=Send test mail")
    page.wait_for_selector("#test-mail >> text=Queued")
    site.work()
    page.wait_for_selector("#test-mail >> text=Accepted.")
    (mail,) = relayed.wait_for_messages(1)
    assert mail.mail_from == "noreply@acme.example"
    assert mail.recipients == ["sam@customer.example"]
    assert b"From: " in mail.data
