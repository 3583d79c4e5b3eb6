"""The pictures of the admin guide are those that browser tests make."""

from __future__ import annotations

import re
from pathlib import Path

from . import test_history_pages, test_mail_pages, test_pages
from .pictures import IMAGES, PICTURES

DOCS = Path(__file__).parents[2] / "docs"


def test_each_picture_is_of_a_state_that_a_test_brings_about() -> None:
    states = {*test_pages.STATES, *test_history_pages.STATES, *test_mail_pages.STATES}
    assert set(PICTURES.values()) <= states


def test_the_guide_shows_pictures_that_are_there() -> None:
    shown = re.findall(r"\(images/([\w-]+)\.png\)", (DOCS / "admin-guide.md").read_text())
    assert sorted(shown) == sorted(PICTURES)
    assert {one.stem for one in IMAGES.glob("*.png")} == set(PICTURES)
