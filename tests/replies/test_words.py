"""What is taken from words: how long to wait, and whose address is meant."""

import pytest

from smtp_admin.replies.identities import names
from smtp_admin.replies.patience import seconds_in


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
