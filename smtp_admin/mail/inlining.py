"""The styles of an HTML template, moved into its tags once instead of in every mail.

Liquid's tags hide behind placeholders meanwhile. Whatever could make the mail another one than
if its own styles were moved, such as ``:first-child`` or a class that Liquid writes, is left to
be done mail by mail.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from html import unescape

import css_inline

from smtp_admin.errors import TemplateError
from smtp_admin.mail import liquid_source
from smtp_admin.mail.html_shape import is_sound

_LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
#: Private letters, which no parser of HTML touches.
_HIDDEN = re.compile("\ue000([0-9]+)\ue001")
#: A placeholder as a comment of ours.
_IN_TEXT = "<!--\ue002{}-->".format
_TOKEN = re.compile(
    r"(?P<doctype><!doctype[^<>]*>)"
    r"|<!--(?P<comment>.*?)-->"
    r"|<(?P<raw>style|script|title|textarea)(?P<rawattributes>(?:\s[^<>]*)?)>"
    r"(?P<content>.*?)</(?P=raw)\s*>"
    r"|<(?P<close>/?)(?P<name>[a-z][a-z0-9:-]*)"
    r"(?P<attributes>(?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(
    r"\s+([^\s\"'<>/=\ue000]+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'<>`]+))?|\s*/?\s*$"
)
#: What becomes a tag or a letter only with what Liquid writes behind it.
_UNFINISHED = re.compile("(?:<[/!?]?|&[#a-z0-9]*)\ue000", re.IGNORECASE)
_BEFORE_SELECTOR = re.compile(r"[};]")
#: What a selector must not ask: for neighbours and attributes, which the values of a mail decide.
_DEPENDS = re.compile(r"[\[+~\\]|:(?!(?:hover|active|focus|visited|link)\b)")
#: Markup that comes out of Liquid itself, so that no template shows it.
_MARKUP = re.compile(r"\|\s*(?:safe|newline_to_br)\b|[\"'][^\"']*<")
_TAG_NAME = re.compile(r"\{%-?\s*(\w+|#)")
_OPENING = frozenset({"if", "unless", "case", "for", "comment"})
_MIDDLE = frozenset({"elsif", "else", "when"})
_OTHERS = frozenset({"assign", "cycle", "echo", "increment", "decrement", "#"})
#: Of their text a parser takes the first line end off.
_DROPS_A_LINE_END = frozenset({"pre", "textarea", "listing"})
_STYLED = frozenset({"class", "id", "style"})
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta",
                   "source", "track", "wbr"})  # fmt: skip
#: Tags that a parser adds where they are left out.
_IMPLIED = frozenset({"html", "head", "body", "tbody"})


#: Letters of HTML that moving the styles may make.
_LARGEST = 1_000_000
#: Templates that are kept ready. Large ones are few, for styles make them larger still.
_KEPT, _LARGE_KEPT, _LARGE = 256, 8, 20_000


class _Unsafe(Exception):
    """This template is not for inlining ahead; never leaves the module."""


def inlined(html: str) -> str:
    """*html* with its styles in its tags; as it is, if it is too large or of an odd shape."""
    if not is_sound(html):
        return html
    styled: str = css_inline.inline(html, load_remote_stylesheets=False)
    return styled if len(styled) <= max(_LARGEST, len(html)) else html


def inlined_template(source: str) -> str | None:
    """The Liquid template *source* with its styles in its tags; ``None`` if they depend on values.

    What it renders to is what :func:`inlined` makes of what *source* renders to.
    """
    return (_large_ready if len(source) > _LARGE else _ready)(source)


def _made_ready(source: str) -> str | None:
    tags: list[str] = []

    def hide(found: re.Match[str]) -> str:
        tags.append(found[0])
        return f"\ue000{len(tags) - 1}\ue001"

    if any(letter in source for letter in "\ue000\ue001\ue002"):
        return None
    try:
        liquid_source.check(source)
        hidden = _LIQUID.sub(hide, source)
        if _UNFINISHED.search(hidden) or not is_sound(hidden):
            return None
        for tag in tags:
            _check_liquid(tag)
        before = _protected(hidden, tags)
        after = inlined(before)
        if _skeleton(before) != _skeleton(after):
            return None  # the parser moved something, such as text within a table
        _check_blocks(after, tags)
    except (_Unsafe, css_inline.InlineError, TemplateError):
        return None
    after = re.sub(_IN_TEXT("(.*?)"), r"\1", after)
    return _HIDDEN.sub(lambda found: tags[int(found[1])], after)


_ready = lru_cache(maxsize=_KEPT)(_made_ready)
_large_ready = lru_cache(maxsize=_LARGE_KEPT)(_made_ready)


def _check_liquid(tag: str) -> None:
    name = _TAG_NAME.match(tag)
    if _MARKUP.search(tag) or not (tag.startswith("{{") or name):
        raise _Unsafe
    if name and name[1].removeprefix("end") not in _OPENING | _MIDDLE | _OTHERS:
        raise _Unsafe


def _protected(hidden: str, tags: list[str]) -> str:
    """*hidden* with a comment for each Liquid tag within text: those may stand anywhere."""
    pieces: list[str] = []
    depth = end = 0
    body_is_over = False
    for token in _TOKEN.finditer(hidden):
        text = hidden[end : token.start()]
        if body_is_over and "\ue000" in text:
            raise _Unsafe  # a parser puts that back into the body
        body_is_over |= bool(token["close"]) and token["name"].lower() in {"body", "html"}
        for number in _HIDDEN.findall(text):
            depth += _step(tags[int(number)])
        pieces += [_HIDDEN.sub(_IN_TEXT(r"\g<0>"), text), token[0]]
        end = token.end()
        raw = (token["raw"] or "").lower()
        if (token["raw"] or token["name"] or "").lower() in _DROPS_A_LINE_END:
            raise _Unsafe
        if raw in {"style", "script"} and ("\ue000" in token[0] or (raw == "style" and depth)):
            raise _Unsafe
        if raw == "style":
            _check_css(token["content"])
        for name, value in _attributes(token["attributes"] or token["rawattributes"] or ""):
            if "\ue000" in value and (name in _STYLED or not value.startswith(('"', "'"))):
                raise _Unsafe
    if body_is_over and "\ue000" in hidden[end:]:
        raise _Unsafe
    return "".join([*pieces, _HIDDEN.sub(_IN_TEXT(r"\g<0>"), hidden[end:])])


def _step(tag: str) -> int:
    name = _TAG_NAME.match(tag)
    if name is None:
        return 0
    return -1 if name[1].startswith("end") else int(name[1] in _OPENING)


def _check_css(css: str) -> None:
    first, *rest = css.split("/*")
    bare = first + "".join(piece.partition("*/")[2] for piece in rest)
    for text in bare.split("{")[:-1]:
        selector = _BEFORE_SELECTOR.split(text)[-1].strip()
        if not selector.startswith("@") and _DEPENDS.search(selector):
            raise _Unsafe


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    """Names and values; nothing else may stand within a tag."""
    at = 0
    while at < len(text):
        found = _ATTRIBUTE.match(text, at)
        if found is None or found.end() == at:
            raise _Unsafe
        if found[1]:
            yield found[1].lower(), found[2] or ""
        at = found.end()


def _skeleton(html: str) -> list[str]:
    """The tags, placeholders and words in their order, without what a parser adds."""
    found = [""]
    for kind, what in _events(html):
        if kind == "text":
            found[-1] += "".join(unescape(what).split())
        elif kind == "liquid" or what not in _IMPLIED:
            found += [f"{kind} {what}", ""]
    return found


def _events(html: str) -> Iterator[tuple[str, str]]:
    """What opens and closes, placeholders and texts, in their order; styles are left out."""
    end = 0
    for token in _TOKEN.finditer(html):
        yield from _placeholders(html[end : token.start()])
        end = token.end()
        if token["doctype"]:
            continue
        if token["comment"] is not None:
            if token["comment"].startswith("\ue002"):
                yield from _placeholders(token["comment"][1:])
            else:
                yield from _within("comment", token["comment"])
            continue
        name = (token["raw"] or token["name"]).lower()
        if name == "style":
            continue
        if token["close"]:
            yield "close", name
            continue
        yield "open", name
        for _, value in _attributes(token["attributes"] or token["rawattributes"] or ""):
            yield from _within("attribute", value[1:-1])  # within its quotes
        if token["raw"]:
            yield from _placeholders(token["content"])
        if token["raw"] or name in _VOID:
            yield "close", name
    yield from _placeholders(html[end:])


def _placeholders(text: str) -> Iterator[tuple[str, str]]:
    # Between the matches stand the texts, and at every other place the number that was captured.
    for place, piece in enumerate(_HIDDEN.split(text)):
        yield ("liquid" if place % 2 else "text"), piece


def _within(what: str, text: str) -> Iterator[tuple[str, str]]:
    if "\ue000" in text:
        yield "open", what
        yield from _placeholders(text)
        yield "close", what


def _check_blocks(html: str, tags: list[str]) -> None:
    """Each branch of an ``if`` or ``for`` must close what it opens, and nothing else."""
    opened: list[int] = []
    blocks: list[list[int]] = []
    for number, (kind, what) in enumerate(_events(html)):
        if kind == "open":
            opened.append(number)
        elif kind == "close":
            if not opened:
                raise _Unsafe
            opened.pop()
        elif kind == "liquid" and (name := _TAG_NAME.match(tags[int(what)])):
            if name[1] in _OPENING:
                blocks.append(opened.copy())
            elif name[1] in _MIDDLE or name[1].startswith("end"):
                if not blocks or blocks[-1] != opened:
                    raise _Unsafe
                if name[1] not in _MIDDLE:
                    blocks.pop()
    if opened or blocks:
        raise _Unsafe
