"""Pages at the width of a small laptop, in a language of long words: nothing is cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask_babel import Babel

from .states import at
from .test_mail_pages import dead_letters
from .test_pages import CUT_OFF

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from .site import Site

WIDTH = 1024
_SPARE = "one => one.clientWidth - one.scrollWidth"


@pytest.fixture
def laptop(page: Page, site: Site, monkeypatch: pytest.MonkeyPatch) -> Page:
    """A page of the site, in German."""
    monkeypatch.setitem(site.app.extensions, "babel", None)  # taken out again afterwards
    Babel(site.app, configure_jinja=False, locale_selector=lambda: "de")
    page.set_viewport_size({"width": WIDTH, "height": 800})
    return page


def test_lists_are_seen_whole(laptop: Page, site: Site) -> None:
    site.save("acme", max_per_hour=1)
    site.send("acme", 2)
    site.work()
    dead_letters(site, 3)  # states of long words: what was refused, and what waits since
    site.send("initech")
    for path in ("/", "/mail", "/audit"):
        at(laptop, site, f"/smtp-admin{path}")
        assert laptop.eval_on_selector(".smtp-admin-scroll", _SPARE) >= 0, path
    site.save("initech")
    site.work()


def test_filters_and_their_button_are_one_line(laptop: Page, site: Site) -> None:
    """A list of actions is as wide as what is chosen of it."""
    site.save("acme")
    site.send("acme")  # above an empty list there is nothing to filter
    for path in ("/mail", "/audit"):
        at(laptop, site, f"/smtp-admin{path}")
        ends = laptop.locator(".smtp-admin-filters > *").evaluate_all(
            "some => some.map(one => Math.round(one.getBoundingClientRect().bottom))"
        )
        assert max(ends) - min(ends) < 2, (path, ends)


def test_a_host_has_room_for_its_name(laptop: Page, site: Site) -> None:
    site.save("acme")
    at(laptop, site, "/smtp-admin/partners/acme")
    box = laptop.locator("#host").bounding_box()
    assert box is not None
    assert box["width"] > 300


def test_no_list_of_a_sender_is_cut_off(laptop: Page, site: Site) -> None:
    """What stands in for a sender, and what it sends by."""
    site.save("acme")
    site.save("acme", key="news", label="Rundschreiben")
    for path in ("/partners/acme", "/partners/acme/routes", "/partners/acme/webhook"):
        at(laptop, site, f"/smtp-admin{path}")
        for one in laptop.locator("details").all():
            one.evaluate("one => { one.open = true; }")
        assert laptop.locator("select").evaluate_all(CUT_OFF) == [], path
    site.delete("acme", "news")


def test_the_words_of_a_state_are_one_piece(laptop: Page, site: Site) -> None:
    """A moment in them once stood in a column of its own, one digit above the other."""
    site.save("acme")
    for path in ("/", "/partners/acme", "/partners/acme/senders"):
        at(laptop, site, f"/smtp-admin{path}")
        pieces = laptop.locator(".smtp-admin-state").evaluate_all(
            """some => some.map((one) => [...one.childNodes]
              .filter((part) => part.nodeType !== Node.TEXT_NODE || part.data.trim())
              .map((part) => part.nodeName))"""
        )
        assert pieces, path
        assert all(one == ["SPAN", "SPAN"] for one in pieces), (path, pieces)
