"""No form of a secret is left in what a server says, however it says it."""

import base64
import time
from itertools import pairwise
from secrets import token_urlsafe

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.smtp.redaction import MASK, Redactor

SECRET = "pässword canary-4711"


def squeezed(lines: tuple[str, ...]) -> str:
    return "".join("".join(lines).split())


@pytest.mark.parametrize(
    "lines",
    [
        ("bad login pässword can", "ary-4711 sorry"),
        ("5.7.8 bad login pässword can", "5.7.8 ary-4711 sorry"),
        ("bad login pässword", "canary-4711"),
        ("pässw", "ord ", "5.7.8 canary", "-4711"),
        ("p", *SECRET[1:]),
        (*"try: ", *SECRET, "pässword canary-4711"),
    ],
)
def test_a_secret_over_several_lines(lines: tuple[str, ...]) -> None:
    shown = Redactor([SECRET]).lines(lines)
    assert len(shown) == len(lines)
    assert MASK in "".join(shown)
    joined = squeezed(tuple(line.removeprefix("5.7.8 ") for line in shown))
    for part in ("pässw", "ord", "canary", "4711"):
        assert part not in joined
    assert ("bad login" in shown[0]) is ("bad login" in lines[0]), "what is no secret stays"


def test_a_secret_in_base64_that_was_wrapped() -> None:
    encoded = base64.b64encode(f"\0mia\0{SECRET}".encode()).decode()
    lines = tuple(encoded[at : at + 10] for at in range(0, len(encoded), 10))
    assert set("".join(Redactor([SECRET], "mia").lines(lines))) == {"*"}


@pytest.mark.parametrize(
    "said",
    [
        " ".join(SECRET),
        "pässword  canary-4711",
        "pässwordcanary-4711",
        "p%C3%A4ssword%20canary-4711",
        "p%c3%a4ssword%20canary-4711",
        "p%C3%A4ssword+canary-4711",
        base64.b64encode(SECRET.encode()).decode()[:9] + " "
        + base64.b64encode(SECRET.encode()).decode()[9:],
    ],
)  # fmt: skip
def test_however_it_is_written(said: str) -> None:
    for before in ("5.7.8 you said ", "x" * 185 + " "):
        assert Redactor([SECRET])(f"{before}{said} twice") == f"{before}{MASK} twice"
        assert Redactor([SECRET]).lines((f"{before}{said}",)) == (f"{before}{MASK}",)


@pytest.mark.timeout(20)
def test_many_spaces_take_no_time() -> None:
    redact = Redactor(["a b c d e", "a a"])
    assert redact("a" + " " * 60_000 + "b" + " " * 60_000 + "x").endswith("x")
    assert MASK in redact("a" + " " * 60_000 + "b c" + " " * 60_000 + "de")


def test_a_secret_that_is_hardly_one() -> None:
    assert Redactor(["a b"]).lines(("an a b", "a", "b")) == (f"an {MASK}", "a", "b")


def test_as_a_page_writes_it() -> None:
    assert Redactor(["<a&b>'c'"])("said &lt;a&amp;b&gt;&#x27;c&#x27;.") == f"said {MASK}."


def test_several_secrets() -> None:
    redact = Redactor(["first-one", "", "second-one"])
    assert redact("a first-one and a second-one") == f"a {MASK} and a {MASK}"
    assert not Redactor(["", ""])
    assert not Redactor()


def test_what_a_login_said_is_hidden_from_then_on() -> None:
    redact = Redactor()
    said = base64.b64encode(b"user=mia\1auth=Bearer token\1\1").decode()
    assert redact(said) == said
    redact.hide(said)
    redact.hide("")
    assert redact(f"you said {said}!") == f"you said {MASK}!"
    assert redact(f"you said {said.rstrip('=')}") == f"you said {MASK}"


@given(
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=6, max_size=40),
    st.lists(st.integers(0, 40), max_size=5),
)
def test_wherever_the_lines_are_broken(secret: str, breaks: list[int]) -> None:
    if set(secret) <= set(MASK) or len(set(secret)) < 4:
        return
    places = sorted({min(one, len(secret)) for one in breaks} | {0, len(secret)})
    pieces = [secret[start:end] for start, end in pairwise(places)]
    shown = Redactor([secret]).lines(("said:", *pieces, "end"))
    assert secret not in "".join(shown)
    assert shown[0] == "said:"


@pytest.mark.parametrize("length", [63, 64, 1700, 12288])
def test_a_long_one_that_a_server_cut_off(length: int) -> None:
    """As much as fits into a reply is repeated, and no more may be seen of it for that."""
    token = token_urlsafe(length)[:length]
    redact = Redactor([token], "mia")
    wire = base64.b64encode(f"user=mia\1auth=Bearer {token}\1\1".encode()).decode()
    redact.hide(wire)
    for form in (token, wire, base64.b64encode(token.encode()).decode()):
        began = time.process_time()
        assert redact(f"you said {form} at login") == f"you said {MASK} at login"
        if len(form) > 80:
            assert redact(f"too long: {form[:70]}... sorry") == f"too long: {MASK}... sorry"
            spread = (f"5.7.8 you said {form[:40]}", f"5.7.8 {form[40:75]}! and more")
            assert redact.lines(spread) == (f"5.7.8 you said {MASK}", f"5.7.8 {MASK}! and more")
        assert time.process_time() - began < 1
    assert redact(f"you said {token[1:]}"[:20]) == f"you said {token[1:]}"[:20]
