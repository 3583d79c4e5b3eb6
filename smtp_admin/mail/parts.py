"""The parts of a mail: texts, files, and what holds them together (RFC 2045, RFC 2046)."""

import binascii
import hashlib
import re
from functools import lru_cache
from urllib.parse import quote

from smtp_admin.errors import MessageError
from smtp_admin.mail import quoted_printable
from smtp_admin.mail.message import Attachment
from smtp_admin.mail.passed import kind_of
from smtp_admin.smtp.address import check_header_text
from smtp_admin.smtp.encoded_words import LONGEST_LINE
from smtp_admin.smtp.headers import quoted

_SUBTYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,59}")
_CONTENT_TYPE = re.compile(r"([a-z0-9!#$&^_.+-]{1,60})/([a-z0-9!#$&^_.+-]{1,60})", re.IGNORECASE)
_CHARSET = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9_.-]{1,40})", re.IGNORECASE)
_CONTENT_ID = re.compile(r"<[!-;=?A-~]+(?:@[!-;=?A-~]+)?>")
#: What a parameter's value may have beside letters and digits (RFC 2231 section 7).
_ATTRIBUTE = "!#$&+-.^_`{|}~"
_BASE64_LINE = 76


def text_part(subtype: str, text: str) -> bytes:
    """*text* as ``text/subtype``: its headers, an empty line, its lines.

    Raises:
        MessageError: it is no text, or there is no such kind.
    """
    if not isinstance(text, str):
        raise MessageError(f"The text of a mail is a str, not {type(text).__name__}.")
    encoding, data = quoted_printable.written(text)
    return _text_head(subtype, encoding) + data


@lru_cache(maxsize=50)
def _text_head(subtype: str, encoding: str) -> bytes:
    if not _SUBTYPE.fullmatch(subtype):
        raise MessageError(f"{subtype[:60]!r} is not a kind of text.")
    kind = _with_parameter(f"Content-Type: text/{subtype.lower()}", 'charset="utf-8"')
    return f"{kind}Content-Transfer-Encoding: {encoding}\r\n\r\n".encode()


def multipart(subtype: str, parts: list[bytes], seed: str) -> bytes:
    """*parts* in one, with a boundary that none of them can contain.

    A line that begins with ``--=_`` is in no text of ours: quoted-printable writes the sign as
    ``=3D``, base64 has no underscore, and other text does not begin a line so.

    Args:
        seed: what makes the boundary another one in each mail; the same one, the same bytes.
    """
    name = hashlib.blake2b(seed.encode(), digest_size=10).hexdigest()
    boundary = f"=_{subtype}_{name}"
    head = f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"\r\n\r\n'.encode()
    between = f"\r\n--{boundary}\r\n".encode()  # its first line end is not the text's
    return b"".join([head, between[2:], between.join(parts), f"\r\n--{boundary}--\r\n".encode()])


def file_part(attachment: Attachment) -> bytes:
    """A file in base64, with its type, its name, and the id that HTML calls it by.

    Raises:
        MessageError: one of these cannot be written.
    """
    if not isinstance(attachment.data, bytes | bytearray | memoryview):
        raise MessageError(
            f"The data of the attachment {str(attachment.filename)[:60]!r} are bytes, not "
            f"{kind_of(attachment.data)}."
        )
    found = _CONTENT_TYPE.fullmatch(attachment.content_type.partition(";")[0].strip())
    if found is None:
        raise MessageError(f"{attachment.content_type[:60]!r} is not a content type.")
    main, sub = found[1].lower(), found[2].lower()
    if main in {"multipart", "message"}:  # a whole mail travels as a file, not as structure
        main, sub = "application", "octet-stream"
    charset = _CHARSET.search(attachment.content_type) if main == "text" else None
    head = _with_parameter(
        f"Content-Type: {main}/{sub}", f'charset="{charset[1].lower()}"' if charset else ""
    )
    head += "Content-Transfer-Encoding: base64\r\n"
    disposition = "inline" if attachment.disposition == "inline" else "attachment"
    head += f"Content-Disposition: {disposition}"
    name = header_text("file name", attachment.filename)
    head += f";\r\n {parameter('filename', name)}\r\n" if name else "\r\n"
    if attachment.content_id:
        head += f"Content-ID: {_content_id(attachment.content_id)}\r\n"
    return b"".join([head.encode(), b"\r\n", *_base64(attachment.data)])


def parameter(name: str, value: str) -> str:
    """A parameter for a line of its own, in pieces if it is long (RFC 2231).

    No piece ends within a letter, since some programs decode each by itself.
    """
    if value.isascii() and "=?" not in value:
        simple = f"{name}={quoted(value)}"
        if len(simple) < LONGEST_LINE - 1:
            return simple
    letters = [quote(letter, safe=_ATTRIBUTE) for letter in value]
    whole = f"{name}*=utf-8''{''.join(letters)}"
    if len(whole) < LONGEST_LINE - 1:
        return whole
    pieces = [f"{name}*0*=utf-8''"]
    for letter in letters:
        if len(pieces[-1]) + len(letter) > LONGEST_LINE - 2:
            pieces.append(f"{name}*{len(pieces)}*=")
        pieces[-1] += letter
    return ";\r\n ".join(pieces)


def header_text(what: str, value: object) -> str:
    """*value* as text that may stand in a header.

    Raises:
        MessageError: it may not; the sentence says which text it is.
    """
    try:
        return check_header_text(str(value))
    except ValueError as error:
        raise MessageError(f"The {what} of a mail: {error}") from error


def _content_id(text: str) -> str:
    content_id = text if text.startswith("<") else f"<{text}>"
    if not _CONTENT_ID.fullmatch(header_text("id of an attachment", content_id)):
        raise MessageError(f"{content_id[:60]!r} cannot be the id of an attachment.")
    return content_id


def _with_parameter(header: str, text: str) -> str:
    if not text:
        return f"{header}\r\n"
    space = "" if len(header) + 2 + len(text) <= LONGEST_LINE else "\r\n"
    return f"{header};{space} {text}\r\n"


def _base64(data: bytes) -> list[bytes]:
    text = binascii.b2a_base64(data, newline=False)
    lines = [text[at : at + _BASE64_LINE] for at in range(0, len(text), _BASE64_LINE)]
    return [b"\r\n".join(lines), b"\r\n"] if lines else []
