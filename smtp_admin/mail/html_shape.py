"""Whether HTML is of a shape whose styles can be moved: what moves them trusts what it is given.

Tags that are nested ten thousand deep overflow its stack, which ends the process; one long style on
ten thousand tags makes gigabytes. HTML comes from templates of partners, so it is looked at first,
letter by letter and never twice. What is refused here keeps its styles where they are.
"""

import re

_DEEPEST = 100
#: Letters of styles × tags: as many may have to be written.
_MOST_WRITTEN = 5_000_000
_TAG = re.compile(
    r"<(?P<close>/?)(?P<name>[a-zA-Z][a-zA-Z0-9:-]*+)"
    r"(?:\s++[^\s\"'<>/=]++(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s\"'<>=`]++))?+)*+\s*+/?>"
)
_MAY_BE_TAG = re.compile(r"[a-zA-Z/?\ue000]")
_END_OF_COMMENT = re.compile("--!?>")
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta",
                   "source", "track", "wbr"})  # fmt: skip
_RAW = frozenset({"style", "title"})
#: Of these a parser reads the content in ways of its own; none belongs in a mail.
_ODD = frozenset({
    "frameset", "iframe", "math", "noembed", "noframes", "noscript", "object", "plaintext",
    "script", "svg", "template", "textarea", "xmp",
})  # fmt: skip
#: What an opening tag closes if it is open, and what any closing tag does.
_CLOSED_BY = {
    "p": frozenset({"p"}),
    "li": frozenset({"li", "p"}),
    "dt": frozenset({"dt", "dd", "p"}),
    "dd": frozenset({"dt", "dd", "p"}),
    "td": frozenset({"td", "th", "p"}),
    "th": frozenset({"td", "th", "p"}),
    "tr": frozenset({"td", "th", "tr", "p"}),
}
_IMPLIED = frozenset({"p", "li", "dt", "dd", "td", "th", "tr", "tbody", "thead", "tfoot"})


def is_sound(html: str) -> bool:
    """Whether the styles of *html* can be moved into its tags."""
    try:
        _check(html)
    except _Odd:
        return False
    return True


class _Odd(Exception):
    """This is not for moving; never leaves the module."""


def _check(html: str) -> None:
    opened: list[str] = []
    at = tags = css = 0
    while (begin := html.find("<", at)) >= 0:
        found = _TAG.match(html, begin)
        if found is None:
            at = _after_other(html, begin)
            continue
        name, at, tags = found["name"].lower(), found.end(), tags + 1
        if name in _RAW and not found["close"]:
            at = _after_raw(html, name, at)
            css += at - found.end() if name == "style" else 0
        else:
            _step(opened, name, closes=bool(found["close"]))
        if css * tags > _MOST_WRITTEN:
            raise _Odd


def _after_other(html: str, begin: int) -> int:
    """Where a comment, a doctype or a mere sign is over."""
    if html.startswith("<!--", begin):
        found = _END_OF_COMMENT.search(html, begin + 2)
        end = found.end() if found else 0
    elif html.startswith("<!", begin):
        end = html.find(">", begin) + 1
    else:
        end = 0 if _MAY_BE_TAG.match(html, begin + 1) else begin + 1
    if not end:
        raise _Odd
    return end


def _step(opened: list[str], name: str, *, closes: bool) -> None:
    """What is open after this tag."""
    if name in _ODD:
        raise _Odd
    if closes:
        _close(opened, name)
    elif name not in _VOID:
        while opened and opened[-1] in _CLOSED_BY.get(name, ()):
            opened.pop()
        opened.append(name)
        if len(opened) > _DEEPEST:
            raise _Odd


def _close(opened: list[str], name: str) -> None:
    """Close *name* if nothing else stands in the way: a parser may not close it then either."""
    depth = len(opened)
    while depth and opened[depth - 1] != name and opened[depth - 1] in _IMPLIED:
        depth -= 1
    if depth and opened[depth - 1] == name:
        del opened[depth - 1 :]


def _after_raw(html: str, name: str, at: int) -> int:
    """Where the text of a style or title is over."""
    end = re.compile(f"</{name}\\s*>", re.IGNORECASE).search(html, at)
    if end is None:
        raise _Odd
    return end.end()
