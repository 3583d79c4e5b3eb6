"""Host names: one spelling, and no other way to write an address."""

import ipaddress
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtp_admin.smtp.hostname import clean_host, display_host, ip_literal
from tests.examples import examples

GOOD = [
    ("smtp.example.com", "smtp.example.com"),
    ("  SMTP.Example.COM \n", "smtp.example.com"),
    ("smtp.example.com.", "smtp.example.com"),
    ("localhost", "localhost"),
    ("mail", "mail"),
    ("a_b.example", "a_b.example"),
    ("_smtp.example", "_smtp.example"),
    ("1.example", "1.example"),
    ("127.0.0.1.example", "127.0.0.1.example"),
    ("x" * 63 + ".example", "x" * 63 + ".example"),
    ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ("bücher.example", "xn--bcher-kva.example"),
    ("BÜCHER.example", "xn--bcher-kva.example"),
    ("ｅｘａｍｐｌｅ.com", "example.com"),
    ("smtp。example。com", "smtp.example.com"),
    ("192.0.2.1", "192.0.2.1"),
    ("[192.0.2.1]", "192.0.2.1"),
    ("2001:DB8::1", "2001:db8::1"),
    ("[2001:db8:0:0::1]", "2001:db8::1"),
    ("::ffff:127.0.0.1", str(ipaddress.ip_address("::ffff:127.0.0.1"))),
]
BAD = [
    "", " ", "\t", ".", "..", ".a", "a..b", "-a", "a-", "a-.b", "-", "x" * 64, "x" * 64 + ".a",
    ".".join(["x" * 60] * 5), "a b", "a\tb", "a\0b", "a\r\nb", "a\x85b", "a\u00a0b", "a\x7fb",
    "http://x", "smtp://x", "x/", "a\\b", "a@b", "host:25", "[::1]:25", "127.0.0.1:25", "[", "[]",
    "[a]", "fe80::1%eth0", "fe80::1%25eth0", "[fe80::1%1]", "127.1", "0x7f.1", "0177.0.0.1",
    "2130706433", "0x7f000001", "0", "0x", "1.2.3.4.5", "256.1.1.1", "127.0.0.1.", "a.0x7f",
    "①②⑦.⓪.⓪.①", "１２７．０．０．１", "127。0。0。1", "①", "a\u202eb", "a\u200bb\u202c",
    "a\ud800b", "xn--\u00fc", "\u0301a",
    "a,b", "a;b", "a|b", "$(id)", "{{7*7}}", "'a'", '"a"', "*", "a*b",
    "a!", "::g", ":::", "1::2::3", "٣.٤",
]  # fmt: skip


@pytest.mark.parametrize(("typed", "meant"), GOOD)
def test_good(typed: str, meant: str) -> None:
    assert clean_host(typed) == meant
    assert clean_host(meant) == meant


@pytest.mark.parametrize("typed", BAD, ids=lambda typed: ascii(typed)[:40])
def test_bad(typed: str) -> None:
    with pytest.raises(ValueError, match=r"\.$") as caught:
        clean_host(typed)
    assert type(caught.value) is ValueError, "a sentence of ours, not an error of a codec"


PIECES = st.sampled_from(
    [".", "-", "_", "a", "0", "127", "0x7f", "1", "①", "。", "．", ":", "::", "[", "]", "%", "@",
     "xn--", "ü", "ß", "\u202e", "\u200d", "\ud800", " ", "\n", "//", "ffff", "٣", "İ", "\u0345"]
)  # fmt: skip
TYPED = (
    st.text(max_size=40) | st.lists(PIECES, max_size=12).map("".join) | st.ip_addresses().map(str)
)
NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


@given(TYPED)
@settings(max_examples=examples(800))
@example("a.ẞ")
@example("xn--a.1")
@example("1\u00ad")
def test_any_text(typed: str) -> None:
    """An ordinary address, or a plain name that no resolver reads as an address."""
    try:
        cleaned = clean_host(typed)
    except ValueError as error:
        assert type(error) is ValueError  # noqa: PT017 - both ways out are legitimate
        return
    assert clean_host(cleaned) == cleaned
    assert cleaned.isascii()
    address = ip_literal(cleaned)
    if address is not None:
        assert str(address) == cleaned
        assert "%" not in cleaned
    else:
        assert len(cleaned) <= 253
        assert NAME.fullmatch(cleaned)
        assert not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", cleaned.rpartition(".")[2])
    assert isinstance(display_host(cleaned), str)


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("smtp.example.com", "smtp.example.com"),
        ("xn--bcher-kva.example", "bücher.example"),
        ("xn--.example", "xn--.example"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_display(host: str, shown: str) -> None:
    assert display_host(host) == shown
