"""Moments inside sentences: words wherever a sentence is text, ``<time>`` where a page shows it.

A sentence is put together as text, in any language and from values that may be a server's words,
and is escaped as a whole. So while a page asks for it, a mark stands for each moment, and the tag
takes the place of the mark after the escaping. A mark has a number of this process in it that
nobody else knows, so no value can be taken for one.

Texts that are kept name the day and the year: whoever reads them later cannot know what "19:16"
was.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from markupsafe import Markup, escape

_SECRET = secrets.token_hex(8)
_MARK = re.compile(rf"\ue000{_SECRET}(\d)(\d{{14}})\ue001", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: A moment that can be told for certain, whoever wrote it: as texts that are kept have it.
_WHOLE = re.compile(
    rf"\b(?:(\d{{1,2}}) ({'|'.join(_MONTHS)}) (\d{{4}})|(\d{{4}})-(\d\d)-(\d\d))"
    r" (\d\d):(\d\d)(?::(\d\d))? UTC\b",
    re.ASCII,
)
_DIGITS = "%Y%m%d%H%M%S"
#: What of a moment its words name.
CLOCK, DAY, YEAR = range(3)

#: How moments are written now; ``None`` for words.
_how: ContextVar[Callable[[datetime, int], str] | None] = ContextVar("moments", default=None)


def how() -> Callable[[datetime, int], str] | None:
    """How a moment is to be written that is asked for its words; ``None`` as always."""
    return _how.get()


@contextmanager
def marking() -> Iterator[None]:
    """Moments become marks, for :func:`tagged`."""
    with _written(_mark):
        yield


@contextmanager
def dating() -> Iterator[None]:
    """Moments name their day and year, in English."""
    with _written(whole):
        yield


@contextmanager
def _written(way: Callable[[datetime, int], str]) -> Iterator[None]:
    token = _how.set(way)
    try:
        yield
    finally:
        _how.reset(token)


def whole(at: datetime, form: int = YEAR) -> str:
    """*at* so that it can be read back: ``29 Nov 2026 19:16 UTC``."""
    del form
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year} {at:%H:%M} UTC"


def _mark(at: datetime, form: int) -> str:
    return f"\ue000{_SECRET}{form}{at.strftime(_DIGITS).zfill(14)}\ue001"


def marked(text: str) -> str:
    """*text* that was kept, with marks for its whole moments if they are wanted now."""
    return text if _how.get() is not _mark else _WHOLE.sub(_found, text)


def _found(found: re.Match[str]) -> str:
    day, name, year, iso_year, iso_month, iso_day, hour, minute, second = found.groups()
    month = _MONTHS.index(name) + 1 if name else int(iso_month)
    numbers = (int(year or iso_year), month, int(day or iso_day), int(hour), int(minute))
    try:
        at = datetime(*numbers, int(second or 0), tzinfo=UTC)
    except ValueError:
        return found[0]
    return _mark(at, YEAR)


def tagged(text: str, words: Callable[[datetime, int], str]) -> Markup:
    """*text* escaped, with ``<time>`` in the place of marks.

    Args:
        words: what a moment is called there until the page's script takes the viewer's own clock.
    """

    def tag(found: re.Match[str]) -> str:
        form, digits = int(found[1]), found[2]
        at = datetime.strptime(digits, _DIGITS).replace(tzinfo=UTC)
        return time_tag(at, words(at, form))

    return Markup(_MARK.sub(tag, str(escape(text))))  # noqa: S704 - escaped just now


def time_tag(at: datetime, words: str, *, exact: bool = False) -> Markup:
    """The element that the page's script turns to the viewer's own zone; UTC stays in its title."""
    return Markup(
        '<time datetime="{iso}" title="{full}" data-smtp-admin-time="{form}">{words}</time>'
    ).format(
        iso=f"{at:%Y-%m-%dT%H:%M:%SZ}",
        full=f"{at:%Y-%m-%d %H:%M:%S} UTC",
        form="exact" if exact else "short",
        words=words,
    )
