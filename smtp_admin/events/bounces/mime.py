"""The parts of a mail from anybody, found within limits of time, depth and number.

The standard library's parser goes as deep as a mail is nested and reads each part again for every
level above it. A bounce needs a handful of parts, so this one stops early and never raises.
"""

import binascii
import codecs
import quopri
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32

from smtp_admin.identifiers import storable

#: More of a mail is not looked at: what a bounce says stands before the mail that came back.
MOST_BYTES = 1024 * 1024
_MOST_HEAD, _MOST_TEXT = 64 * 1024, 128 * 1024
_MOST_PARTS, _MOST_DEPTH = 60, 8
#: Encodings of domain names, which no text has: over a long one they take seconds.
_OF_NAMES = frozenset({"idna", "punycode"})
_BLANK = re.compile(rb"\r?\n[ \t]*\r?\n|\A\r?\n")
_HEADERS = BytesHeaderParser(policy=compat32)


@dataclass(frozen=True, slots=True)
class Part:
    """One part that has no parts of its own, or a whole mail inside the mail.

    Attributes:
        kind: its type in small letters, ``text/plain`` where none is given.
        head: its own headers; ``body`` is as it came.
    """

    kind: str
    head: Message = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """Its text, decoded as far as that can be done."""
        return decoded(self.head, self.body)


def head_of(content: bytes) -> tuple[Message, bytes]:
    """The headers of a mail or part, and what follows them."""
    blank = _BLANK.search(content, 0, _MOST_HEAD)
    head = content[: blank.start()] if blank else content[:_MOST_HEAD]
    body = content[blank.end() :] if blank else b""
    return _HEADERS.parsebytes(head.lstrip(b"\r\n") + b"\n\n"), body


def parts_of(content: bytes) -> Iterator[Part]:
    """The parts, from the first to the last; a mail inside the mail is one part, not opened."""
    waiting = [(0, content[:MOST_BYTES])]
    for _ in range(_MOST_PARTS):
        if not waiting:
            return
        depth, raw = waiting.pop()
        head, body = head_of(raw)
        kind = kind_of(head)
        boundary = _boundary_of(head) if kind.startswith("multipart/") else ""
        if not boundary:
            yield Part(kind, head, body)
        elif depth < _MOST_DEPTH:
            inside = _split(body, boundary.encode("ascii", "replace"))
            waiting += [(depth + 1, one) for one in reversed(inside)]


def kind_of(head: Message) -> str:
    """The type of a part."""
    try:
        return head.get_content_type().lower()
    except (ValueError, LookupError, AttributeError):  # headers that say nothing Python can read
        return "text/plain"


def parameter_of(head: Message, name: str) -> str:
    """A parameter of the content type; empty if it has none."""
    try:
        found = head.get_param(name)
    except (ValueError, LookupError, AttributeError, TypeError):
        return ""
    if isinstance(found, tuple):
        found = found[2]
    return found.strip() if isinstance(found, str) else ""


def value_of(head: Message, name: str) -> str:
    """A header in one line, as it came; empty if it is not there."""
    return " ".join(storable(str(head.get(name, ""))).split())[:1000]


def decoded(head: Message, body: bytes) -> str:
    """The text of a part: its encoding undone, its character set read, both as far as it goes."""
    raw = body[:_MOST_TEXT]
    encoding = value_of(head, "Content-Transfer-Encoding").lower()
    if encoding == "base64":
        letters = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
        with suppress(binascii.Error):  # then it is read as it stands
            raw = binascii.a2b_base64(letters[: len(letters) // 4 * 4])
    elif encoding == "quoted-printable":
        raw = quopri.decodestring(raw)
    return storable(_read_as(parameter_of(head, "charset"), raw).replace("\r\n", "\n"))


def _read_as(charset: str, raw: bytes) -> str:
    try:
        codec = codecs.lookup(charset or "utf-8")
        if codec.name not in _OF_NAMES:
            return raw.decode(codec.name, "replace")
    except (LookupError, ValueError):
        pass
    return raw.decode("utf-8", "replace")


def _boundary_of(head: Message) -> str:
    return parameter_of(head, "boundary")[:200]


def _split(body: bytes, boundary: bytes) -> list[bytes]:
    marker = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t]*\r?$", re.MULTILINE)
    found: list[bytes] = []
    start: int | None = None
    for one in marker.finditer(body):
        if start is not None:
            found.append(body[start : one.start()])
        start = None if one[1] else one.end()
        if start is None or len(found) >= _MOST_PARTS:
            break
        # The line's own end.
        start += 1 if body[start : start + 1] == b"\n" else 0
    if start is not None and len(found) < _MOST_PARTS:
        found.append(body[start:])
    return found
