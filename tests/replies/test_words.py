"""What is taken from words: how long to wait, and whose address is meant."""

import re
from collections.abc import Iterator

import pytest

from smtp_admin.providers.catalogue import replies
from smtp_admin.replies.identities import names, without_names
from smtp_admin.replies.meaning import Context
from smtp_admin.replies.patience import seconds_in
from tests.replies.judging import example_of, reply_of


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Rate limit exceeded", None),
        ("too many emails per second", 30),
        ("Maximum sending rate exceeded", 30),
        ("more than 30 messages per minute", 90),
        ("exceeded the max emails per hour (150/100)", 3600),
        ("Hourly limit exceeded", 3600),
        ("Daily user sending quota exceeded", 4 * 3600),
        ("limit of 400 rcpts per 24 hours", 4 * 3600),
        ("Maximum credits exceeded", 12 * 3600),
        ("10 per second and 500 per day", 4 * 3600),
        ("Greylisted for 5 minutes", 300),
        ("please try again in 600 seconds", 600),
        ("retry in 1 hour", 3600),
        ("try again after 2 days", 12 * 3600),
        ("please retry in 00:04:30", 270),
        ("try again in 1 second", 10),
        ("wait at least 15 min", 900),
        ("for 3 messages", None),
    ],
)
def test_how_long(words: str, seconds: int | None) -> None:
    assert seconds_in(words) == seconds


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("mia@example.org", True),
        ("MIA@Example.ORG", True),
        ("<mia@example.org>", True),
        ("Mia <mia@example.org>, bob@example.net", True),
        ("example.org", True),
        ("bob@example.net, example.org.", True),
        ("bob@example.net, mia@exam...", True),
        ("bob@example.net, mia@example.org...", True),
        ("bob@example.net, mia@exam", False),
        ("bob@example.net...", False),
        ("ample.org", False),
        ("mia@example.net", False),
        ("amia@example.org", False),
        ("", False),
        ("...", False),
    ],
)
def test_who(words: str, named: bool) -> None:
    assert names(words, "mia@example.org") is named


def test_a_domain_names_those_below_it() -> None:
    assert names("bob@example.net, Example.org", "mia@mail.example.org")
    assert not names("mail.example.org", "mia@example.org")


def test_nobody_is_never_named() -> None:
    assert not names("mia@example.org", "")


def in_an_address() -> Iterator[tuple[str, str]]:
    """Each row's example as an address, and a refusal that only says that nobody has it."""
    for row in replies().rows:
        _, said = example_of(row)
        name = re.sub(r"[^a-z]+", "-", said.lower())[:60].strip("-") or "x"
        for address in (f"{name}@example.org", f"mia@{name}.example"):
            yield address, f"550 5.1.1 <{address}>: user unknown"
            yield address, f"550 5.1.1 no such user: {address.upper()}"
        yield f"{name}@example.org", f"550 5.1.1 <{name}>: user unknown"
        yield f"mia@{name}.example", f"550 5.1.1 no such user at {name}.example"


def test_what_an_address_is_called_is_no_reason() -> None:
    """Whoever chooses the recipient must not be able to pause the sender by its name."""
    for address, said in in_an_address():
        judged = replies().judge("rcpt", reply_of(said), Context(recipient=address))
        assert judged.row == "recipient_unknown_code", said


@pytest.mark.parametrize(
    ("words", "known", "seen"),
    [
        ("<mia@a.example>: no", (), "<xxx@x.xxxxxxx>: no"),
        ("no mail for A.example.", ("mia@a.example",), "no mail for x.xxxxxxx."),
        ("<Mia> is unknown", ("mia@a.example",), "<xxx> is unknown"),
        ("mia is unknown", ("mia@a.example",), "mia is unknown"),
        ("blocked by bl.a.example", ("mia@a.example",), "blocked by bl.a.example"),
        ("see https://a.example/spam?for=mia@b.example", ("", "a.example"),
         "see https://x.xxxxxxx/spam?for=xxx@x.xxxxxxx"),
        ("İ: no mail for a.example", ("mia@a.example",), "İ: no mail for a.example"),
        ("@ <@> no", ("@", ""), "@ <@> no"),
    ],
)  # fmt: skip
def test_words_without_names(words: str, known: tuple[str, ...], seen: str) -> None:
    assert without_names(words, *known) == seen
    assert len(seen) == len(words)
