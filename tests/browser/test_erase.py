"""The page about one person: seen in every look, and used without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, update

import hosting
from smtp_admin import Actor
from smtp_admin.database import beside_workers
from smtp_admin.delivery.models import Delivery
from smtp_admin.erasure import working
from smtp_admin.erasure.finding import Search
from smtp_admin.erasure.models import Erasure

from .inspection import TWO_LOOKS, inspect
from .site import Site
from .states import States, at

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PAGE = "/smtp-admin/erase"
GONE = "gone@customer.example"

STATES = States()
state = STATES.add


def look_for(page: Page, site: Site, address: str) -> None:
    at(page, site, PAGE)
    page.fill("#address", address)
    page.click("#find-form button")
    page.wait_for_selector("#found")


@state(looks=TWO_LOOKS)
def erase(page: Page, site: Site) -> None:
    at(page, site, PAGE)


@state()
def erase_found(page: Page, site: Site) -> None:
    site.save("initech")
    site.send_letters("initech", 2)
    look_for(page, site, GONE)


@state(looks=TWO_LOOKS)
def erase_unsure(page: Page, site: Site) -> None:
    site.save("initech")
    site.send_letters("initech", 2)
    look_for(page, site, GONE)
    page.click("#erase-form button")
    page.wait_for_selector("[role=alert] >> text=Nothing was erased")


@state(looks=TWO_LOOKS)
def erase_unfinished(page: Page, site: Site) -> None:
    """More than the page may do."""
    site.save("initech")
    site.send_letters("initech", 2)
    actor, search = Actor(id="1", email="a@x.example", name="A", is_admin=True), Search(GONE)
    with site.app.app_context(), beside_workers() as engine:
        assert not working.erase(engine, actor, search, seconds=0).over
    at(page, site, PAGE)
    page.wait_for_selector("#unfinished >> text=so far")


@state(looks=TWO_LOOKS)
def erase_not_complete(page: Page, site: Site) -> None:
    site.save("initech")
    site.send_letters("initech", 1)
    with site.app.app_context():
        under_way = update(Delivery).where(Delivery.recipient == GONE, Delivery.state == "queued")
        hosting.db.session.execute(under_way.values(state="sending"))
        hosting.db.session.commit()
    look_for(page, site, GONE)
    page.check("#sure")
    page.click("#erase-form button")
    page.wait_for_selector("[role=status] >> text=A worker erases")
    page.wait_for_selector("#unfinished")


@pytest.fixture(autouse=True)
def nothing_is_left(site: Site) -> Iterator[None]:
    """No other test meets what these leave unfinished."""
    yield
    with site.app.app_context():
        mine = update(Delivery).where(Delivery.recipient == GONE, Delivery.state == "sending")
        hosting.db.session.execute(mine.values(state="sent"))
        hosting.db.session.execute(delete(Erasure))
        hosting.db.session.commit()


@pytest.mark.parametrize("name", STATES)
def test_page(page: Page, site: Site, name: str) -> None:
    bring_about, looks = STATES[name]
    bring_about(page, site)
    assert inspect(page, name, looks) == []


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_found_exported_erased(page: Page, site: Site, scripts: bool) -> None:
    del scripts
    site.save("initech")
    site.send_letters("initech", 2)
    look_for(page, site, GONE)
    with page.expect_download() as download:
        page.click("#export-form button")
    assert re.fullmatch(r"person-\d{4}-\d\d-\d\d\.zip", download.value.suggested_filename)
    page.check("#sure")
    page.click("#erase-form button")
    page.wait_for_selector("[role=status] >> text=Erased:")
    look_for(page, site, GONE)
    # An earlier test may have had it suppressed: of that, a hash stays.
    found = page.inner_text("#found")
    assert "Nothing is stored about this address." in found or "Nothing is left to erase." in found
