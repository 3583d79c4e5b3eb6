"""Suppressed addresses and the pages of readers: seen in every look, and used without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from sqlalchemy import delete

import hosting
import wsgi
from smtp_admin.delivery.suppressions import suppress
from smtp_admin.mail.unsubscribing import Reader, token_for
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import delete_sender, save_settings
from smtp_admin.senders.values import SenderValues
from smtp_admin.suppression.models import Suppression

from .inspection import TWO_LOOKS, inspect
from .site import OLGA, Site
from .states import States, at

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PAGE = "/smtp-admin/partners/initech/suppressions"
MIA = "mia@customer.example"
LONG = f"{'averyveryverylongname' * 2}@{'longlabel' * 5}.example"
ITEMS = {"name": "Mia", "count": 1, "items": [{"title": "A comment", "text": "", "url": ""}]}

STATES = States()
state = STATES.add


def nobody_is_suppressed(site: Site) -> None:
    with site.app.app_context():
        hosting.db.session.execute(delete(Suppression))
        hosting.db.session.commit()


def some_are_suppressed(site: Site) -> None:
    nobody_is_suppressed(site)
    with site.app.app_context():
        session = hosting.db.session()
        said = "550 5.1.1 <gone@customer.example>: Recipient address rejected: no such user"
        suppress(session, "initech", "gone@customer.example", "bounce", detail=said)
        suppress(session, "initech", LONG, "complaint")
        suppress(session, "initech", MIA, "unsubscribe", category="newsletter", by=MIA)
        suppress(session, "initech", "tom@customer.example", "manual", category="all",
                 detail="Asked by phone", by="ada@initech.example")  # fmt: skip
        session.commit()


def link(site: Site, kind: str) -> str:
    with site.app.app_context():
        token = token_for(Reader("initech", MIA, "notification_digest"))
    return f"/unsubscribe/{token}" if kind == "ask" else f"/smtp-admin/preferences/{token}"


def notify(site: Site) -> None:
    with site.app.app_context():
        wsgi.smtp_admin.send("notification_digest", to=MIA, partner_id="initech", context=ITEMS)
        hosting.db.session.commit()


@state()
def suppressions(page: Page, site: Site) -> None:
    some_are_suppressed(site)
    at(page, site, PAGE)


@state(looks=TWO_LOOKS)
def suppressions_none(page: Page, site: Site) -> None:
    nobody_is_suppressed(site)
    at(page, site, PAGE)
    page.click("text=Import a list")


@state(looks=TWO_LOOKS)
def suppressions_of_providers(page: Page, site: Site) -> None:
    with site.app.app_context():
        session = hosting.db.session()
        values = {"mailgun_domain": "mg.globex.example", "from_email": "noreply@globex.example"}
        seen = load_sender(session, "globex", "mg").revision
        save_settings(
            session, "globex", SenderValues(driver="mailgun", **values), key="mg", label="News",
            secrets={"mailgun_key": "k" * 40}, expected_revision=seen, actor=OLGA,
        )  # fmt: skip
        session.commit()
    at(page, site, "/smtp-admin/partners/globex/suppressions")
    assert page.locator("button >> text=Import from Mailgun").count() == 1
    with site.app.app_context():  # nobody else is to meet this sender
        session = hosting.db.session()
        delete_sender(session, load_sender(session, "globex", "mg"), OLGA)
        session.commit()


@state(looks=TWO_LOOKS)
def suppressions_of_all(page: Page, site: Site) -> None:
    some_are_suppressed(site)
    at(page, site, "/smtp-admin/suppressions")


@state(looks=TWO_LOOKS)
def suppressions_refused(page: Page, site: Site) -> None:
    at(page, site, PAGE)
    page.click("text=Import a list")
    page.fill("#import-csv", "mia@customer.example\nno address\n")
    page.click("#import-form button")
    page.wait_for_selector("[role=alert] >> text=1 line cannot be used")


@state()
def unsubscribe(page: Page, site: Site) -> None:
    nobody_is_suppressed(site)
    at(page, site, link(site, "ask"))


@state(looks=TWO_LOOKS)
def unsubscribed(page: Page, site: Site) -> None:
    nobody_is_suppressed(site)
    at(page, site, link(site, "ask"))
    page.click("button >> text=Unsubscribe")
    page.wait_for_selector("[role=status] >> text=Done")


@state()
def preferences(page: Page, site: Site) -> None:
    nobody_is_suppressed(site)
    notify(site)
    with site.app.app_context():
        suppress(hosting.db.session(), "initech", MIA, "unsubscribe", category="newsletter")
        hosting.db.session.commit()
    at(page, site, link(site, "preferences"))


@pytest.mark.parametrize("name", STATES)
def test_page(page: Page, site: Site, name: str) -> None:
    bring_about, looks = STATES[name]
    bring_about(page, site)
    assert inspect(page, name, looks) == []


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_suppressed_explained_removed_sent(page: Page, site: Site, scripts: bool) -> None:
    """By the pages alone: mail to a suppressed address is explained, and sent after removal."""
    del scripts
    nobody_is_suppressed(site)
    site.save("initech")
    at(page, site, PAGE)
    page.fill("#address", MIA)
    page.fill("#detail", "Asked by phone")
    page.click("#suppress-form button")
    page.wait_for_selector(f"[role=status] >> text=Suppressed: {MIA}")
    with site.app.app_context():
        mail_id = wsgi.smtp_admin.send(
            "notification_digest", to=MIA, partner_id="initech", context=ITEMS
        )
        hosting.db.session.commit()
    at(page, site, f"/smtp-admin/mail/{mail_id}")
    text = page.inner_text("#happened")
    assert "Kept back" in text
    assert "An admin keeps this address from getting such mail. (Asked by phone)" in text
    at(page, site, PAGE)
    assert not page.locator("[data-smtp-admin-tick-all]").is_checked()
    page.check("tbody tr >> nth=0 >> input[name=ids]")
    page.click("#lift-form button")
    page.click("#confirm-form button")
    page.wait_for_selector("[role=status] >> text=1 address gets mail again")
    at(page, site, f"/smtp-admin/mail/{mail_id}")
    page.click("text=Send after all")
    page.wait_for_selector("[role=status] >> text=Queued: 1 mail.")
    site.work()
    at(page, site, f"/smtp-admin/mail/{mail_id}")
    page.wait_for_selector("#happened .smtp-admin-state >> text=Sent")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_scanner_looks_and_a_reader_unsubscribes(page: Page, site: Site, scripts: bool) -> None:
    del scripts
    nobody_is_suppressed(site)
    notify(site)
    address = site.url + link(site, "ask")
    for method in ("GET", "HEAD"):
        with urlopen(Request(address, method=method)) as answer:
            assert answer.status == 200
    page.goto(address)
    assert "sends “Summaries of what is new for you” to mia@customer.example" in page.inner_text(
        "main"
    )
    one_click = urlencode({"List-Unsubscribe": "One-Click"}).encode()
    with urlopen(Request(address, data=one_click)) as answer:
        assert answer.status == 200
    page.goto(address)
    assert "sends no “Summaries of what is new for you”" in page.inner_text("main")
    page.click("text=All kinds of mail, and their language")
    box = page.locator("#kind-notification_digest")
    assert not box.is_checked()
    box.check()
    page.select_option("#language", "de")
    page.click("button >> text=Save")
    page.wait_for_selector("[role=status] >> text=Gespeichert.")
    assert page.locator("#kind-notification_digest").is_checked()
    assert page.input_value("#language") == "de"
    page.select_option("#language", "")
    page.click("button >> text=Speichern")
    page.wait_for_selector("[role=status] >> text=Saved.")
