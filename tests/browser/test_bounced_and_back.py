"""An address that bounced, from the provider's event to the next mail that arrives again."""

from __future__ import annotations

from email import message_from_bytes
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, select

import hosting
from smtp_admin.delivery.models import Message
from smtp_admin.suppression.models import Suppression

from .inspection import TWO_LOOKS, inspect
from .site import Site
from .states import at
from .test_webhook_pages import newest, post, turned_on

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

GONE = "gone@customer.example"
LIST = "/smtp-admin/partners/hooli/suppressions"
LOG = "/smtp-admin/partners/hooli/mail"
SAID = "550 5.1.1 The email account that you tried to reach does not exist."


def send(site: Site) -> str:
    """Queue a mail to the address and let a worker send it; its public id."""
    site.send_letters("hooli")
    site.work()
    with site.app.app_context():
        mine = select(Message.public_id).where(Message.partner_id == "hooli")
        found = hosting.db.session.scalar(mine.order_by(Message.id.desc()).limit(1))
    assert found is not None
    return found


def arrived(site: Site) -> list[str]:
    """Message-IDs of what lies in the mailbox of the address."""
    return [
        str(message_from_bytes(one.data)["Message-ID"])
        for one in site.smtp.messages
        if GONE in one.recipients
    ]


def test_bounced_suppressed_explained_removed_delivered(page: Page, site: Site) -> None:
    with site.app.app_context():
        hosting.db.session.execute(delete(Suppression))
        hosting.db.session.commit()
    turned_on(page, site, "postmark")
    bounced = send(site)
    recipient, message_id = newest(site)
    assert recipient == GONE
    assert f"<{message_id}>" in arrived(site)
    told = {
        "RecordType": "Bounce", "ID": message_id, "Type": "HardBounce", "MessageID": "a",
        "Email": GONE, "Metadata": {"smtp-admin-id": message_id}, "Details": f"smtp;{SAID}",
    }  # fmt: skip
    assert post(page, site, told) == 200
    site.work()
    at(page, site, f"/smtp-admin/mail/{bounced}")
    page.wait_for_selector("#happened .smtp-admin-state >> text=Bounced")

    at(page, site, LIST)
    row = page.inner_text(f"tbody tr:has-text('{GONE}')")
    assert "Bounced" in row
    assert SAID in row
    assert inspect(page, "bounced_and_suppressed", TWO_LOOKS) == []

    before = arrived(site)
    stopped = send(site)
    assert arrived(site) == before, "no server sees a byte of it"
    at(page, site, f"/smtp-admin/mail/{stopped}")
    text = page.inner_text("#happened")
    assert "Kept back" in text
    assert "Mail to this address was refused for good, so nothing more is sent to it." in text
    assert SAID in text
    assert inspect(page, "bounced_and_kept_back", TWO_LOOKS) == []
    at(page, site, f"{LOG}?q={stopped}")
    row = page.inner_text("tbody tr")
    assert GONE in row
    assert "Kept back" in row
    assert "refused for good" in row
    assert inspect(page, "bounced_and_kept_back_in_the_log", TWO_LOOKS) == []

    at(page, site, LIST)
    page.check(f"tbody tr:has-text('{GONE}') >> input[name=ids]")
    page.click("#lift-form button")
    page.click("#confirm-form button")
    page.wait_for_selector("[role=status] >> text=1 address gets mail again")
    assert page.locator(f"tbody >> text={GONE}").count() == 0
    assert inspect(page, "bounced_and_removed", TWO_LOOKS) == []
    page.click("[role=status] >> text=Look at the mail")
    page.wait_for_selector(
        f"tbody tr:has(a[href*='{stopped}']):has-text('Kept back') >> text={GONE}"
    )
    assert not page.locator(f"tbody tr:not(:has-text('{GONE}'))").count()

    again = send(site)
    at(page, site, f"/smtp-admin/mail/{again}")
    page.wait_for_selector("#happened .smtp-admin-state >> text=Sent")
    assert arrived(site) == [*before, f"<{newest(site)[1]}>"]
    assert inspect(page, "bounced_and_delivered_again", TWO_LOOKS) == []
