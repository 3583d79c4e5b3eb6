"""Bodies and files: every letter arrives, and no line is mistaken for something else."""

import base64
import re
from email.utils import unquote
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtp_admin.mail.message import Attachment, Message
from smtp_admin.mail.mime import build
from smtp_admin.mail.quoted_printable import written
from tests.examples import examples
from tests.mail import strict
from tests.mail.reading import parsed
from tests.mail.test_headers import TEXTS, head_of

pieces = st.lists(
    st.one_of(
        st.sampled_from(["\r\n", "\n", ".", "From ", "=", " ", "\t", "--=_", "ä", "🐘", "x" * 75]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    ),
    max_size=40,
).map("".join)

names = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=120
).filter(lambda text: "=?" not in text)


def made(**fields: Any) -> bytes:
    everything: dict[str, Any] = {"subject": "Hi", "recipients": ["a@b.example"]}
    message = Message(**(everything | fields))
    return build(message, message_id="<0123456789abcdef@acme.example>", limit=10_000_000)


def normal(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return (text if text.endswith("\n") else f"{text}\n").replace("\n", "\r\n")


@settings(max_examples=examples(400))
@given(text=pieces)
@example(text="")
@example(text=".")
@example(text="From here\n.\n..\nFrom\nFrom ")
@example(text="x" * 76)
@example(text="x" * 77)
@example(text="x" * 75 + ".From there")
@example(text="." * 2000)
@example(text="From " * 400)
@example(text="=" * 200)
@example(text="ä" * 200)
@example(text="".join(map(chr, range(0x100, 0x180))))
def test_any_text(text: str) -> None:
    encoding, data = written(text)
    assert strict._decoded(encoding, data).decode() == normal(text)
    for line in data.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.startswith((b".", b"From ", b"--=_"))
        assert not line.endswith((b" ", b"\t"))


@settings(max_examples=examples(100))
@given(body=pieces, html=pieces, calendar=pieces, data=st.binary(max_size=300))
def test_all_parts_arrive(body: str, html: str, calendar: str, data: bytes) -> None:
    file = Attachment("a.bin", "application/x-thing", data)
    raw = made(body=body, html=html, alts={"calendar": calendar}, attachments=[file])
    leaves = strict.read(raw).leaves
    assert [leaf.kind for leaf in leaves] == [
        "text/plain", "text/html", "text/calendar", "application/x-thing"
    ]  # fmt: skip
    assert [leaf.text for leaf in leaves[:3]] == [normal(text) for text in (body, html, calendar)]
    assert leaves[3].data == data
    again = [part for part in parsed(raw).walk() if not part.is_multipart()]
    assert [part.get_content_type() for part in again] == [leaf.kind for leaf in leaves]
    for part, text in zip(again, (body, html, calendar), strict=False):
        payload = part.get_payload(decode=True)
        assert payload == normal(text).encode()
    assert again[3].get_payload(decode=True) == data


def test_short_ascii_is_left_as_it_is() -> None:
    raw = made(body="Hello,\n\n\tyours\n-- \n"[:16])
    assert b"Content-Transfer-Encoding: 7bit\r\n\r\nHello,\r\n\r\n\tyours\r\n" in raw


@pytest.mark.parametrize("text", ["-- \n", ".", "From x", "x" * 77, "ä", "--=_alternative_"])
def test_what_something_could_change_is_encoded(text: str) -> None:
    assert written(f"Hello\n{text}")[0] == "quoted-printable"


def test_the_same_message_has_the_same_bytes() -> None:
    fields = {"body": "ä", "html": "ö", "attachments": [Attachment("a", "a/b", b"x")]}

    def undated() -> bytes:
        return re.sub(rb"Date: [^\r]+", b"", made(**fields))

    assert undated() == undated()


def test_a_boundary_is_no_line_of_a_part() -> None:
    first = made(body="x", html="x", attachments=[Attachment("a", "a/b", b"x")])
    boundaries = re.findall(rb'boundary="([^"]+)"', first)
    assert len(boundaries) == 2
    lines = "\n".join(f"--{one.decode()}\n--{one.decode()}--" for one in boundaries)
    raw = made(body=lines, html=lines, attachments=[Attachment("a", "text/plain", lines.encode())])
    assert re.findall(rb'boundary="([^"]+)"', raw) == boundaries
    leaves = strict.read(raw).leaves
    assert [leaf.text for leaf in leaves[:2]] == [normal(lines)] * 2
    assert leaves[2].text == lines


def test_a_mail_within_a_mail_has_other_boundaries() -> None:
    def one(message_id: str) -> bytes:
        message = Message("Hi", ["a@b.example"], "x", html="x")
        return build(message, message_id=message_id, limit=10_000)

    boundaries = {re.findall(rb'boundary="([^"]+)"', one(f"<{n}@b.example>"))[0] for n in range(9)}
    assert len(boundaries) == 9


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 100_000])
def test_a_file_has_lines_of_76_letters(size: int) -> None:
    data = bytes(number % 256 for number in range(size))
    raw = made(body="x", attachments=[Attachment("a", "application/octet-stream", data)])
    part = raw.split(b"\r\n\r\n")[4] if size else b""
    lines = part.split(b"\r\n--")[0].split(b"\r\n")
    assert base64.b64decode(b"".join(lines)) == data
    assert {len(line) for line in lines[:-1]} <= {76}
    assert strict.read(raw).leaves[1].data == data


@pytest.mark.parametrize("name", TEXTS, ids=lambda text: ascii(text)[:30])
def test_a_file_name_says_the_same(name: str) -> None:
    check_file_name(name)


@settings(max_examples=examples(200))
@given(name=names)
@example(name="<>")
@example(name='"a"')
def test_any_file_name(name: str) -> None:
    check_file_name(name)


def check_file_name(name: str) -> None:
    raw = made(body="x", attachments=[Attachment(name, "application/pdf", b"x")])
    assert strict.read(raw).leaves[1].filename == name
    (part,) = parsed(raw).iter_attachments()
    # Python's parser takes off spaces, and quotes or angle brackets around the whole.
    assert part.get_filename() == unquote(name).strip()
    assert max(map(len, raw.split(b"\r\n"))) <= 78


def test_a_whole_mail_has_no_header_that_is_not_needed() -> None:
    names = re.findall(r"(?m)^([A-Z][A-Za-z-]+):", head_of(made(body="x")))
    assert names == ["Subject", "To", "Date", "Message-ID", "MIME-Version", "Content-Type",
                     "Content-Transfer-Encoding"]  # fmt: skip
