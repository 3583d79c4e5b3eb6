"""A message as bytes: built once, checked as a whole, never changed again.

We write every line ourselves: the standard library folds names and long headers wrongly on the
Pythons that are supported, and takes a millisecond and more. A header that carries a line end would
add headers of its own, and a lone CR or LF in a body can end the message early at some servers
(SMTP smuggling, CVE-2023-51764). So headers are checked before, and the finished bytes once more
after.
"""

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from smtp_admin.clock import now
from smtp_admin.errors import MessageError, TooLarge
from smtp_admin.mail.addresses import address_of
from smtp_admin.mail.message import Message
from smtp_admin.mail.parts import file_part, header_text, multipart, text_part
from smtp_admin.smtp.header_guard import OURS
from smtp_admin.smtp.headers import address_header, extra_header, text_header

_LONGEST_LINE = 998
#: Of the year 9999, after which no header can name one.
_LAST_SECOND = 253_402_300_800
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
_WRITTEN_NAME = re.compile(r"^[^ \t\r\n:]+", re.MULTILINE)


def recipients_of(message: Message) -> list[str]:
    """Every envelope recipient, cleaned, each once.

    Raises:
        MessageError: one of them cannot be used, or there is none.
    """
    found: dict[str, str] = {}
    for text in (*message.recipients, *message.cc, *message.bcc):
        address = address_of(text)[1]
        found.setdefault(address.lower(), address)
    if not found:
        raise MessageError("A mail needs at least one recipient.")
    return list(found.values())


def build(message: Message, *, message_id: str, limit: int) -> bytes:
    """The bytes of *message* with CRLF line ends, without its From header.

    Args:
        message_id: with its angle brackets.
        limit: the largest size in bytes.

    Raises:
        MessageError: a header, address or attachment cannot be used.
        TooLarge: it is larger than *limit*.
    """
    headers = _headers(message, message_id)
    head = "".join(headers.values())
    try:
        raw = head.encode("ascii") + _content(message, message_id)
    except UnicodeError as error:
        raise MessageError(f"This mail cannot be built: {error}") from error
    _last_look(raw, head, headers)
    if len(raw) > limit:
        raise TooLarge(f"This mail has {len(raw)} bytes; {limit} are the most.")
    return raw


def _headers(message: Message, message_id: str) -> dict[str, str]:
    """Each header with its line end, by its name."""
    found = {"Subject": text_header("Subject", header_text("subject", message.subject))}
    if message.recipients:
        found["To"] = address_header("To", [address_of(text) for text in message.recipients])
    elif not message.cc:
        found["To"] = "To: undisclosed-recipients:;\r\n"
    if message.cc:
        found["Cc"] = address_header("Cc", [address_of(text) for text in message.cc])
    if message.reply_to:
        found["Reply-To"] = address_header("Reply-To", [address_of(message.reply_to)])
    found["Date"] = _date(_second(message))
    found["Message-ID"] = f"Message-ID: {message_id}\r\n"
    given: set[str] = set()
    for name, value in message.extra_headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in OURS:
            raise MessageError(f"The header {name[:60]!r} cannot be set.")
        if name.lower().startswith(("content-", "resent-")):
            raise MessageError(f"The header {name!r} cannot be set.")
        if name.lower() in given:
            raise MessageError(f"The header {name!r} is there twice.")
        given.add(name.lower())
        try:
            found[name] = extra_header(name, header_text(f"header {name}", value))
        except ValueError as error:
            raise MessageError(f"A header of this mail cannot be written: {error}") from error
    found["MIME-Version"] = "MIME-Version: 1.0\r\n"
    return found


def _second(message: Message) -> int:
    """When the mail says that it was written."""
    if message.date is None:
        return int(now().timestamp())
    if not isinstance(message.date, int | float) or not 0 <= message.date < _LAST_SECOND:
        raise MessageError("The date of a mail is a number of seconds since 1970.")
    return int(message.date)


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    """The header that says when: the same for all that are written in a second."""
    return f"Date: {format_datetime(datetime.fromtimestamp(second, UTC))}\r\n"


def _content(message: Message, message_id: str) -> bytes:
    """The forms of the text, the richest last (RFC 2046 section 5.1.4), then the files."""
    forms: list[bytes] = []
    if message.body is not None or message.html is None:
        forms.append(text_part("plain", message.body or ""))
    if message.html is not None:
        forms.append(text_part("html", message.html))
    forms += [text_part(subtype, text) for subtype, text in message.alts.items()]
    content = forms[0] if len(forms) == 1 else multipart("alternative", forms, message_id)
    if not message.attachments:
        return content
    files = [file_part(attachment) for attachment in message.attachments]
    return multipart("mixed", [content, *files], message_id)


def _last_look(raw: bytes, head: str, headers: dict[str, str]) -> None:
    """What goes on the wire, looked at once more as a receiving server would."""
    line_ends = raw.count(b"\r\n")
    if raw.count(b"\n") != line_ends or raw.count(b"\r") != line_ends or b"\0" in raw:
        raise MessageError("This mail contains a lone line end.")
    if max(map(len, raw.split(b"\r\n"))) > _LONGEST_LINE:
        raise MessageError("This mail contains a line that is too long.")
    if _WRITTEN_NAME.findall(head) != list(headers) or "\r\n\r\n" in head:
        raise MessageError("A value of this mail would add a header of its own.")
