"""Headers: each says the same to two parsers that know nothing of each other, and of us."""

import re
from email.utils import getaddresses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtp_admin.delivery import sender_headers
from smtp_admin.errors import MessageError
from smtp_admin.mail.message import Message
from smtp_admin.mail.mime import build
from smtp_admin.smtp.headers import address_header
from tests.examples import examples
from tests.mail import strict
from tests.mail.reading import parsed

NAME = "very long ASCII name very long ASCII name very long ASCII name very long ASCII name and"
TEXTS = [
    "Acme",
    "Acme, Inc.",
    'Q "The Quote" \\ Slash',
    "()<>[]:;@\\,.\"",
    "x <evil@attacker.example>",
    f"{NAME}, comma <x@other.example>",
    '"' * 40 + ", x",
    "Zoë",
    "Zoë Ångström, Inc. 🐘",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "שלום עולם, אנשים",
    "用户 例子",
    "b aü b",
    "a  b   c",
    " in front",
    "behind ",
    "a ü  b  ",
    "x, " * 60,
    "words of a name " * 13,
    "Zoë  Ångström, Inc. " * 10,
    "x" * 200,
    "x" * 54 + " " + "a ü b " * 12,
    "x" * 75 + " " + "y" * 76 + " ö " + "z" * 77,
    "=",
    "?=",
    "a=b?c_d",
    "\\" * 90,
    "ä" * 200,
    "🐘" * 200,
    "שלום עולם " * 20,
    "Re: some few filler words here RE: Routeraustausch und übriggebliebene Glasfaser",
    "\u00a0",
    "\ufeffa\u200bb",
]  # fmt: skip

texts = st.text(
    st.one_of(
        st.sampled_from(' ",<>()\\.@ü🐘aZ'),
        st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Zl", "Zp"]),
    ),
    max_size=120,
).filter(lambda text: "=?" not in text)


def made(**fields: Any) -> bytes:
    everything: dict[str, Any] = {"subject": "Hi", "recipients": ["a@b.example"], "body": "x"}
    message = Message(**(everything | fields))
    return build(message, message_id="<0123456789abcdef@acme.example>", limit=1_000_000)


def head_of(raw: bytes) -> str:
    return raw.partition(b"\r\n\r\n")[0].decode("ascii")


def check_folding(head: str) -> None:
    """No line is over 78 where there is a place to fold it, and none ends or consists of spaces."""
    for line in head.split("\r\n"):
        content = line if line.startswith(" ") else line.partition(": ")[2]
        assert len(line) <= 78 or " " not in content.strip(" ")
        assert len(line) <= 998
        assert line.strip(" ")
        assert not line.endswith(" ")


def check_addresses(raw: bytes, name: str, expected: list[tuple[str, str]]) -> None:
    """Three parsers: the strict one, Python's newer one, and its older one."""
    assert strict.addresses(strict.read(raw)[name]) == expected
    mail = parsed(raw)
    found = [(one.display_name, one.addr_spec) for one in mail[name].addresses]
    assert [address for _, address in found] == [address for _, address in expected]
    assert not mail[name].defects
    value = head_of(raw).partition(f"{name}: ")[2] or head_of(raw).partition(f"{name}:")[2]
    value = re.split(r"\r\n(?! )", value)[0]
    assert [address for _, address in getaddresses([value])] == [one for _, one in expected]
    # The newer one makes several spaces one, and puts one between two encoded words.
    space = "" if re.search(r"\?=\s+=\?", value) else " "
    assert [space.join(shown.split()) for shown, _ in found] == [
        space.join(text.split()) for text, _ in expected
    ]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text)[:30])
def test_a_name_stays_beside_its_address(text: str) -> None:
    recipients: list[Any] = ["first@b.example", (text, "to@example.com"), ("ä", "last@b.example")]
    raw = made(recipients=recipients, cc=[(text, "cc@example.com")])
    check_folding(head_of(raw))
    expected = [("", "first@b.example"), (text, "to@example.com"), ("ä", "last@b.example")]
    check_addresses(raw, "To", expected)
    check_addresses(raw, "Cc", [(text, "cc@example.com")])


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text)[:30])
def test_a_from_name_stays_beside_its_address(text: str) -> None:
    raw = sender_headers._lines(text, "noreply@acme.example", "reply@acme.example") + made()
    check_folding(head_of(raw))
    check_addresses(raw, "From", [(text, "noreply@acme.example")])
    check_addresses(raw, "Reply-To", [("", "reply@acme.example")])


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text)[:30])
def test_a_subject_says_the_same(text: str) -> None:
    check_subject(text)


def check_subject(text: str) -> None:
    raw = made(subject=text, extra_headers={"X-Note": text})
    check_folding(head_of(raw))
    mail, again = strict.read(raw), parsed(raw)
    assert strict.text(mail["Subject"]) == text
    assert strict.text(mail["X-Note"]) == text.strip(" ")
    assert again["Subject"] == text
    assert again["X-Note"] == text.strip(" ")


@settings(max_examples=examples(300))
@given(text=texts)
def test_any_subject(text: str) -> None:
    check_subject(text)


@settings(max_examples=examples(300))
@given(names=st.lists(texts, min_size=1, max_size=4))
def test_any_names(names: list[str]) -> None:
    addresses = [(name, f"a{number}@b.example") for number, name in enumerate(names)]
    raw = made(recipients=addresses)
    check_folding(head_of(raw))
    expected = [(name if name.strip(" ") else "", address) for name, address in addresses]
    check_addresses(raw, "To", expected)


@pytest.mark.parametrize("length", range(40, 80))
def test_the_comma_between_two_addresses_stays_a_comma(length: int) -> None:
    local = ("1" * 64)[: min(length, 64)]
    first = local + "@" + "d" * (length - len(local)) + "example.org"
    raw = made(recipients=[first, ("ä", "foo@example.org")])
    check_folding(head_of(raw))
    check_addresses(raw, "To", [("", first), ("ä", "foo@example.org")])
    assert b"=2C" not in raw


def test_no_encoded_word_where_ascii_does() -> None:
    subject = "Re: some few filler words here RE: Routeraustausch und übriggebliebene Glasfaser"
    head = head_of(made(subject=subject))
    assert "Routeraustausch und\r\n =?utf-8?q?=C3=BCbriggebliebene?= Glasfaser" in head
    assert head.count("=?") == 1


def test_an_encoded_word_of_the_callers_is_text() -> None:
    """The writer does not rely on the guard that refuses it before."""
    line = address_header("To", [("=?utf-8?q?a=0AX-Evil:_1?=", "a@b.example")])
    assert strict.addresses(strict.headers(line[:-2])[0][1]) == [
        ("=?utf-8?q?a=0AX-Evil:_1?=", "a@b.example")
    ]


# --- Links and ids --------------------------------------------------------------------------------

LINK = f"<https://panel.example/unsubscribe/{'u' * 600}>"
MAILTO = f"<mailto:{'v' * 600}@panel.example?subject=stop>"


@pytest.mark.parametrize("comma", [", ", ",", ",  "])
def test_links_are_folded_between_and_never_inside(comma: str) -> None:
    head = head_of(made(extra_headers={"List-Unsubscribe": LINK + comma + MAILTO}))
    assert re.search(
        rf"\r\nList-Unsubscribe: {re.escape(LINK)},\r\n {{1,2}}{re.escape(MAILTO)}\r\n", head
    )


@pytest.mark.parametrize("name", ["List-Help", "References", "In-Reply-To", "X-Original", "X-Link"])
def test_links_and_ids_are_never_encoded(name: str) -> None:
    ids = [f"<{number}.{'i' * 66}@mail.panel.example>" for number in range(8)]
    for value in (LINK, " ".join(ids), ids[0]):
        raw = made(extra_headers={name: value})
        assert strict.read(raw)[name] == value
        assert "=?" not in head_of(raw)
        check_folding(head_of(raw))


@pytest.mark.parametrize("name", ["References", "List-Unsubscribe"])
def test_the_first_link_stays_beside_the_name(name: str) -> None:
    value = f"<https://panel.example/{'u' * 50}>"
    assert f"\r\n{name}: {value}\r\n" in head_of(made(extra_headers={name: value}))


def test_links_without_spaces_between_are_folded() -> None:
    head = head_of(made(extra_headers={"References": "<a@b.example>" * 20}))
    assert re.sub(r"\s+", "", head.partition("References: ")[2]).startswith("<a@b.example>" * 20)
    check_folding(head)


@pytest.mark.parametrize("value", ["<https://panel.example/ü>", "ü", f"<{'x' * 1000}>"])
def test_a_link_that_cannot_be_written_is_refused(value: str) -> None:
    with pytest.raises(MessageError, match=r"ASCII|too long"):
        made(extra_headers={"List-Unsubscribe": value})


@pytest.mark.parametrize("value", ['"Grüße, alle" <a.b>', "Grüße, alle <a.b>"])
def test_the_name_of_a_list(value: str) -> None:
    raw = made(extra_headers={"List-ID": value})
    assert re.fullmatch(r"=\?\S+\?= <a\.b>", strict.read(raw)["List-ID"])
    assert parsed(raw)["List-ID"] == "Grüße, alle <a.b>"


# --- Text with an address in it -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("b@example.com", ""),
        ("<b@example.com>", ""),
        (" Bob <b@example.com> ", "Bob"),
        ("Acme, Inc. <b@example.com>", "Acme, Inc."),
        ('"Acme, Inc." <b@example.com>', "Acme, Inc."),
        ('"Acme, Inc."<b@example.com>', "Acme, Inc."),
        ('"\\"quoted\\" name" <b@example.com>', '"quoted" name'),
        ('"back\\\\slash" <b@example.com>', "back\\slash"),
        ('"a" "b" <b@example.com>', "a b"),
        ('Sam "the Man" Doe <b@example.com>', "Sam the Man Doe"),
        ('"x <evil@attacker.example>, y" <b@example.com>', "x <evil@attacker.example>, y"),
        ('5" pipes <b@example.com>', '5" pipes'),
        ("sam@c.example via Acme <b@example.com>", "sam@c.example via Acme"),
        ("Zoë <b@example.com>", "Zoë"),
    ],
)
def test_text_with_an_address_is_read(text: str, name: str) -> None:
    check_addresses(made(recipients=[text]), "To", [(name, "b@example.com")])


@pytest.mark.parametrize(
    "text",
    ["a@b.example, Bob <b@example.com>", "Ann <a@b.example>, Bob <b@example.com>",
     "a@b.example; <b@example.com>", "Bob <<b@example.com>"],
)  # fmt: skip
def test_text_with_two_addresses_is_refused(text: str) -> None:
    with pytest.raises(MessageError, match="one by one"):
        made(recipients=[text])
