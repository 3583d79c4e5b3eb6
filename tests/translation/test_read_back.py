"""Sentences of the database in German: taken apart by the catalogue, with values and all."""

from datetime import UTC, datetime, timedelta
from time import process_time
from types import SimpleNamespace
from typing import Any

import pytest

from smtp_admin.catalogues import by_tag
from smtp_admin.read_back import _Frame, read_back
from smtp_admin.sender_state import words
from smtp_admin.translation import Text, day, gettext, joined, known, number

GERMAN = by_tag("de")
AT = datetime(2027, 12, 1, 14, 5, tzinfo=UTC)
REFUSED = gettext("The server refused the user name or password.")
SENDER: Any = SimpleNamespace(
    pause_code="rate_limited",
    pause_reason="",
    pause_text=joined((REFUSED, gettext("It said: %(reply)s", reply="535 Ready. Not found."))),
    values=SimpleNamespace(max_per_hour=100, max_per_day=None, place=lambda: "smtp.acme.example"),
    last_accepted_at=AT - timedelta(days=3),
)
FACTS: Any = SimpleNamespace(
    limit_until=AT, moment=AT - timedelta(hours=1), waiting=1204, urgent_goes=True, used_hour=95,
    used_day=None, due=0, next_at=AT + timedelta(days=1), refused=True, failed=3,
    last_error=known("It waited too long and was not sent."), tested=None,
    test_error=REFUSED,
)  # fmt: skip
SAID = [
    one
    for pair in (
        words.not_set_up(3),
        words.not_set_up(1),
        words.system_waits(1),
        words.by_system("mia@acme.example", lambda: words.paused(SENDER, AT, FACTS.moment)),
        words.stopped(SENDER),
        words.paused(SENDER, AT + timedelta(days=3), FACTS.moment),
        words.paused(SENDER, AT + timedelta(days=60), FACTS.moment),
        words.no_worker(5),
        words.limit(SENDER, FACTS),
        words.late(7, timedelta(minutes=70)),
        words.retrying(FACTS, AT),
        words.failing(FACTS),
        words.held(1),
        words.ready(SENDER, FACTS),
        words.test_failed(FACTS),
        words.delivering(SENDER, FACTS),
        (
            gettext("%(dead)s dead letters in 24 hours", dead=number(1204)),
            gettext(
                "%(what)s: ends on %(day)s",
                what=gettext("%(kind)s “%(name)s”", kind=gettext("Client secret"), name="Ready"),
                day=day(AT, year=True),
            ),
        ),
    )
    for one in pair
    if one
]


def in_german(text: str) -> str:
    assert GERMAN is not None
    return text.into(GERMAN) if isinstance(text, Text) else text


@pytest.mark.parametrize("text", SAID, ids=str)
def test_what_is_written_down_says_the_same(text: str) -> None:
    """As the row has it, plain English, and as it was before it got there."""
    german = in_german(read_back(str(text)))
    assert german == in_german(text)
    assert german != text
    assert read_back(str(text)) == str(text)


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("What a server said. And more of it.", "What a server said. And more of it."),
        (f"{REFUSED} Then something else.", None),
        ("4.7.0 and 5.7.1", "4.7.0 and 5.7.1"),
        ("", ""),
        ("x " * 2000, "x " * 2000),
        ("31 Feb 2027", "31 Feb 2027"),
    ],
)
def test_what_is_unknown_stays(english: str, german: str | None) -> None:
    said = in_german(read_back(english))
    if german is None:
        assert said == f"{in_german(REFUSED)} Then something else."
    else:
        assert said == german


def test_it_takes_little_time_whatever_a_server_says() -> None:
    """A long text of the words that texts are made of, in no order that makes one."""
    texts = [f"{number} of the mail: and {number}; for the last at “x” in, " * 25
             for number in range(20)]  # fmt: skip
    in_german(read_back("to make the index"))
    begins = process_time()
    for one in texts:
        in_german(read_back(one))
    assert (process_time() - begins) / len(texts) < 0.2


def test_words_made_to_fit_many_texts_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a mail server says stands in such sentences, and each piece of it may fit many."""
    assert GERMAN is not None
    tried: list[str] = []
    values_in = _Frame.values_in

    def note(frame: _Frame, text: str) -> dict[str, str] | None:
        tried.append(text)
        return values_in(frame, text)

    monkeypatch.setattr(_Frame, "values_in", note)
    ours = [one.split("%(")[0].strip() for one in GERMAN.texts if "%(" in one]
    hostile = f"{REFUSED} ({'. '.join(filter(None, ours))})"[:1400]
    assert in_german(read_back(hostile)) == hostile
    assert len(tried) <= 10_000
    for text in map(str, SAID):
        tried.clear()
        in_german(read_back(f"{text} Please."))  # which was not kept ready
        assert len(tried) < 5_000, text
