"""Mailgun and Amazon SES set up by hand on a partner's tab: compared, tested, saved, and used."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.servers.mailgun import DOMAIN, KEY, MailgunAPI
from tests.servers.ses import KEY_ID, REGION, SECRET, SESAPI

from .inspection import inspect
from .site import Site
from .test_pages import ACME, SAVE, TEST, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("who", ["partner"])]


@pytest.fixture
def apis(site: Site) -> Iterator[tuple[MailgunAPI, SESAPI]]:
    """Both on loopback; partners may choose them."""
    site.work()  # what earlier tests left waiting has another way
    here = site.app.extensions["smtp_admin"]
    mailgun, ses = MailgunAPI(), SESAPI()
    with mailgun.server, ses.server:
        config = replace(
            here.config,
            api_endpoints={"mailgun": mailgun.server.url, "ses": ses.server.url},
            partner_drivers=("smtp", "mailgun", "ses", "ses-role"),
        )
        site.app.extensions["smtp_admin"] = replace(here, config=config)
        site.save("acme")
        yield mailgun, ses
    site.app.extensions["smtp_admin"] = here
    site.save("acme")


def choose(page: Page, site: Site, driver: str) -> None:
    """Show the fields of a sending method on the tab."""
    at(page, site, ACME)
    page.select_option("#driver-choice", driver)
    page.wait_for_selector("#host", state="detached")


def passes(page: Page) -> None:
    """Run the connection test, which succeeds."""
    page.click(TEST)
    page.wait_for_selector("#connection-test >> text=It works.")


def save_and_send(page: Page, site: Site, driver: str, secret: str) -> None:
    """Save, see that it was, and send a test mail through the queue."""
    page.click(SAVE)
    page.wait_for_selector("text=Saved as revision")
    assert page.input_value("#driver") == driver
    assert secret not in page.content()
    assert inspect(page, driver) == []
    page.fill("#to", "sam@customer.example")
    page.click("button >> text=Send test mail")
    page.wait_for_selector("#test-mail >> text=Queued")
    site.work()
    page.wait_for_selector("#test-mail >> text=Accepted.")


def test_mailgun(page: Page, site: Site, apis: tuple[MailgunAPI, SESAPI]) -> None:
    mailgun, _ = apis
    at(page, site, ACME)
    page.click("text=Compare the sending methods")
    compared = page.inner_text(".smtp-admin-compared table")
    assert "sending key" in compared
    assert "Sendmail" not in compared, "what a partner may not choose"
    assert "machine's role" not in compared
    choose(page, site, "mailgun")
    page.select_option("#mailgun_region", "eu")
    page.fill("#mailgun_domain", DOMAIN)
    page.fill("#from_email", "noreply@mg.acme.example")
    page.fill("#mailgun_key", "a-key-of-somebody-else")
    page.click(TEST)
    page.wait_for_selector("#connection-test >> text=Mailgun refused the API key.")
    assert "Check the region first" in page.inner_text("#connection-test")
    page.fill("#mailgun_key", KEY)
    passes(page)
    assert "Sending domain" in page.inner_text("#connection-test")
    save_and_send(page, site, "mailgun", KEY)
    (mail,) = mailgun.posted
    assert mail.recipient == "sam@customer.example"
    assert b"From: " in mail.content


def test_amazon_ses(page: Page, site: Site, apis: tuple[MailgunAPI, SESAPI]) -> None:
    _, ses = apis
    assert ses.account is not None
    ses.account["ProductionAccessEnabled"] = False
    choose(page, site, "ses")
    page.fill("#ses_region", REGION)
    page.fill("#ses_key_id", KEY_ID)
    page.fill("#ses_secret", "another/secret+0123456789")
    page.fill("#from_email", "noreply@acme.example")
    page.click(TEST)
    page.wait_for_selector("#connection-test >> text=AWS refused the access key.")
    page.fill("#ses_secret", SECRET)
    passes(page)
    told = page.inner_text("#connection-test")
    assert "sandbox" in told
    assert "mails left for 24 hours" in told
    save_and_send(page, site, "ses", SECRET)
    (mail,) = ses.posted
    assert mail.recipient == "sam@customer.example"
