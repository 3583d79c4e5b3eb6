"""A mail as a page may show it: its headers, its text, and its HTML without anything that acts."""

from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from itertools import islice

import nh3

from smtp_admin.identifiers import storable

#: As much of a part is shown; a mail may have megabytes.
_MOST_CHARACTERS = 200_000
_MOST_HEADERS, _LONGEST_HEADER = 100, 5000
#: Deeply nested tags take a time that grows with their square.
_MOST_TAGS = 10_000
_STYLED = frozenset({"style", "class", "align", "valign", "bgcolor", "width", "height", "dir"})
_ATTRIBUTES = {name: set(found) | _STYLED for name, found in nh3.ALLOWED_ATTRIBUTES.items()} | {
    "*": set(_STYLED)
}


@dataclass(frozen=True, slots=True)
class Attached:
    """A file in a mail."""

    name: str
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown of a mail.

    Attributes:
        headers: names and values, in their order, decoded.
        text, html: the bodies; ``""`` for none. The HTML is sanitized.
    """

    headers: tuple[tuple[str, str], ...]
    text: str = ""
    html: str = ""
    files: tuple[Attached, ...] = ()

    def header(self, name: str) -> str:
        """The first header of this name, or ``""``."""
        wanted = name.lower()
        return next((value for one, value in self.headers if one.lower() == wanted), "")


def preview_of(content: bytes, *, with_body: bool = True) -> Preview:
    """*content* for a page.

    Whatever the bytes are, something is shown: mail of a host may be built in odd ways.

    Args:
        with_body: off where only whom it is for may read it.
    """
    try:
        parsed = message_from_bytes(content, policy=policy.default)
        headers = tuple(_headers(parsed))
    except Exception:  # noqa: BLE001 - its parser fails in many ways on what is malformed
        return Preview((), "" if not with_body else content[:_MOST_CHARACTERS].decode("latin-1"))
    if not with_body or not isinstance(parsed, EmailMessage):
        return Preview(headers)
    try:
        return Preview(
            headers,
            _text(parsed.get_body(("plain",))),
            sanitized(_text(parsed.get_body(("html",)))),
            tuple(_files(parsed)),
        )
    except Exception:  # noqa: BLE001 - as above
        return Preview(headers)


def sanitized(html: str) -> str:
    """*html* without scripts, forms, and whatever would be fetched from elsewhere."""
    if not html or html.count("<") > _MOST_TAGS:
        return ""
    tags = nh3.ALLOWED_TAGS | {"font", "style"}
    return nh3.clean(
        html,
        tags=tags - {"img"},
        clean_content_tags={"script", "title"},
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener noreferrer",
    )


def _headers(parsed: Message) -> Iterator[tuple[str, str]]:
    for name, raw in islice(parsed.raw_items(), _MOST_HEADERS):
        try:
            value = str(parsed.policy.header_fetch_parse(name, raw[:_LONGEST_HEADER]))
        except Exception:  # noqa: BLE001 - its parser fails in many ways on what is malformed
            value = str(raw)[:_LONGEST_HEADER]
        yield name, storable(" ".join(value.split()))


def _text(part: Message | None) -> str:
    if part is None:
        return ""
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return ""
    charset = part.get_content_charset() or "utf-8"
    try:
        text = raw.decode(charset, "replace")
    except (LookupError, ValueError):
        text = raw.decode("utf-8", "replace")
    return storable(text[:_MOST_CHARACTERS].replace("\r\n", "\n"))


def _files(parsed: EmailMessage) -> Iterator[Attached]:
    for part in parsed.iter_attachments():
        raw = part.get_payload(decode=True)
        size = len(raw) if isinstance(raw, bytes) else 0
        yield Attached(part.get_filename() or "unnamed", part.get_content_type(), size)
