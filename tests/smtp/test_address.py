"""Addresses: what was checked is what goes on the wire, and nothing is repaired."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtp_admin.smtp.address import check_header_text, clean_address, domain_of
from tests.examples import examples

GOOD = [
    ("a@example.com", "a@example.com"),
    (" a@example.com  ", "a@example.com"),
    ("First.Last@EXAMPLE.Com", "First.Last@example.com"),
    ("a+tag@example.com", "a+tag@example.com"),
    ("!#$%&'*+/=?^_`{|}~-@example.com", "!#$%&'*+/=?^_`{|}~-@example.com"),
    ("o'hara@example.com", "o'hara@example.com"),
    ("1@example.com", "1@example.com"),
    ("x" * 64 + "@example.com", "x" * 64 + "@example.com"),
    ("a@x-y.example", "a@x-y.example"),
    ("a@1.example", "a@1.example"),
    ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
    ("a@Bücher.example", "a@xn--bcher-kva.example"),
    ("u@例子.测试", "u@xn--fsqu00a.xn--0zwm56d"),
    ("用户@example.com", "用户@example.com"),
    ("jörg@bücher.example", "jörg@xn--bcher-kva.example"),
]

BAD = [
    "", " ", "a", "@", "a@", "@example.com", "<>", "postmaster", "a@localhost", "a@b@example.com",
    "a b@example.com", "a@exa mple.com", '"a b"@example.com', '"a"@example.com', "a(c)@example.com",
    "a@[127.0.0.1]", "a@127.0.0.1", "a@example.123", "a@[IPv6:::1]", ".a@example.com",
    "a.@example.com", "a..b@example.com", "-a@example.com", "-oQ/tmp@example.com",
    "a@-example.com", "a@example-.com", "a@example..com", "a@.example.com", "a@example.com.",
    "a@exam_ple.com", "x" * 65 + "@example.com", "ü" * 33 + "@example.com",
    "a@" + ".".join(["x" * 60] * 5) + ".example", "a@" + "x" * 64 + ".example",
    "a@x.example SIZE=1", "a@x.example>", "<a@x.example>", "A <a@x.example>",
    "alice@x.example)bob@x.example", "a@b, evil@x.example", "a,b@x.example", "a;b@x.example",
    "a:b@x.example", "g: a@x.example;", "@x.example:a@y.example", "a\\b@x.example",
    "a@x.example\r\nRCPT TO:<e@x.example>", "a\r\n@x.example", "a\n@x.example", "a\r@x.example",
    "a@x.example\n", "a@x.example\r", "\ta@x.example", "a\0@x.example", "a\x7f@x.example",
    "a\x85@x.example", "a\u2028@x.example", "a\u2029@x.example", "a\ud800@x.example",
    "a@\ud800.example", "a@exa\u2028mple.com", "a@exam\u200dple.com", "a@①②⑦.⓪.⓪.①",
    "a@１２７.0.0.1", "a@x。１", "a＠x.example", "a@x.example\u3000",
]  # fmt: skip


@pytest.mark.parametrize(("typed", "meant"), GOOD)
def test_good(typed: str, meant: str) -> None:
    assert clean_address(typed) == meant
    assert domain_of(meant) == meant.split("@")[1]


@pytest.mark.parametrize("typed", BAD, ids=lambda typed: ascii(typed)[:40])
def test_bad(typed: str) -> None:
    with pytest.raises(ValueError, match=r"\.$") as caught:
        clean_address(typed)
    assert type(caught.value) is ValueError, "a sentence of ours, not an error of a codec"


def test_length() -> None:
    """254 is the longest path that fits into MAIL FROM (RFC 5321, erratum 1690)."""
    domain = ".".join(["x" * 61] * 3) + ".example"
    longest = "y" * (254 - len(domain) - 1) + "@" + domain
    assert len(longest) == 254
    assert clean_address(longest) == longest
    with pytest.raises(ValueError, match="254"):
        clean_address("y" + longest)


PIECES = st.sampled_from(
    ["@", ".", "-", "_", "a", "example", ".com", '"', "<", ">", "\r\n", "\0", " ", "ü", "。", "\\",
     "xn--", "\u2028", "\ud800", "①", "(", ")", ",", ";", ":", "[", "]", "\u202e", "ß", "İ"]
)  # fmt: skip
TYPED = st.text(max_size=30) | st.lists(PIECES, max_size=12).map("".join)
NEAR = st.builds(lambda local, domain: f"{local}@{domain}.com", TYPED, TYPED)


@given(TYPED | NEAR)
@settings(max_examples=examples(600))
@example("a@ẞ.example")
@example("a@\u0345.example")
def test_any_text(typed: str) -> None:
    """Refused with a sentence, or clean for good: nothing in it can end or extend a command."""
    try:
        cleaned = clean_address(typed)
    except ValueError as error:
        assert type(error) is ValueError  # noqa: PT017 - both ways out are legitimate
        return
    assert clean_address(cleaned) == cleaned
    local, at, domain = cleaned.partition("@")
    assert at == "@"
    assert local == typed.strip(" ").rpartition("@")[0], "the local part is as it was typed"
    assert domain.isascii()
    assert domain == domain.lower()
    assert "." in domain
    assert len(cleaned) <= 254
    assert len(local.encode()) <= 64
    assert not set(cleaned) & set(' "<>()[]\\,;:')
    assert not any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in cleaned)


@given(st.text(max_size=50))
@settings(max_examples=examples(300))
def test_header_text(text: str) -> None:
    try:
        assert check_header_text(text) == text
    except ValueError:
        return
    assert not any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in text)
    assert "=?" not in text
    assert len(text.splitlines()) <= 1


@pytest.mark.parametrize(
    "text",
    ["a\r\nBcc: b", "a\rb", "a\nb", "a\0b", "a\x0bb", "a\x0cb", "a\x1bb", "a\x7fb", "a\x85b",
     "a\u2028b", "a\u2029b", "a\ud800b", "\t", "=?utf-8?q?a=0AX:1?=", "x =?utf-8?b?YQ==?="],
    ids=ascii,
)  # fmt: skip
def test_header_injection(text: str) -> None:
    with pytest.raises(ValueError, match="allowed"):
        check_header_text(text)


@pytest.mark.parametrize("text", ["", "Acme, Inc.", "x <evil@y>", 'a "b" \\ c', "🔑", "?=", "= ?"])
def test_header_text_that_only_needs_quoting(text: str) -> None:
    assert check_header_text(text) == text
