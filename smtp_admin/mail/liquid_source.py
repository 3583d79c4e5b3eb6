"""The source of a Liquid template, looked through before it is parsed.

The parser's own patterns take a time that grows with the square of what is never closed, so what
reaches them is closed, short enough, and made of known tags.
"""

import re

from smtp_admin.errors import TemplateError
from smtp_admin.translation import gettext, number

#: Characters of a template, and of what stands between ``{{`` and ``}}``.
MOST_SOURCE = 100_000
_MOST_EXPRESSION = 2000
#: Parsed, one of these takes a kilobyte or two.
_MOST_PIECES = 5000
#: The tags that a template may use, with those that close them and stand between.
TAGS = frozenset({
    "#", "assign", "break", "capture", "case", "comment", "continue", "cycle", "decrement", "echo",
    "else", "elsif", "endcapture", "endcase", "endcomment", "endfor", "endif", "endraw",
    "endunless", "for", "if", "increment", "raw", "unless", "when",
})  # fmt: skip
#: A range elsewhere than in a loop would be searched item by item.
_ASKING = frozenset({"if", "elsif", "unless", "case", "when", "cycle"})
_BEGIN = re.compile(r"\{\{|\{%-?\s*(#|\w+)?")
_END_RAW = re.compile(r"\{%-?\s{0,100}endraw\s{0,100}-?%\}")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")


def check(source: str) -> None:
    """Return if *source* can be parsed in a short time.

    Raises:
        TemplateError: it is too long, or something in it is not closed or not known.
    """
    if len(source) > MOST_SOURCE:
        raise TemplateError(
            gettext("The template has more than %(most)s characters.", most=number(MOST_SOURCE))
        )
    pieces = at = 0
    while found := _BEGIN.search(source, at):
        pieces += 1
        if pieces > _MOST_PIECES:
            raise _error(
                source,
                found.start(),
                gettext("There are more than %(most)s tags.", most=number(_MOST_PIECES)),
            )
        at = _end(source, found)


def _end(source: str, found: re.Match[str]) -> int:
    """Where the output or tag that begins here is over."""
    start, tag = found.start(), found[0] != "{{"
    name = found[1] or ""
    if tag and name not in TAGS:
        words = (
            gettext("There is no tag %(name)s.", name=repr(name[:40]))
            if name
            else gettext("A tag has no name.")
        )
        raise _error(source, start, words)
    close = source.find("%}" if tag else "}}", found.end())
    if close < 0:
        raise _error(
            source,
            start,
            gettext("This tag is not closed.") if tag else gettext("This output is not closed."),
        )
    if close - start > _MOST_EXPRESSION and name not in {"#", "comment"}:
        raise _error(
            source,
            start,
            gettext("This is longer than %(most)s characters.", most=number(_MOST_EXPRESSION)),
        )
    if name in _ASKING and ".." in _QUOTED.sub("", source[start:close]):
        raise _error(source, start, gettext("A range may only stand in a loop."))
    if name != "raw":
        return close + 2
    end = _END_RAW.search(source, close + 2)
    if end is None:
        raise _error(source, start, gettext("This raw is not closed."))
    return end.end()


def _error(source: str, at: int, words: str) -> TemplateError:
    line, column = place(source, at)
    return TemplateError(words, line=line, column=column)


def place(source: str, at: int) -> tuple[int, int]:
    """The line and column of a character, both from 1."""
    before = source[:at]
    return before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
