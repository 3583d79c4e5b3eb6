"""Bytes: what goes in comes out at the other end, and nothing else can be put in."""

import re
import string
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import parseaddr
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtp_admin.errors import MessageError, TooLarge
from smtp_admin.mail.message import Attachment, Message
from smtp_admin.mail.mime import build, recipients_of
from tests.examples import examples
from tests.mail.reading import parsed

MESSAGE_ID = "<0123456789abcdef@acme.example>"
LIMIT = 1_000_000
OUR_HEADERS = {"subject", "to", "cc", "reply-to", "date", "message-id", "mime-version",
               "content-type", "content-transfer-encoding"}  # fmt: skip

#: Letters that a header can carry, with those that are known to be carried badly.
printable = st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Zl", "Zp"])
words = st.text(printable, max_size=60).filter(lambda text: "=?" not in text)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
locals_ = st.text(string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~", min_size=1)
addresses = st.builds(
    "{}@{}.example".format,
    locals_.map(lambda text: text[:64]).filter(
        lambda text: not text.startswith("-") and "=?" not in text
    ),
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True),
)


def made(subject: str = "Hello", *recipients: Any, **fields: Any) -> bytes:
    message = Message(subject, recipients or ("you@example.org",), **fields)
    return build(message, message_id=MESSAGE_ID, limit=LIMIT)


def check_wire(raw: bytes) -> None:
    """What a receiving server insists on, and a smuggler would try to break."""
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.isascii()
    names = [name.lower() for name in parsed(raw).keys()]  # noqa: SIM118 - repeats count
    assert len(names) == len(set(names))
    assert set(names) <= OUR_HEADERS


def spaces(text: str) -> str:
    """Folding may change how many spaces there are, and nothing else."""
    return re.sub(" +", " ", text).strip()


@settings(max_examples=examples(150))
@given(subject=words, body=anything, html=st.none() | anything)
@example(subject="", body="", html=None)
@example(subject=" ", body=".\r\n.\n..\r", html=None)
@example(subject="x" * 900, body="y" * 5000, html="<p>" + "z" * 5000)
@example(subject="ä" * 60, body="From here\n.\n\x0b\x0c\x1c\x85\u2028", html="\r\r\n\n")
@example(subject='a, b; c: <d> "e" (f) \\', body="a=\r\n=20", html="")
def test_text_survives(subject: str, body: str, html: str | None) -> None:
    raw = made(subject, body=body, html=html)
    check_wire(raw)
    mail = parsed(raw)
    assert re.sub(" +", " ", mail["Subject"]).strip() == re.sub(" +", " ", subject).strip()
    found = mail.get_body(("plain",))
    assert found is not None
    assert lines(found.get_content()) == lines(body)
    if html is not None:
        found = mail.get_body(("html",))
        assert found is not None
        assert lines(found.get_content()) == lines(html)


def lines(text: str) -> list[str]:
    """Without NUL, which no mail carries, and without the line end that every text gets."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return text.removesuffix("\n").split("\n")


@settings(max_examples=examples(150))
@given(name=words, address=addresses)
@example(name="Acme, Inc.", address="a@b.example")
@example(name='Q "The Quote" \\ Slash', address="a@b.example")
@example(name="x <evil@attacker.example>", address="a@b.example")
@example(name="Zoë Ångström 🐘", address="o'brien+tag@b.example")
@example(name="=", address="a@b.example")
def test_names_and_addresses_survive(name: str, address: str) -> None:
    raw = made("Hi", (name, address), cc=[address], reply_to=address, body="x")
    check_wire(raw)
    mail = parsed(raw)
    (to,) = mail["To"].addresses
    assert to.addr_spec == address
    assert spaces(shown_name(raw)) == spaces(name)
    assert [one.addr_spec for one in mail["Cc"].addresses] == [address]
    assert [one.addr_spec for one in mail["Reply-To"].addresses] == [address]


def shown_name(raw: bytes) -> str:
    """By the older parser: the newer one puts a space between two encoded words of a name."""
    name, _address = parseaddr(message_from_bytes(raw)["To"])
    return str(make_header(decode_header(name)))


@settings(max_examples=examples(100))
@given(filename=words.filter(str.strip), data=st.binary(max_size=2000))
@example(filename='re"port\\.pdf', data=b"\r\n.\r\nMAIL FROM:<a@b>\r\n")
@example(filename="Übersicht 2026; a=b.pdf", data=b"\0")
@example(filename="a" * 250, data=b"")
def test_files_survive(filename: str, data: bytes) -> None:
    file = Attachment(filename, "application/pdf", data)
    raw = made(body="x", attachments=[file])
    check_wire(raw)
    (part,) = parsed(raw).iter_attachments()
    assert part.get_content() == data
    assert part.get_content_type() == "application/pdf"
    assert spaces(part.get_filename() or "") == spaces(filename)


INJECTIONS = [
    "a\r\nBcc: evil@attacker.example",
    "a\nBcc: evil@attacker.example",
    "a\rBcc: evil@attacker.example",
    "a\x0bb",
    "a\x0cb",
    "a\x1bb",
    "a\0b",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "=?utf-8?q?a=0AX-Evil:_1?=",
    "=?utf-8?b?YQpYLUV2aWw6IDE=?=",
    "=?",
    "\ud800",
    "\r\n\r\n<script>",
]


def queue(message: Message) -> bytes:
    """What is done with a mail before it is queued."""
    recipients_of(message)
    return build(message, message_id=MESSAGE_ID, limit=LIMIT)


def check_refused(**fields: Any) -> None:
    everything: dict[str, Any] = {"subject": "Hi", "recipients": ["a@b.example"], "body": "x"}
    message = Message(**(everything | fields))
    with pytest.raises(MessageError):
        queue(message)


@pytest.mark.parametrize("text", INJECTIONS, ids=ascii)
def test_headers_cannot_be_injected(text: str) -> None:
    check_refused(subject=text)
    check_refused(recipients=[(text, "a@b.example")])
    check_refused(recipients=[f"{text} <a@b.example>"])
    check_refused(attachments=[Attachment(text, "text/plain", b"x")])
    check_refused(attachments=[Attachment("x", f"text/plain{text}", b"x")])
    check_refused(extra_headers={"X-Campaign": text})
    check_refused(extra_headers={f"X-{text}": "x"})


#: Of a half one an address may consist, strange as it looks: it is written as it is.
@pytest.mark.parametrize("text", [one for one in INJECTIONS if one != "=?"], ids=ascii)
def test_addresses_cannot_carry_headers(text: str) -> None:
    check_refused(recipients=[f"a{text}@b.example"])
    check_refused(recipients=[f"a@b{text}.example"])
    check_refused(cc=[f"a@b.example{text}"])
    check_refused(bcc=[f"a@b.example,{text}"])
    check_refused(reply_to=f"{text}@b.example")


@pytest.mark.parametrize(
    "address",
    [
        "",
        " ",
        "<>",
        "postmaster",
        "a@b@c.example",
        '"a b"@b.example',
        "a@[127.0.0.1]",
        "a@127.0.0.1",
        "a@localhost",
        "a b@b.example",
        "a@b.example SIZE=1",
        "alice@b.example)bob@c.example",
        "a@b.example, evil@c.example",
        "a@b.example>,<evil@c.example",
        "-oQ/tmp@b.example",
        "group:a@b.example,c@d.example;",
        "a..b@c.example",
        ".a@b.example",
        "a@b..example",
        "a@-b.example",
        "x" * 65 + "@b.example",
        "a@" + "b" * 64 + ".example",
        "a@" + ".".join(["b" * 60] * 5),
        "a@b.example\u0000",
        "=?utf-8?b?YQ?=@b.example",
        "=?utf-8?q?evil=40attacker.example=2C?=a@b.example",
        "a=?utf-8?q?b?=c@b.example",
    ],
    ids=ascii,
)
def test_a_wrong_address_is_refused_and_never_repaired(address: str) -> None:
    with pytest.raises(MessageError):
        recipients_of(Message("Hi", [address]))
    with pytest.raises(MessageError):
        recipients_of(Message("Hi", ["fine@b.example"], bcc=[address]))


def test_there_must_be_a_recipient() -> None:
    with pytest.raises(MessageError, match="at least one recipient"):
        recipients_of(Message("Hi"))


def test_recipients_are_cleaned_and_counted_once() -> None:
    to: list[Any] = ["A@Example.ORG", ("Ann", "a@example.org"), "Bob <b@bücher.example>"]
    message = Message(
        "Hi",
        to,
        cc=["c@example.org"],
        bcc=["C@EXAMPLE.org"],
    )
    assert recipients_of(message) == [
        "A@example.org",
        "b@xn--bcher-kva.example",
        "c@example.org",
    ]


def test_an_international_address_is_refused_or_can_be_read() -> None:
    """A local part beyond ASCII cannot be an encoded word (RFC 2047 section 5)."""
    try:
        accepted = recipients_of(Message("Hi", ["用户@例子.测试"]))
    except MessageError:
        return
    assert accepted == ["用户@xn--fsqu00a.xn--0zwm56d"]
    assert b"=?" not in made("Hi", "用户@例子.测试", body="x").partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    "name",
    [
        "From", "from", "To", "Bcc", "Subject", "Date", "Message-ID", "MIME-Version", "Sender",
        "Return-Path", "Received", "DKIM-Signature", "Content-Type", "content-x", "Resent-To",
        "Reply-To", "X-Smtp-Admin-Intended-To", "", "X Y", "X:Y", "Ünï", "1X", "X" * 70,
    ],
)  # fmt: skip
def test_a_header_that_is_ours_or_none_is_refused(name: str) -> None:
    with pytest.raises(MessageError):
        made(extra_headers={name: "x"})


def test_a_header_twice_is_refused() -> None:
    with pytest.raises(MessageError, match="twice"):
        made(extra_headers={"References": "<a@b>", "references": "<c@d>"})


@pytest.mark.parametrize("text", [b"x", 5, ["x"]])
def test_what_is_no_text_is_refused(text: Any) -> None:
    for fields in ({"body": text}, {"html": text}, {"alts": {"calendar": text}}):
        with pytest.raises(MessageError, match="is a str"):
            made(**fields)


def test_headers_of_the_callers_own() -> None:
    raw = made(body="x", extra_headers={"X-Campaign": "spring ☀", "List-ID": "<a.b>"})
    mail = parsed(raw)
    assert mail["X-Campaign"] == "spring ☀"
    assert mail["List-ID"] == "<a.b>"


def test_bcc_is_in_no_header() -> None:
    raw = made("Hi", "a@b.example", bcc=["secret@b.example"], body="x")
    assert b"secret" not in raw
    raw = build(
        Message("Hi", bcc=["secret@b.example"], body="x"), message_id=MESSAGE_ID, limit=LIMIT
    )
    assert b"secret" not in raw
    assert b"To: undisclosed-recipients:;" in raw


def test_a_whole_mail_travels_as_a_file() -> None:
    inner = b"From: a@b\r\nSubject: inner\r\n\r\nbody\r\n"
    for content_type in ("message/rfc822", "multipart/mixed"):
        raw = made(body="x", attachments=[Attachment("a.eml", content_type, inner)])
        (part,) = parsed(raw).iter_attachments()
        assert part.get_content_type() == "application/octet-stream"
        assert part.get_content() == inner


@pytest.mark.parametrize("letter", ["x", "ä", " ", "x "])
def test_no_line_is_longer_than_a_server_takes(letter: str) -> None:
    long = letter * 3000
    check_wire(made(long, body=long, html=long))
    raw = made(body="x", extra_headers={"X-Campaign": long})
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_too_large_is_refused() -> None:
    with pytest.raises(TooLarge):
        build(Message("Hi", ["a@b.example"], "x" * 3000), message_id=MESSAGE_ID, limit=2000)


def test_date_and_id_are_set() -> None:
    mail = parsed(made(body="x"))
    assert mail["Message-ID"] == MESSAGE_ID
    assert mail["Date"].datetime.utcoffset().total_seconds() == 0
