"""Header lines as they go on the wire: folded, quoted, encoded (RFC 5322, RFC 2047).

Written by ourselves: the standard library loses quotes and spaces when it folds, and encodes links
and Message-IDs beyond use. What comes in has passed :func:`smtp_admin.smtp.address.
check_header_text`; what comes out ends in CRLF.
"""

import re
from collections.abc import Iterable, Sequence

from smtp_admin.smtp.encoded_words import (
    LEAST_ROOM,
    LONGEST_LINE,
    LONGEST_WORD,
    encoded_length,
    encoded_words,
)

#: What is written next, and whether as encoded words. What is not begins with its own space.
_Piece = tuple[str, bool]

_WORDS = re.compile(r" *[^ ]+")
_LINKS = re.compile(r" *(?:<[^<>]*>,?|[^ <]+|<)")
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ATOMS = re.compile(rf"{_ATEXT}(?: {_ATEXT})*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PHRASE = re.compile(r'(?:[^"]|"(?:[^"\\]|\\.)*")*')
_ESCAPED = re.compile(r"\\(.)")
#: A quoted string is never folded inside: Python's older parser sees two addresses then.
_LONGEST_QUOTED = 72
#: Up to this length what may be a link or an id is left as it is (RFC 5322 section 2.1.1: 998).
_LONGEST_KEPT = 900
_IDENTIFIERS = frozenset({"references", "in-reply-to", "original-message-id", "supersedes"})


def text_header(name: str, text: str) -> str:
    """A header for people, such as Subject; what is too long for a line is encoded."""
    beside = LONGEST_LINE - len(name) - 1
    return _short(name, text) or _folded(
        name, _pieces(text, LONGEST_WORD, first=beside), glued=True
    )


def extra_header(name: str, value: str) -> str:
    """A header of the caller's: ASCII stays as it is, for a program may read it.

    Raises:
        ValueError: with a sentence that says what is wrong.
    """
    value = value.strip(" ")
    short = _short(name, value)
    if short:
        return short
    lower = name.lower()
    if not lower.startswith("list-") and lower not in _IDENTIFIERS:
        return _folded(name, _pieces(value, _LONGEST_KEPT), glued=True)
    if value.isascii():
        return _folded(name, _links(value), glued=True)
    before, sign, rest = value.rpartition("<")
    if lower != "list-id" or not sign or not rest.isascii():
        raise ValueError(f"{name} has only letters of ASCII.")
    return _folded(name, [*_name(read_phrase(before.strip(" "))), (f" <{rest}", False)])


def address_header(name: str, addresses: Sequence[tuple[str, str]]) -> str:
    """A list of addresses, each with the name beside it, which may be empty."""
    pieces: list[_Piece] = []
    last = len(addresses) - 1
    for number, (shown, address) in enumerate(addresses):
        comma = "," if number < last else ""
        if shown.strip(" "):
            pieces += _name(shown)
            pieces.append((f" <{address}>{comma}", False))
        else:
            pieces.append((f" {address}{comma}", False))
    return _folded(name, pieces)


def read_phrase(text: str) -> str:
    """The name that *text* before an address means: without its quotes (RFC 5322 section 3.2.5).

    With an odd number of quotes it means itself.
    """
    if '"' not in text or not _PHRASE.fullmatch(text):
        return text
    return _QUOTED.sub(lambda found: _ESCAPED.sub(r"\1", found[1]), text)


def quoted(text: str) -> str:
    """*text*, which is ASCII, as a quoted string (RFC 5322 section 3.2.4)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _short(name: str, text: str) -> str:
    if (
        len(name) + 2 + len(text) <= LONGEST_LINE
        and _is_plain(text)
        and not (text.startswith(" ") or text.endswith(" "))
    ):
        return f"{name}: {text}\r\n" if text else f"{name}:\r\n"
    return ""


def _is_plain(text: str) -> bool:
    return text.isascii() and "=?" not in text


def _folded(name: str, pieces: Iterable[_Piece], *, glued: bool = False) -> str:
    """The header with a new line before each piece that does not fit.

    Args:
        glued: the first piece stays beside the name even where it would fit below it: Python
            shows such a subject with a space in front, and some programs read ids line by line.
    """
    lines: list[str] = []
    line = start = f"{name}:"
    for text, encode in pieces:
        room = LONGEST_LINE - len(line)
        stays = glued and line == start
        if not encode:
            helps = line != start or len(text) <= LONGEST_LINE
            if len(text) > room and helps and not stays:
                lines.append(line)
                line = text
            else:
                line += text
            continue
        fits_below = room <= encoded_length(text) <= LONGEST_WORD
        if room <= LEAST_ROOM or (fits_below and not stays):
            lines.append(line)
            line, room = "", LONGEST_LINE
        first, *others = encoded_words(text, room - 1)
        line += f" {first}"
        for word in others:
            lines.append(line)
            line = f" {word}"
    lines.append(line)
    return "\r\n".join(lines) + "\r\n"


def _name(shown: str) -> list[_Piece]:
    """A display name: as it is, quoted, one encoded word, or else word by word.

    Word by word, because then two encoded words seldom stand side by side: Python's newer parser
    shows a space between those, where RFC 2047 section 6.2 has none.
    """
    if not _is_plain(shown) or not _ATOMS.fullmatch(shown):
        if _is_plain(shown) and len(quoted(shown)) <= _LONGEST_QUOTED:
            return [(f" {quoted(shown)}", False)]
        if encoded_length(shown) <= LONGEST_WORD:
            return [(shown, True)]
    return _pieces(shown, _LONGEST_KEPT, phrase=True)


def _pieces(
    text: str, longest: int, *, first: int | None = None, phrase: bool = False
) -> list[_Piece]:
    """The words of *text*; neighbours that must be encoded become one piece with their spaces.

    Beside an encoded word stands one space, and further ones are encoded: programs disagree
    about what they show of them.

    Args:
        longest: the longest word that is not encoded for its length.
        first: the same for the first word.
        phrase: in front of an address, where most signs need quotes.
    """
    body = text.rstrip(" ")
    if not body:
        return [(text, True)] if text else []
    words = _WORDS.findall(body)
    words[-1] += text[len(body) :]
    found: list[_Piece] = []
    for number, spaced in enumerate(words):
        word = spaced.lstrip(" ")
        extra = " " * (len(spaced) - len(word) - (number > 0))
        as_it_is = extra + word
        if phrase and not _ATOMS.fullmatch(as_it_is):
            as_it_is = quoted(as_it_is)
        outer = word[-1] == " " or (number == 0 and extra)
        after_encoded = bool(found) and found[-1][1]
        most = longest if number or first is None else min(first, longest)
        if not _is_plain(word) or len(as_it_is) >= most or (outer and not phrase):
            if after_encoded:
                found[-1] = (f"{found[-1][0]} {extra}{word}", True)
            else:
                found.append((extra + word, True))
        elif after_encoded and not phrase:
            found[-1] = (found[-1][0] + extra, True)
            found.append((f" {word}", False))
        else:
            found.append((f" {as_it_is}", False))
    return found


def _links(value: str) -> list[_Piece]:
    """Links and ids, each whole; a new line may begin before each, also where no space was."""
    found: list[str] = []
    for token in _LINKS.findall(value):
        link = token.startswith("<") and bool(found) and found[-1].endswith((">", ">,"))
        if token.startswith(" ") or link or not found:
            found.append(f" {token.lstrip(' ')}")
        else:
            found[-1] += token
    return [(token, False) for token in found]


_FIELD = re.compile(rb"[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*")


def header_fields(content: bytes) -> tuple[list[bytes], bytes]:
    """The headers, each with its further lines, and the rest with the empty line before it."""
    end = content.find(b"\r\n\r\n")
    head = content if end < 0 else content[: end + 2]
    return _FIELD.findall(head), content[len(head) :]
