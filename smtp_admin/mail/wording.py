"""What shipped mails say, by type and language: ``words/<type>.toml``, read when first needed.

Most of them are a subject, a line for the list of mails, and a body in a notation of a few signs,
from which both the text and the HTML of a Liquid template are made. The reminder of renewals and
the test mail have words by key instead, for their layout is the same in all languages and hosts may
change it.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("words")
#: For languages that there are no words in.
FALLBACK = "en"
_COMMON = "common"
#: Languages that are written from right to left.
_LEFTWARDS = frozenset({"ar", "arc", "ckb", "dv", "fa", "he", "ks", "ku", "ps", "sd", "ug", "ur",
                        "yi"})  # fmt: skip
_LIQUID = re.compile(r"(\{\{.*?\}\}|\{%.*?%\})")
_TAG_LINE = re.compile(r"\{%[^%]*%\}")
_BUTTON = re.compile(r"\[(?P<label>[^\]]+)\]\((?P<url>[^)]+)\)")
_NAME = re.compile(r"\{\{ *([a-z_.]+) *\}\}")
_BREAKS = " | newline_to_br"


@dataclass(frozen=True, slots=True)
class Texts:
    """The sources of a template: each is Liquid, and ``html`` is what stands in the layout."""

    subject: str
    text: str
    html: str


@cache
def wording(type_name: str) -> Mapping[str, Mapping[str, str]]:
    """Language → the words of the shipped mail *type_name*, by key; empty if it has none.

    Raises:
        ValueError: a language lacks words that another has.
    """
    file = FOLDER / f"{type_name}.toml"
    if not file.is_file():
        return {}
    found: Mapping[str, Mapping[str, str]] = tomllib.loads(file.read_text("utf-8"))
    for language, words in found.items():
        odd = words.keys() ^ found[FALLBACK].keys()
        if odd:
            raise ValueError(f"{type_name}.{language} is odd in: {', '.join(sorted(odd))}.")
    return {name: {"language": name, **words} for name, words in found.items()}


def words_in(type_name: str, language: str) -> Mapping[str, str]:
    """The words of *type_name* in *language*, such as ``de-AT``; else the English ones."""
    found = wording(type_name)
    return next((found[one] for one in candidates(language) if one in found), found[FALLBACK])


def has_words_by_key(type_name: str) -> bool:
    """Whether files hold the templates of *type_name*, and its words are values for them."""
    found = wording(type_name)
    return bool(found) and "body" not in found[FALLBACK]


def texts(type_name: str) -> Mapping[str, Texts]:
    """Language → the templates of the shipped mail *type_name*; empty if files hold them."""
    return {} if has_words_by_key(type_name) or not wording(type_name) else _texts(type_name)


@cache
def _texts(type_name: str) -> Mapping[str, Texts]:
    return {language: _made(words) for language, words in wording(type_name).items()}


def candidates(language: str) -> Iterator[str]:
    """*language* as it is, then without its country: ``pt-br``, ``pt``."""
    name = language.strip().replace("_", "-").lower()
    while name:
        yield name
        name = name.rpartition("-")[0]


def common_in(language: str) -> Mapping[str, str]:
    """What all mails say in *language*."""
    return words_in(_COMMON, language)


def direction(language: str) -> str:
    """``rtl`` for languages that are written so, else ``ltr``."""
    return "rtl" if next(iter(reversed([*candidates(language)])), "") in _LEFTWARDS else "ltr"


def _made(words: Mapping[str, str]) -> Texts:
    common = words_in(_COMMON, words["language"])
    hello = (
        f'{{% if name != "" %}}{common["hello"]}{{% else %}}{common["hello_nobody"]}{{% endif %}}'
    )
    plain: list[str] = []
    html = [f'<div class="preview">{_escaped(words["preview"])}</div>\n']
    body = words["body"].replace("@hello", hello).replace("@greeting", common["hello_nobody"])
    for block in body.strip().split("\n\n"):
        lines = block.strip().split("\n")
        before: list[str] = []
        after: list[str] = []
        while lines and _TAG_LINE.fullmatch(lines[0]):
            before.append(lines.pop(0))
        while lines and _TAG_LINE.fullmatch(lines[-1]):
            after.insert(0, lines.pop())
        made = _block(lines)
        plain += [*before, made[0], *after]
        html += [*before, made[1], *after]
    return Texts(words["subject"], "".join(plain), "".join(html))


def _block(lines: list[str]) -> tuple[str, str]:
    """A paragraph, button, code, list or table, as text and as HTML."""
    first, whole = lines[0], " ".join(lines)
    if first.startswith("# "):
        return "", f"<h1>{_escaped(whole[2:])}</h1>\n"
    if first.startswith("~ "):
        return f"{whole[2:]}\n\n", f'<p class="small">{_escaped(whole[2:])}</p>\n'
    if first.startswith("= "):
        return f"{whole[2:]}\n\n", f'<p class="code">{_escaped(whole[2:])}</p>\n'
    if first.startswith("> "):
        quoted = whole[2:].replace(" }}", f"{_BREAKS} }}}}")
        return f"{whole[2:]}\n\n", f"<blockquote>{quoted}</blockquote>\n"
    if first.startswith("- "):
        return _item(*(one.strip() for one in whole[2:].split(" |")))
    if first.startswith("| "):
        pairs = [[one.strip() for one in line[2:].split(" | ")] for line in lines]
        rows = [f'<tr><th scope="row">{_escaped(name)}</th>'
                f'<td class="long"><span dir="auto">{value}</span></td></tr>\n'
                for name, value in pairs]  # fmt: skip
        return (
            "".join(f"{name}: {value}\n" for name, value in pairs) + "\n",
            f'<table class="grid"><tbody>\n{"".join(rows)}</tbody></table>\n',
        )
    if button := _BUTTON.fullmatch(whole):
        label, url = button["label"], button["url"]
        link = f'<p class="action"><a class="button" href="{url}">{_escaped(label)}</a></p>\n'
        return f"{label}:\n{url}\n\n", f'{link}<p class="address">{url}</p>\n'
    return f"{whole.replace(_BREAKS, '')}\n\n", f"<p>{_escaped(whole)}</p>\n"


def _item(title: str, text: str = "", url: str = "") -> tuple[str, str]:
    linked = f'<a href="{url}">{title}</a>'
    plain, html = f"- {title}", f"<strong>{title}</strong>"
    if url:
        html = f"<strong>{_if(url, linked, title)}</strong>"
    if text:
        plain += _if(text, f"\n  {text}")
        html += _if(text, f'<br>\n<span dir="auto">{text}</span>')
    return plain + (
        _if(url, f"\n  {url}") if url else ""
    ) + "\n\n", f'<div class="item">{html}</div>\n'


def _if(value: str, then: str, otherwise: str = "") -> str:
    """*then* where *value*, a single variable, is not empty."""
    name = _NAME.fullmatch(value)
    if name is None:
        return then
    other = f"{{% else %}}{otherwise}" if otherwise else ""
    return f'{{% if {name[1]} != "" %}}{then}{other}{{% endif %}}'


def _escaped(text: str) -> str:
    """*text* as HTML; Liquid within it stays, and escapes its values itself."""
    pieces = _LIQUID.split(text)
    return "".join(
        one if place % 2 else escape(one, quote=False) for place, one in enumerate(pieces)
    )


def names(type_name: str) -> tuple[str, ...]:
    """The languages that the shipped mail *type_name* has words in."""
    found: Mapping[str, Any] = wording(type_name)
    return tuple(found) if found else (FALLBACK,)
