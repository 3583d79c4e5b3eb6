"""The page of a mailbox for bounces: seen in every look, tested and saved by the page alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

import hosting
from smtp_admin.events.bounces.imap import TOKEN_REFUSED, Account
from smtp_admin.events.bounces.mailboxes import save
from smtp_admin.events.models import BounceMailbox
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import delete_sender, save_settings
from smtp_admin.senders.values import SenderValues

from .inspection import TWO_LOOKS, inspect
from .site import OLGA
from .states import States, at

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from .site import Site

pytestmark = pytest.mark.browser

PAGE = "/smtp-admin/partners/hooli/bounces"
PASSWORD = "correct horse"

STATES = States()
state = STATES.add


def entered(page: Page, site: Site) -> None:
    """The form with everything in it; nothing listens there."""
    site.save("hooli")
    at(page, site, PAGE)
    page.fill("#host", "127.0.0.1")
    page.fill("#port", "143")
    page.fill("#username", "bounce@hooli.example")
    page.fill("#password", PASSWORD)


@state()
def bounces_off(page: Page, site: Site) -> None:
    site.save("acme")
    at(page, site, PAGE.replace("hooli", "acme"))
    page.wait_for_selector("text=not yet")


@state(looks=TWO_LOOKS)
def bounces_test_failed(page: Page, site: Site) -> None:
    entered(page, site)
    page.click("button[value=test]")
    page.wait_for_selector("#test-result >> text=failed")
    assert page.input_value("#username") == "bounce@hooli.example"
    assert PASSWORD not in page.content()


@state(looks=TWO_LOOKS)
def bounces_wrong(page: Page, site: Site) -> None:
    entered(page, site)
    page.fill("#host", "not a host")
    page.fill("#username", "")
    page.click("button[value=save]")
    page.wait_for_selector("[role=alert]")
    assert page.locator(".smtp-admin-complaint").count() == 2


@state(looks=TWO_LOOKS)
def bounces_failing(page: Page, site: Site) -> None:
    """Of a sender that signs in by OAuth2, whose token was refused for a while."""
    with site.app.app_context():
        session = hosting.db.session()
        values = {"host": "smtp.office365.com", "port": 587, "username": "news@hooli.example",
                  "from_email": "news@hooli.example", "sign_in": "microsoft_mailbox",
                  "oauth_tenant": "hooli.example", "oauth_client_id": "4711"}  # fmt: skip
        sender = save_settings(
            session, "hooli", SenderValues(**values), key="m365", label="News", secrets={},
            expected_revision=load_sender(session, "hooli", "m365").revision, actor=OLGA,
        )  # fmt: skip
        mailbox = Account("outlook.office365.com", 993, "ssl", "news@hooli.example", "")
        save(session, sender, mailbox, OLGA)
        failed = {"failures": 4, "failed_step": "auth", "failed_code": "auth_failed",
                  "failed_words": TOKEN_REFUSED}  # fmt: skip
        session.execute(
            update(BounceMailbox).where(BounceMailbox.sender_id == sender.sender_id).values(failed)
        )
        session.commit()
    at(page, site, "/smtp-admin/partners/hooli/senders/m365/bounces")
    page.wait_for_selector("#failing >> text=4 times in a row")
    page.wait_for_selector("#failing >> text=turned on for it")
    assert page.input_value("#sign_in") == "sender"
    with site.app.app_context():  # nobody else is to meet this sender
        session = hosting.db.session()
        delete_sender(session, load_sender(session, "hooli", "m365"), OLGA)
        session.commit()


@pytest.mark.parametrize("name", STATES)
def test_page(page: Page, site: Site, name: str) -> None:
    bring_about, looks = STATES[name]
    bring_about(page, site)
    assert inspect(page, name, looks) == []


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_saved_and_turned_off_by_the_page_alone(page: Page, site: Site, scripts: bool) -> None:
    entered(page, site)
    page.click("button[value=save]")
    page.wait_for_selector("[role=status] >> text=Saved.")
    assert page.input_value("#host") == "127.0.0.1"
    assert page.input_value("#password") == ""
    page.click("button[value=off]")
    page.wait_for_selector("[role=status] >> text=Turned off.")
    assert page.input_value("#host") == ""
