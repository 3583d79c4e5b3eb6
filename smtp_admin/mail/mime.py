"""A message as bytes: built once, checked as a whole, never changed again.

The standard library writes some header values out unchecked (CVE-2024-6923), and a lone CR or LF
in a body can end the message early at some servers (SMTP smuggling, CVE-2023-51764). So headers
are checked before, and the finished bytes once more after.
"""

import re
from datetime import UTC
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from smtp_admin.clock import now
from smtp_admin.errors import MessageError, TooLarge
from smtp_admin.mail.message import Attachment, Message
from smtp_admin.smtp.address import check_header_text, clean_address

_LONE = re.compile(rb"(?<!\r)\n|\r(?!\n)|\0")
_LONGEST_LINE = 998
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
_CONTENT_TYPE = re.compile(r"([a-z0-9!#$&^_.+-]{1,60})/([a-z0-9!#$&^_.+-]{1,60})", re.IGNORECASE)
_SUBTYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,59}")
_CHARSET = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9_.-]{1,40})", re.IGNORECASE)
_CONTENT_ID = re.compile(r"<[^<>\s@]+(?:@[^<>\s@]+)?>")
#: What we write ourselves. A second one would contradict it.
_OURS = frozenset(
    {
        "from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id",
        "mime-version", "return-path", "received", "dkim-signature",
    }
)  # fmt: skip


class _OneLine(UnstructuredHeader):
    """A header whose value is a link: folded, the standard library would encode it beyond use."""

    name: str  # of the class that the registry mixes it with

    def fold(self, *, policy: Any) -> str:
        """The header as one line."""
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _OneLine)  # type: ignore[arg-type]  # it is a mixin
_POLICY = SMTP.clone(max_line_length=78, cte_type="7bit", header_factory=_HEADERS)


def recipients_of(message: Message) -> list[str]:
    """Every envelope recipient, cleaned, each once.

    Raises:
        MessageError: one of them cannot be used, or there is none.
    """
    found: dict[str, str] = {}
    for text in (*message.recipients, *message.cc, *message.bcc):
        address = _address(text).addr_spec
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
    mail = EmailMessage(policy=_POLICY)
    try:
        _headers(mail, message, message_id)
        _content(mail, message)
        raw = mail.as_bytes()
    except MessageError:
        raise
    except (ValueError, LookupError, UnicodeError) as error:
        raise MessageError(f"This mail cannot be built: {error}") from error
    _last_look(raw, mail)
    if len(raw) > limit:
        raise TooLarge(f"This mail has {len(raw)} bytes; {limit} are the most.")
    return raw


def _headers(mail: EmailMessage, message: Message, message_id: str) -> None:
    mail["Subject"] = _text("subject", message.subject)
    if message.recipients:
        mail["To"] = [_address(text) for text in message.recipients]
    elif not message.cc:
        mail["To"] = "undisclosed-recipients:;"
    if message.cc:
        mail["Cc"] = [_address(text) for text in message.cc]
    if message.reply_to:
        mail["Reply-To"] = _address(message.reply_to)
    mail["Date"] = format_datetime(now().astimezone(UTC))
    mail["Message-ID"] = message_id
    for name, value in message.extra_headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS:
            raise MessageError(f"The header {name[:60]!r} cannot be set.")
        if name.lower().startswith(("content-", "resent-")):
            raise MessageError(f"The header {name!r} cannot be set.")
        mail[name] = _text(f"header {name}", value)


def _content(mail: EmailMessage, message: Message) -> None:
    body, html = message.body, message.html
    if body is not None or html is None:
        mail.set_content(_lines(body or ""), cte="quoted-printable")
        if html is not None:
            mail.add_alternative(_lines(html), subtype="html", cte="quoted-printable")
    else:
        mail.set_content(_lines(html), subtype="html", cte="quoted-printable")
    for subtype, text in message.alts.items():
        if not _SUBTYPE.fullmatch(subtype):
            raise MessageError(f"{subtype[:60]!r} is not a kind of text.")
        mail.add_alternative(_lines(text), subtype=subtype.lower(), cte="quoted-printable")
    for attachment in message.attachments:
        _attach(mail, attachment)


def _attach(mail: EmailMessage, attachment: Attachment) -> None:
    found = _CONTENT_TYPE.fullmatch(attachment.content_type.partition(";")[0].strip())
    if found is None:
        raise MessageError(f"{attachment.content_type[:60]!r} is not a content type.")
    main, sub = found[1].lower(), found[2].lower()
    if main in {"multipart", "message"}:  # a whole mail travels as a file, not as structure
        main, sub = "application", "octet-stream"
    charset = _CHARSET.search(attachment.content_type) if main == "text" else None
    content_id = attachment.content_id
    if content_id:
        content_id = content_id if content_id.startswith("<") else f"<{content_id}>"
        if not _CONTENT_ID.fullmatch(_text("id of an attachment", content_id)):
            raise MessageError(f"{content_id[:60]!r} cannot be the id of an attachment.")
    mail.add_attachment(
        attachment.data,
        maintype=main,
        subtype=sub,
        cte="base64",
        filename=_text("file name", attachment.filename),
        disposition="inline" if attachment.disposition == "inline" else "attachment",
        params={"charset": charset[1].lower()} if charset else None,
        cid=content_id or None,
    )


def _address(text: object) -> Address:
    """An address that may carry a name: ``a@b``, ``Name <a@b>`` or ``(name, a@b)``."""
    if isinstance(text, tuple) and len(text) == 2:  # noqa: PLR2004 - Flask-Mail's pairs
        name, spec = str(text[0] or ""), str(text[1])
    else:
        spec, name = _text("recipient", text).strip(), ""
        if spec.endswith(">") and "<" in spec:
            name, _, spec = spec[:-1].rpartition("<")
            name = name.strip().strip('"')
    try:
        return Address(display_name=check_header_text(name), addr_spec=clean_address(spec))
    except ValueError as error:
        raise MessageError(f"{spec[:100]!r} is not an address that mail can go to: {error}") from (
            error
        )


def _text(what: str, value: object) -> str:
    try:
        return check_header_text(str(value))
    except ValueError as error:
        raise MessageError(f"The {what} of a mail: {error}") from error


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _last_look(raw: bytes, mail: EmailMessage) -> None:
    """What goes on the wire, looked at once more as a receiving server would."""
    if _LONE.search(raw):
        raise MessageError("This mail contains a lone line end.")
    if max(map(len, raw.split(b"\r\n"))) > _LONGEST_LINE:
        raise MessageError("This mail contains a line that is too long.")
    head = raw.partition(b"\r\n\r\n")[0]
    written = [
        line.partition(b":")[0].decode("ascii", "replace").lower()
        for line in head.split(b"\r\n")
        if not line.startswith((b" ", b"\t"))
    ]
    if sorted(written) != sorted(name.lower() for name in mail.keys()):  # noqa: SIM118 - repeats
        raise MessageError("A value of this mail would add a header of its own.")
