"""Take values out of what others sent: whatever is missing, or of another kind, is empty.

Providers change what they send, and test buttons send what never happens. None of it may fail.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from smtp_admin.identifiers import storable

_MOST = 500
_ENHANCED = re.compile(r"(?<![\w.])([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![\w.])")
_REPLY = re.compile(r"(?<![\w.])([245][0-9]{2})(?![\w.])")
#: Fractions of a second with more digits than Python reads.
_FRACTION = re.compile(r"(\.[0-9]{6})[0-9]+")
_LATEST = 32_503_680_000  # the year 3000


def at_path(document: Any, *path: str) -> Any:
    """What stands at *path*, or ``None``."""
    for name in path:
        if not isinstance(document, Mapping):
            return None
        document = document.get(name)
    return document


def text(document: Any, *path: str, most: int = _MOST) -> str:
    """The text at *path*; a number is written out, anything else is empty."""
    found = at_path(document, *path)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return ""
    return storable(" ".join(str(found).split()))[:most]


def first(document: Any, *names: str, most: int = _MOST) -> str:
    """The first of these texts that is not empty."""
    return next((one for name in names if (one := text(document, name, most=most))), "")


def items(document: Any, *path: str) -> Iterator[Mapping[str, Any]]:
    """The objects of the list at *path*."""
    found = at_path(document, *path)
    for one in found if isinstance(found, list) else ():
        if isinstance(one, Mapping):
            yield one


def texts(document: Any, *path: str) -> list[str]:
    """The texts of the list at *path*."""
    found = at_path(document, *path)
    return [text({"": one}, "") for one in found] if isinstance(found, list) else []


def moment(value: Any, *, per_second: int = 1) -> datetime | None:
    """A time: seconds since 1970, in a number or in a text, or ISO 8601.

    Args:
        per_second: 1000 where it is milliseconds.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        seconds = float(value) / per_second
    except (ValueError, OverflowError):
        return _of_iso(str(value))
    if not 0 < seconds < _LATEST:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _of_iso(words: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(_FRACTION.sub(r"\1", words.strip()))
    except ValueError:
        return None
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        return None


def bare_id(words: str) -> str:
    """A Message-ID without its angle brackets."""
    return words.strip().removeprefix("<").removesuffix(">")[:253]


def status_in(*said: str) -> str:
    """The enhanced status that somebody's words contain, else the reply code; empty if neither."""
    for pattern in (_ENHANCED, _REPLY):
        for words in said:
            if found := pattern.search(words):
                return found[1]
    return ""
