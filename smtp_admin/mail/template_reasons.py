"""Why a template failed, read back from the English sentence that was written down.

The audit log is in English, in whatever language its readers see pages. Such a sentence is
put together of the texts below; taken apart again, it can be said in another language. What is not
found here stays as it is: some words are the template library's own, in English alone.
"""

import re
from functools import cache

from smtp_admin.translation import gettext, number, sentence

#: What such a sentence is made of; first what holds others. A test compares it with the sources.
FRAMES = (
    "The template %(of)s/%(part)s: %(told)s",
    "Line %(line)s, column %(column)s: %(words)s",
    "The subject of %(name)s: %(error)s",
    "The subject of %(name)s has %(count)s characters; 1 to %(most)s are possible.",
    "The template has more than %(most)s characters.",
    "There are more than %(most)s tags.",
    "There is no tag %(name)s.",
    "A tag has no name.",
    "This tag is not closed.",
    "This output is not closed.",
    "This raw is not closed.",
    "This is longer than %(most)s characters.",
    "A range may only stand in a loop.",
    "This cannot be filled in (%(kind)s).",
    "This takes too much work for so many mails.",
    "this takes too much work",
    "the variables of this template hold too much",
    "a loop goes over more than %(most)s items",
    "a range has more than %(most)s numbers",
    "a list has more than %(most)s items",
    "a list is nested too deeply",
    "a value has more than %(most)s characters",
    "a value has more than %(most)s signs to decode",
    "the text has more than %(most)s characters",
    "a number is too large",
    "too many arguments",
    "this is no format of a date",
    "there is no filter %(name)s",
    "this cannot be read (%(kind)s)",
    "this is wrong",
    "%(name)s is undefined",
    "Line breaks and control characters are not allowed here.",
    "“=?” is not allowed here.",
)
_PLACE = re.compile(r"%\((\w+)\)s")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+", re.ASCII)


def recalled(english: str) -> str:
    """*english* as a text that knows how to say the same in another language."""
    for frame in FRAMES:
        part, whole = _shapes(frame)
        found = part.fullmatch(english) or whole.fullmatch(english)
        if found:
            values = {name: _value(text) for name, text in found.groupdict().items()}
            text = gettext(frame, **values)
            return text if found.re is part else sentence(text)
    return english


@cache
def _shapes(frame: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What *frame* looks like as it is, and as a sentence of its own."""
    return _shape(frame), _shape(sentence(frame))


def _shape(text: str) -> re.Pattern[str]:
    pieces = _PLACE.split(text)
    found = "".join(
        f"(?P<{piece}>.+?)" if place % 2 else re.escape(piece) for place, piece in enumerate(pieces)
    )
    return re.compile(found, re.DOTALL)


def _value(text: str) -> str:
    return number(int(text.replace(",", ""))) if _NUMBER.fullmatch(text) else recalled(text)
