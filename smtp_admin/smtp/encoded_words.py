"""Encoded words: letters beyond ASCII in a header (RFC 2047).

Written by ourselves, because the standard library tears words apart, loses spaces and writes
encoded words that are too long, on each Python that is supported.
"""

import binascii
from collections.abc import Callable
from functools import lru_cache

#: The longest encoded word, and the longest line with one (RFC 2047 section 2).
LONGEST_WORD, LONGEST_LINE = 75, 76
_Q, _B, _END = "=?utf-8?q?", "=?utf-8?b?", "?="
_AROUND = len(_Q) + len(_END)
#: Room for a letter of four bytes in either form.
LEAST_ROOM = _AROUND + 12
#: What stands for itself even in a name (RFC 2047 section 5, rule 3).
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!*+-/")


def encoded_words(text: str, room: int = LONGEST_WORD) -> list[str]:
    """*text* as encoded words, of which the first has at most *room* letters.

    Each can be read by itself: none ends within a letter (RFC 2047 section 5).
    """
    data = text.encode()
    whole = "".join(map(_q, text))
    in_base64 = _base64_length(len(data)) < len(whole)
    room = max(LEAST_ROOM, min(room, LONGEST_WORD)) - _AROUND
    if in_base64:
        if _base64_length(len(data)) <= room:
            return [_b(text)]
        rest = (LONGEST_WORD - _AROUND) // 4 * 3
        return [_b(piece) for piece in _pieces(text, room // 4 * 3, rest, _bytes)]
    if len(whole) <= room:
        return [f"{_Q}{whole}{_END}"]
    pieces = _pieces(text, room, LONGEST_WORD - _AROUND, _width)
    return [f"{_Q}{''.join(map(_q, piece))}{_END}" for piece in pieces]


def encoded_length(text: str) -> int:
    """How long *text* would be as a single encoded word, which may be too long for one."""
    return _AROUND + min(_base64_length(len(text.encode())), sum(map(_width, text)))


def _pieces(text: str, first: int, rest: int, size: Callable[[str], int]) -> list[str]:
    """*text* cut so that the first piece is at most *first* large and the others *rest*.

    After a space if there is one not far back: Python's newer parser shows one between the encoded
    words of a name.
    """
    found: list[str] = []
    start, filled, room = 0, 0, first
    for at, letter in enumerate(text):
        width = size(letter)
        if filled + width > room:
            end = text.rfind(" ", (start + at) // 2, at) + 1 or at
            found.append(text[start:end])
            start, filled, room = end, sum(map(size, text[end:at])), rest
        filled += width
    found.append(text[start:])
    return found


def _b(text: str) -> str:
    return f"{_B}{binascii.b2a_base64(text.encode(), newline=False).decode()}{_END}"


@lru_cache(maxsize=2000)
def _q(letter: str) -> str:
    if letter in _PLAIN:
        return letter
    return "_" if letter == " " else "".join(f"={byte:02X}" for byte in letter.encode())


def _width(letter: str) -> int:
    return len(_q(letter))


def _bytes(letter: str) -> int:
    return len(letter.encode())


def _base64_length(size: int) -> int:
    return (size + 2) // 3 * 4
