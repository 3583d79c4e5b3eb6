"""A mail as the host describes it; Flask-Mail's messages are taken as well."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from smtp_admin.errors import MessageError
from smtp_admin.mail.passed import addresses_in, kind_of, mapping_in, several_in

#: What tells a Flask-Mail message from an e-mail package's, or from text.
_NEEDED = ("subject", "recipients", "body", "html", "cc", "bcc", "reply_to", "attachments",
           "extra_headers", "alts")  # fmt: skip


@dataclass(slots=True)
class Attachment:
    """A file that goes along."""

    filename: str
    content_type: str
    data: bytes
    disposition: str = "attachment"
    #: What the HTML calls it by (``cid:``), with or without angle brackets.
    content_id: str = ""


@dataclass(slots=True)
class Message:
    """A ready mail.

    The names are Flask-Mail's, so either class can be passed to
    :meth:`smtp_admin.SMTPAdmin.send_message`. The sender is not among them: mail comes from the
    partner's configured address, whatever the caller says.

    Attributes:
        html: beside or instead of ``body``.
        reply_to: instead of the one in the settings.
        extra_headers: further headers, such as ``X-Campaign``; none that the product sets itself.
        date: of the Date header, in seconds since 1970; ``None`` for the time when it is queued.
    """

    subject: str
    recipients: Sequence[str] = ()
    body: str | None = None
    html: str | None = None
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    reply_to: str | None = None
    attachments: Sequence[Attachment] = ()
    extra_headers: Mapping[str, str] = field(default_factory=dict)
    #: Further forms of the text, by subtype: ``{"calendar": "BEGIN:VCALENDAR…"}``.
    alts: Mapping[str, str] = field(default_factory=dict)
    date: float | None = None


def from_any(message: Any, *, ascii_names: bool = False) -> Message:
    """*message* as our own class; it may be Flask-Mail's.

    Args:
        ascii_names: names of files lose what is not ASCII (``MAIL_ASCII_ATTACHMENTS``).

    Raises:
        MessageError: it is something else.
    """
    if isinstance(message, Message):
        _check(message)
        return message
    if not all(hasattr(message, name) for name in _NEEDED):
        raise MessageError(
            f"What was passed is {kind_of(message)}, which cannot be queued. Pass an "
            "smtp_admin.Message or a flask_mail.Message with the subject, recipients, body and "
            "html."
        )
    _check(message)
    attachments = [attachment(one) for one in message.attachments or ()]
    if ascii_names:
        attachments = [replace(one, filename=_ascii(one.filename)) for one in attachments]
    return Message(
        subject=_text(message.subject) or "",
        recipients=list(message.recipients or ()),
        body=_text(message.body),
        html=_text(message.html),
        cc=list(message.cc or ()),
        bcc=list(message.bcc or ()),
        reply_to=message.reply_to,
        attachments=attachments,
        extra_headers=dict(message.extra_headers or {}),
        alts={
            name: _text(text) or ""
            for name, text in dict(message.alts or {}).items()
            if name != "html"
        },
        date=getattr(message, "date", None),
    )


def _check(message: Any) -> None:
    """Whether what holds several values does.

    Raises:
        MessageError: one of them is of another kind.
    """
    for name in ("recipients", "cc", "bcc"):
        addresses_in(getattr(message, name), f"{name} of a Message")
    wanted = "a list of Attachment"
    for one in several_in(message.attachments or (), "attachments of a Message", wanted):
        if not hasattr(one, "filename") or not hasattr(one, "data"):
            raise MessageError(
                f"attachments of a Message is {wanted}; one of them is {kind_of(one)}."
            )
    for name, example in (
        ("extra_headers", '{"X-Campaign": "spring"}'),
        ("alts", '{"calendar": "BEGIN:VCALENDAR…"}'),
    ):
        mapping_in(getattr(message, name), f"{name} of a Message", f"a dict, such as {example}")


def _text(value: Any) -> str | None:
    """*value* in words: a translation that was put off is looked up now, for the reader."""
    if value is None:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    return " ".join(plain.split())


def attachment(one: Any) -> Attachment:
    """*one* as our own class; it may be Flask-Mail's.

    Raises:
        MessageError: its text has half of a pair of UTF-16, which has no bytes.
    """
    if isinstance(one, Attachment):
        return one
    content_type = str(one.content_type or "application/octet-stream")
    data = one.data
    if isinstance(data, str):
        try:
            data = data.encode("utf-8")
        except UnicodeEncodeError as error:
            name = str(one.filename)[:60]
            raise MessageError(
                f"The text of the attachment {name!r} cannot be written in UTF-8 "
                f"(character {error.start + 1})."
            ) from error
        if content_type.startswith("text/") and "charset" not in content_type:
            content_type += "; charset=utf-8"
    headers = {str(name).lower(): str(value) for name, value in dict(one.headers or {}).items()}
    return Attachment(
        filename=str(one.filename or "attachment"),
        content_type=content_type,
        data=bytes(data or b""),
        disposition=str(one.disposition or "attachment"),
        content_id=headers.get("content-id", ""),
    )
