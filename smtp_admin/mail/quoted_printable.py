"""Text as a body: as it is where every server leaves that alone, else quoted-printable (RFC 2045).

Written by ourselves: ``quopri`` and ``binascii`` leave a dot or ``From `` at the beginning of a
line, which a careless program takes for the end of the mail or the beginning of another.
"""

import re

_LONGEST = 76  # RFC 2045 section 6.7, rule 5
#: Nothing that needs encoding: short lines of ASCII that nobody mistakes for something else.
#: No line begins as one of our boundaries does. The repetition gives lines back: where it may not
#: (``*+``), Python before 3.11.5 overlooks a match.
_SEVEN_BIT = re.compile(r"(?:(?!\.|From |--=_)[\t -~]{0,76}(?<![\t ])\r\n)*")
#: What stands for itself (rule 2), and the line ends.
_PLAIN = bytes([9, 10, 13, *range(32, 61), *range(62, 127)])
_ENCODE = re.compile(rb"[^\t\n\r -<>-~]+")
_AT_END = re.compile(rb"[\t ](?=\r\n)")
_AT_START = re.compile(rb"^(?:\.|From )", re.MULTILINE)
#: Up to so many different letters each is replaced by itself.
_FEW = 20
_DOT, _EQUALS = b"."[0], b"="[0]


def written(text: str) -> tuple[str, bytes]:
    """The transfer encoding of *text* and its bytes, with CRLF after every line."""
    if "\r" in text or "\0" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    if not text.endswith("\n"):
        text += "\n"
    text = text.replace("\n", "\r\n")
    if text.isascii() and _SEVEN_BIT.fullmatch(text):
        return "7bit", text.encode()
    return "quoted-printable", _quoted_printable(text.encode())


def _quoted_printable(data: bytes) -> bytes:
    special = set(data.translate(None, _PLAIN).decode()) - {"="}
    if len(special) > _FEW:
        data = _ENCODE.sub(_hex, data)
    else:  # most languages, and twice as fast
        data = data.replace(b"=", b"=3D")
        for letter in special:
            data = data.replace(letter.encode(), _encoded(letter.encode()))
    if b" \r\n" in data or b"\t\r\n" in data:
        data = _AT_END.sub(_hex, data)
    if data.startswith((b".", b"From ")) or b"\n." in data or b"\nFrom " in data:
        data = _AT_START.sub(_first, data)
    lines = data.split(b"\r\n")
    if max(map(len, lines)) > _LONGEST:
        return b"\r\n".join([line if len(line) <= _LONGEST else _soft(line) for line in lines])
    return data


def _hex(found: re.Match[bytes]) -> bytes:
    return _encoded(found[0])


def _encoded(data: bytes) -> bytes:
    return b"=" + data.hex("=").upper().encode()


def _first(found: re.Match[bytes]) -> bytes:
    return b"=2E" if found[0] == b"." else b"=46rom "


def _soft(line: bytes) -> bytes:
    """*line* with soft line breaks, none of them within an encoded byte (rule 5)."""
    found: list[bytes] = []
    start, prefix = 0, b""
    while len(prefix) + len(line) - start > _LONGEST:
        end = start + _LONGEST - 1 - len(prefix)
        if line[end - 1] == _EQUALS:
            end -= 1
        elif line[end - 2] == _EQUALS:
            end -= 2
        found.append(prefix + line[start:end])
        start, prefix = end, b""
        if line[start] == _DOT:
            start, prefix = start + 1, b"=2E"
        elif line.startswith(b"From ", start):
            start, prefix = start + 1, b"=46"
    found.append(prefix + line[start:])
    return b"=\r\n".join(found)
