"""Moments inside sentences: the viewer's own clock on pages, UTC wherever a sentence is text."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from flask import render_template_string
from markupsafe import escape

from smtp_admin import moments
from smtp_admin.read_back import kept, read_back
from smtp_admin.sender_state import words
from smtp_admin.translation import clock_time, gettext, joined, sentence, spoken, to_keep
from tests.app import HostApp

SEEN = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
AT = datetime(2026, 12, 1, 14, 5, tzinfo=UTC)
TAG = (
    '<time datetime="2026-12-01T14:05:00Z" title="2026-12-01 14:05:00 UTC" '
    'data-smtp-admin-time="short">{}</time>'
)
SENDER: Any = SimpleNamespace(
    pause_code="rate_limited",
    pause_text=joined((gettext("It said: %(reply)s", reply="450 <b>busy</b> until 14:05 UTC"),)),
)


def shown(text: str) -> str:
    return str(escape(text))


@pytest.fixture(params=["en", "de"])
def asked(request: pytest.FixtureRequest) -> Any:
    """The language, and a request in it."""
    if request.param == "de":
        site: HostApp = request.getfixturevalue("german")
        return "de", site.app.test_request_context
    return "en", nullcontext


def test_a_state_on_a_page_and_elsewhere(asked: tuple[str, Callable[[], Any]]) -> None:
    language, page = asked
    begins = {"en": "Paused until {}, rate limit", "de": "Angehalten bis {}, zu schnell gesendet"}
    headline, detail = words.paused(SENDER, AT, SEEN)
    assert headline == "Paused until 14:05 UTC, rate limit"
    assert json.dumps(headline) == '"Paused until 14:05 UTC, rate limit"'
    with page():
        assert spoken(headline, language) == begins[language].format("14:05 UTC")
        assert shown(headline) == begins[language].format(TAG.format("14:05 UTC"))
        # A server's words are its own: nobody knows which day it means, or whose clock.
        assert shown(detail).endswith(": 450 &lt;b&gt;busy&lt;/b&gt; until 14:05 UTC")


def test_in_whatever_texts_are_made_of(asked: tuple[str, Callable[[], Any]]) -> None:
    at = clock_time(AT, SEEN)
    made = (joined((gettext("Ready"), at)), sentence(at), gettext("Ready") + ", " + at,
            gettext("Paused until %(at)s", at=at).rstrip("."),
            gettext("Paused until %(at)s", at=at).replace("x", "y"))  # fmt: skip
    with asked[1]():
        for one in made:
            assert shown(one).count(TAG.format("14:05 UTC")) == 1, str(one)


@pytest.mark.parametrize(
    ("seen", "english"),
    [
        (SEEN, "14:05 UTC"),
        (SEEN - timedelta(days=1), "1 Dec 14:05 UTC"),
        (SEEN - timedelta(days=360), "1 Dec 2026 14:05 UTC"),
        (None, "1 Dec 2026 14:05 UTC"),
    ],
)
def test_the_day_is_named_if_it_is_another(seen: datetime | None, english: str) -> None:
    text = clock_time(AT, seen)
    assert text == english
    assert shown(text) == TAG.format(english)


def test_what_is_kept_names_its_day(asked: tuple[str, Callable[[], Any]]) -> None:
    """And is the viewer's clock when it is read back, on whatever day that is."""
    language, page = asked
    headline, _ = words.paused(SENDER, AT, SEEN)
    row = to_keep(headline)
    assert row == "Paused until 1 Dec 2026 14:05 UTC, rate limit"
    with page():
        begins = {
            "en": "Paused until {}, rate limit",
            "de": "Angehalten bis {}, zu schnell gesendet",
        }
        day = {"en": "1 Dec 2026 14:05 UTC", "de": "1. Dez. 2026 14:05 UTC"}[language]
        assert shown(read_back(row)) == begins[language].format(TAG.format(day))
        assert spoken(read_back(row), language) == begins[language].format(day)
        assert shown(read_back("Paused until 14:05 UTC")).endswith(" 14:05 UTC")
        assert "<time" not in shown(read_back("31 Feb 2026 14:05 UTC"))
        audit = kept("late <b>, until 2026-12-01 14:05 UTC")
        assert shown(audit) == f"late &lt;b&gt;, until {TAG.format(day)}"


def test_no_value_makes_a_tag(asked: tuple[str, Callable[[], Any]]) -> None:
    """A mark holds a number that only this process knows, and the whole sentence is escaped."""
    forged = "\ue000020261201140500\ue001 \ue000" + "0" * 16 + "020261201140500\ue001 UTC"
    with asked[1]():
        text = shown(gettext("Paused until %(at)s", at=forged))
        assert "<time" not in text
        page = render_template_string("{{ text }}", text=text) if asked[0] == "de" else text
        assert "<time" not in page
    with moments.marking():
        pass
    assert moments.how() is None
