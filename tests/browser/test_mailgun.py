"""Mailgun set up by hand on a partner's tab: compared, chosen, tested, saved, and mail goes out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.servers.mailgun import DOMAIN, KEY, MailgunAPI

from .inspection import inspect
from .site import Site
from .test_pages import ACME, SAVE, TEST, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture
def mailgun(site: Site) -> Iterator[MailgunAPI]:
    """Mailgun on loopback, which partners may choose."""
    site.work()
    here = site.app.extensions["smtp_admin"]
    api = MailgunAPI()
    with api.server:
        config = replace(
            here.config,
            api_endpoints={"mailgun": api.server.url},
            partner_drivers=("smtp", "mailgun"),
        )
        site.app.extensions["smtp_admin"] = replace(here, config=config)
        yield api
    site.app.extensions["smtp_admin"] = here
    site.save("acme")


@pytest.mark.parametrize("who", ["partner"])
def test_a_partner_sets_it_up(page: Page, site: Site, mailgun: MailgunAPI) -> None:
    site.save("acme")
    at(page, site, ACME)
    page.click("text=Compare the sending methods")
    compared = page.inner_text(".smtp-admin-compared table")
    assert "sending key" in compared
    assert "Sendmail" not in compared, "what a partner may not choose"
    page.select_option("#driver-choice", "mailgun")
    page.wait_for_selector("#host", state="detached")
    page.select_option("#mailgun_region", "eu")
    page.fill("#mailgun_domain", DOMAIN)
    page.fill("#from_email", "noreply@mg.acme.example")
    page.fill("#mailgun_key", "a-key-of-somebody-else")
    page.click(TEST)
    page.wait_for_selector("#connection-test >> text=Mailgun refused the API key.")
    assert "Check the region first" in page.inner_text("#connection-test")
    page.fill("#mailgun_key", KEY)
    page.click(TEST)
    page.wait_for_selector("#connection-test >> text=It works.")
    assert "Sending domain" in page.inner_text("#connection-test")
    page.click(SAVE)
    page.wait_for_selector("text=Saved as revision")
    assert page.input_value("#driver") == "mailgun"
    assert page.input_value("#mailgun_key") == ""
    assert KEY not in page.content()
    assert inspect(page, "mailgun") == []
    page.fill("#to", "sam@customer.example")
    page.click("button >> text=Send test mail")
    page.wait_for_selector("#test-mail >> text=Queued")
    site.work()
    page.wait_for_selector("#test-mail >> text=Accepted.")
    (mail,) = mailgun.posted
    assert mail.recipient == "sam@customer.example"
    assert b"From: " in mail.content
