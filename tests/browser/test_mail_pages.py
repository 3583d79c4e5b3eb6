"""The mail log, one mail, what is done with them, and the audit: seen and used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sender_state.scenes import a_worker
from tests.servers.scripted import Reply

from .inspection import TWO_LOOKS, inspect
from .site import Site
from .states import States, at

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ALL = "/smtp-admin/mail"
LONG = "averyveryverylongname" * 3
#: It says nothing against the address, which would get no more mail then.
SPAM = Reply("554 5.7.1 Message rejected: it looks like spam")

STATES = States()
state = STATES.add


def dead_letters(site: Site, count: int = 2, partner_id: str = "initech") -> None:
    """Mail of a partner that the server refuses for good, and one that it takes."""
    site.save(partner_id)
    site.send(partner_id, 1)
    site.work()
    site.smtp.behave("rcpt", SPAM)
    site.send_letters(partner_id, count)
    site.work()
    site.smtp.behave("rcpt", None)


INITECH = "/smtp-admin/partners/initech/mail"


@state()
def mail_log(page: Page, site: Site) -> None:
    dead_letters(site)
    site.send("initech", 1)
    at(page, site, INITECH)
    page.wait_for_selector("text=Not delivered")


@state()
def mail_log_of_all(page: Page, site: Site) -> None:
    dead_letters(site)
    at(page, site, ALL)
    page.wait_for_selector("th >> text=Partner")


@state(looks=TWO_LOOKS)
def mail_log_empty(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/partners/globex/mail?q=" + LONG)
    page.wait_for_selector("text=No mail matches.")


@state()
def mail_notice(page: Page, site: Site) -> None:
    """One that waits for its digest, with a title, a text and a link of all lengths."""
    notice = site.keep_notice("acme", f"Northwind {LONG}")
    at(page, site, f"{ALL}/{notice}")
    page.wait_for_selector("text=It waits until")


@state(looks=TWO_LOOKS)
def mail_notice_cancelled(page: Page, site: Site) -> None:
    at(page, site, f"{ALL}/{site.keep_notice('acme', 'Pro')}")
    page.click("text=Cancel this notice")
    page.wait_for_selector("text=It was cancelled")


@state(looks=TWO_LOOKS)
def mail_confirm(page: Page, site: Site) -> None:
    dead_letters(site)
    at(page, site, INITECH)
    page.click("text=Send again… >> nth=0")
    page.wait_for_selector("#confirm-form")


@state(looks=TWO_LOOKS)
def mail_undo(page: Page, site: Site) -> None:
    dead_letters(site)
    at(page, site, INITECH)
    page.click(".smtp-admin-problem >> text=Discard…")
    page.click("#confirm-form button")
    page.wait_for_selector("#undo-form")


@state()
def one_mail(page: Page, site: Site) -> None:
    dead_letters(site)
    at(page, site, f"{INITECH}?state=dead")
    page.click("tbody th a >> nth=0")
    page.wait_for_selector("text=What happened")
    for summary in page.locator("summary").all():
        summary.click()


@state(looks=TWO_LOOKS)
def batches_empty(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/partners/globex/batches")
    page.wait_for_selector("text=Send to many")


@state(looks=TWO_LOOKS)
def batch_form(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/partners/globex/batches/new")
    page.select_option("#batch-type", "newsletter")
    page.click("text=Or type the list")
    page.fill("#batch-csv", "name\nMia")
    page.click("text=Preview")
    page.wait_for_selector("[role=alert]")


@state()
def batch_look(page: Page, site: Site) -> None:
    looked_at(page, site)


@state()
def batch(page: Page, site: Site) -> None:
    looked_at(page, site)
    page.click("#look-form >> text=/^Send 2 mails/")
    page.wait_for_selector("#progress")


@state(looks=TWO_LOOKS)
def batches(page: Page, site: Site) -> None:
    looked_at(page, site)
    page.click("#look-form >> text=/^Send 2 mails/")
    at(page, site, "/smtp-admin/batches")
    page.wait_for_selector("text=A batch with a name")


def looked_at(page: Page, site: Site) -> None:
    site.save("initech", max_per_hour=10)
    at(page, site, "/smtp-admin/partners/initech/batches/new")
    page.select_option("#batch-type", "newsletter")
    page.click("text=Or type the list")
    page.fill("#batch-label", f"A batch with a name, {LONG}")
    page.fill("#batch-csv", "address,name,code\nmia@x.example,Mia,1\ntom@x.example,Tom,2")
    page.click("text=Preview")
    page.wait_for_selector("#look")


@state(looks=TWO_LOOKS)
def audit_of_one(page: Page, site: Site) -> None:
    site.save("initech")
    at(page, site, "/smtp-admin/partners/initech/audit")
    page.wait_for_selector("tbody >> text=Saved the settings of a sender")


@state(looks=TWO_LOOKS)
def audit_of_all(page: Page, site: Site) -> None:
    site.save("acme")
    at(page, site, "/smtp-admin/audit")
    page.wait_for_selector("th >> text=Owner")


@pytest.mark.parametrize("name", STATES)
def test_page(page: Page, site: Site, name: str) -> None:
    bring_about, looks = STATES[name]
    bring_about(page, site)
    assert inspect(page, name, looks) == []


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_from_a_refusal_to_delivery(page: Page, site: Site, scripts: bool) -> None:
    """Dead letters, their cause, sent again once it is mended, and the audit that tells it."""
    dead_letters(site, 3)
    at(page, site, INITECH)
    problem = page.locator(".smtp-admin-problem:has-text('looks like spam')")
    problem.locator("text=Send again…").click()
    page.wait_for_selector("#confirm-form")
    page.click("#confirm-form button")
    page.wait_for_selector("[role=status] >> text=Queued again:")
    site.work()
    page.reload()
    assert problem.count() == 0
    at(page, site, "/smtp-admin/partners/initech/audit")
    assert "Sent mail again" in page.locator("tbody tr").first.inner_text()


def test_ticked_mail_is_cancelled_and_brought_back(page: Page, site: Site) -> None:
    site.save("initech")
    site.send_letters("initech", 3)
    at(page, site, f"{INITECH}?state=waiting")
    rows = page.locator("tbody tr")
    before = rows.count()
    page.check("[data-smtp-admin-tick-all]")
    assert page.locator("tbody input:checked").count() == before
    page.click("#mail-form >> text=Cancel…")
    page.click("#confirm-form button")
    page.wait_for_selector("#undo-form")
    assert rows.count() == 0
    page.click("#undo-form button")
    page.wait_for_selector("[role=status] >> text=Undone:")
    assert rows.count() == before
    site.work()


def test_times_are_the_viewers(page: Page, site: Site) -> None:
    """With scripts in the browser's zone, and UTC stays in the title."""
    dead_letters(site, 1)
    at(page, site, INITECH)
    time = page.locator("tbody time").first
    assert "UTC" not in time.inner_text()
    assert (time.get_attribute("title") or "").endswith(" UTC")


def test_no_worker_is_told_until_one_runs(page: Page, site: Site) -> None:
    site.save("initech")
    site.send_letters("initech")
    at(page, site, "/smtp-admin/")
    banner = page.locator("#alerts")
    assert "No worker" in banner.inner_text()
    with a_worker(site.app):
        page.reload()
        assert "No worker" not in " ".join(banner.all_inner_texts())
    site.work()
