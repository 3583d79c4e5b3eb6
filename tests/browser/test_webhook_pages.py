"""The page of a webhook: seen in every look, and used with and without scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from sqlalchemy import select

import hosting
from smtp_admin.database import host_engine, worker_engine
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.events.applying import apply_waiting

from .inspection import TWO_LOOKS, inspect
from .site import Site
from .states import States, at

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PAGE = "/smtp-admin/partners/hooli/webhook"
KEY = "0123456789abcdef0123456789abcdef"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:mail-events-of-a-name-that-is-very-long-indeed"

STATES = States()
state = STATES.add


def turned_on(page: Page, site: Site, source: str) -> None:
    """A webhook of this provider, made by the form."""
    site.save("hooli")
    at(page, site, PAGE)
    if page.locator("#off-form").count():
        page.click("summary >> text=New address, or turn off")
        page.click("#off-form button")
        page.wait_for_selector("#on-form")
    page.select_option("#source", source)
    page.click("#on-form button")
    page.wait_for_selector("#address")


def post(page: Page, site: Site, body: Any) -> int:
    """What a provider would post to the address that the page shows; the status."""
    data = json.dumps(body).encode()
    # The public address of the example is another than the one it is tested at.
    url = site.url + urlsplit(page.input_value("#address")).path
    asked = Request(url, data, headers={"Content-Type": "application/json"})
    try:
        with urlopen(asked) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def newest(site: Site) -> tuple[str, str]:
    """The recipient of the partner's newest mail, and its Message-ID without brackets."""
    with site.app.app_context():
        row = hosting.db.session.execute(
            select(Delivery.recipient, Message.message_id)
            .join(Message, Message.id == Delivery.message_pk)
            .where(Delivery.partner_id == "hooli")
            .order_by(Delivery.id.desc())
            .limit(1)
        ).one()
        return row[0], row[1].strip("<>")


@state()
def webhook_off(page: Page, site: Site) -> None:
    site.save("acme", host="smtp.sendgrid.net", port=587, security="tls", username="apikey")
    at(page, site, PAGE.replace("hooli", "acme"))
    assert page.input_value("#source") == "sendgrid"


@state()
def webhook_of_amazon(page: Page, site: Site) -> None:
    turned_on(page, site, "ses")
    page.fill("#topic", TOPIC)
    page.click("#save-form button")
    page.wait_for_selector("[role=status] >> text=Saved.")
    page.click("summary >> text=New address, or turn off")


@state()
def webhook_with_events(page: Page, site: Site) -> None:
    """A sample, a mail that bounced, one of another app, and forged requests."""
    turned_on(page, site, "postmark")
    site.send_letters("hooli")
    site.work()
    recipient, message_id = newest(site)
    told = {
        "RecordType": "Bounce", "ID": message_id, "Type": "HardBounce", "MessageID": "a",
        "Email": recipient, "Metadata": {"smtp-admin-id": message_id},
        "Details": "smtp;550 5.1.1 The email account that you tried to reach does not exist.",
    }  # fmt: skip
    assert post(page, site, told) == 200
    other = {"RecordType": "Delivery", "MessageID": message_id, "Recipient": "a@example.org"}
    assert post(page, site, other) == 200
    with site.app.app_context():
        engine = worker_engine(host_engine(), pool_size=2)
        apply_waiting(engine)
        engine.dispose()
    page.click("#sample-form button")
    page.wait_for_selector("#sample-result >> text=The sample arrived.")


@state(looks=TWO_LOOKS)
def webhook_made_secret(page: Page, site: Site) -> None:
    turned_on(page, site, "generic")
    page.wait_for_selector("#made-secret")


@state(looks=TWO_LOOKS)
def webhook_refused(page: Page, site: Site) -> None:
    turned_on(page, site, "mailgun")
    signed = {"timestamp": "1", "token": "a" * 32, "signature": "b"}
    for _ in range(2):
        told = {"signature": signed, "event-data": {"event": "delivered"}}
        assert post(page, site, told) == 403
    page.fill("#secret", "too short")
    page.click("#save-form button")
    page.wait_for_selector("[role=alert]")


@state()
def mail_that_bounced(page: Page, site: Site) -> None:
    webhook_with_events(page, site)
    page.click("text=Last events >> xpath=../ul/li/a >> nth=0")
    page.wait_for_selector("text=Bounced: the address takes no mail")
    assert page.locator("text=Not recognised").count() == 0


@state(looks=TWO_LOOKS)
def log_of_bounced(page: Page, site: Site) -> None:
    webhook_with_events(page, site)
    at(page, site, "/smtp-admin/partners/hooli/mail")
    page.click("nav >> text=Not delivered")
    page.click("nav >> text=Bounced")
    page.wait_for_selector("tbody >> text=Bounced")


@pytest.mark.parametrize("name", STATES)
def test_page(page: Page, site: Site, name: str) -> None:
    bring_about, looks = STATES[name]
    bring_about(page, site)
    assert inspect(page, name, looks) == []


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_set_up_by_the_page_alone(page: Page, site: Site, scripts: bool) -> None:
    turned_on(page, site, "mailgun")
    address = page.input_value("#address")
    assert page.locator("text=Copy address").is_visible() is scripts
    page.fill("#secret", KEY)
    page.click("#save-form button")
    page.wait_for_selector("[role=status] >> text=Saved.")
    page.click("#sample-form button")
    page.wait_for_selector("#sample-result >> text=The sample arrived.")
    assert KEY not in page.content()
    page.click("summary >> text=New address, or turn off")
    page.click("#rotate-form button")
    page.wait_for_selector("[role=status] >> text=There is a new address")
    assert page.input_value("#address") != address
    page.click("summary >> text=New address, or turn off")
    page.click("#off-form button")
    page.wait_for_selector("#on-form")
