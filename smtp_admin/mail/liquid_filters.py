"""The filters that templates may use: those of the language, without what could run or grow away.

Each is called through :func:`_bounded`: what goes in and what comes out is weighed, and paid for.
Those that the library has in a way that takes too long, or too much, are written anew here.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from liquid import Environment, Markup, escape, soft_str
from liquid.builtin.filters import array, extra, math, misc, string
from liquid.exceptions import FilterArgumentError

from smtp_admin.mail.liquid_limits import MOST_ITEMS, MOST_TEXT, Limited, too_much
from smtp_admin.translation import gettext, number

_LONGEST_DATE, _LONGEST_FORMAT = 100, 100
#: A directive of a date, without the width that some systems take there.
_DIRECTIVE = re.compile(r"%[-_^0#]?[A-Za-z%]")
#: Text that mail programs never show.
_UNSHOWN = re.compile(r"<(script|style)\b", re.IGNORECASE)
_MOST_ARGUMENTS = 5


def add_to(environment: Environment) -> None:
    """Make the filters known, and no others."""
    environment.filters.clear()
    for name, function in _FILTERS.items():
        environment.add_filter(name, _bounded(function, environment))


def _bounded(function: Callable[..., Any], environment: Environment) -> Callable[..., Any]:
    more: Mapping[str, Any] = (
        {"environment": environment} if getattr(function, "with_environment", False) else {}
    )

    extra = getattr(function, "work", 0)

    def call(context: Limited, *args: Any, **named: Any) -> Any:
        if len(args) + len(named) > _MOST_ARGUMENTS:
            raise FilterArgumentError(gettext("too many arguments"), token=None)
        context.spend(
            extra + sum(map(context.weigh, args)) + sum(map(context.weigh, named.values()))
        )
        result = function(*args, **named, **more)
        context.spend(context.weigh(result))
        return result

    return call


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _check_length(length: int) -> None:
    if length > MOST_TEXT:
        raise too_much(gettext("a value has more than %(most)s characters", most=number(MOST_TEXT)))


def _replacing(most: int | None) -> Callable[..., str]:
    """``replace`` for the first *most* places, which looks first how long the result is."""

    def replace(value: object, old: object, new: object = "") -> str:
        text, old, new = _text(value), soft_str(old), soft_str(new)
        if isinstance(text, Markup):
            old, new = escape(old), escape(new)
        count = str.count(text, old)
        count = count if most is None else min(most, count)
        _check_length(len(text) + count * (len(new) - len(old)))
        return text.replace(old, new, -1 if most is None else most)

    return replace


def _removing(most: int | None) -> Callable[..., str]:
    replace = _replacing(most)
    return lambda value, old: replace(value, old, "")


def _joined(value: object, separator: object = " ") -> str:
    items = value if isinstance(value, (list, tuple, range)) else [value]
    between = soft_str(separator)
    _check_length(len(items) * len(between))
    return str(between.join([soft_str(one) for one in items]))


def _split(value: object, separator: object = None) -> list[str]:
    text = _text(value)
    between = "" if separator is None else soft_str(separator)
    if not text or text == between:
        return []
    if not between:
        if len(text) > MOST_ITEMS:
            raise too_much(gettext("a list has more than %(most)s items", most=number(MOST_ITEMS)))
        return list(text)
    # One item too many is refused by whoever weighs the list.
    return text.split(None if between == " " else between, MOST_ITEMS)


def _url_decoded(value: object) -> str:
    text = _text(value)
    if text.count("%") > MOST_ITEMS:  # each begins a piece of its own, of some sixty bytes
        words = gettext("a value has more than %(most)s signs to decode", most=number(MOST_ITEMS))
        raise too_much(words)
    return str(string.url_decode(text))


def _without_twins(value: object, key: object = None) -> list[object]:
    items = value if isinstance(value, (list, tuple, range)) else [value]
    found: dict[object, object] = {}
    for one in items:
        what = one.get(key) if key is not None and isinstance(one, dict) else one
        found.setdefault(_hashable(what), one)
    return list(found.values())


def _hashable(value: object) -> object:
    if isinstance(value, dict):
        return frozenset((name, _hashable(one)) for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_hashable, value))
    return value


def _without_tags(value: object) -> str:
    """The text of some HTML, found in one go: a parser takes very long over what is not closed."""
    text = str(_text(value))
    found: list[str] = []
    at = 0
    while (begin := text.find("<", at)) >= 0:
        found.append(text[at:begin])
        unshown = _UNSHOWN.match(text, begin)
        close = f"</{unshown[1]}" if unshown else "-->" if text.startswith("<!--", begin) else ""
        after = text.lower().find(close.lower(), begin) if close and len(found) < 100 else -1  # noqa: PLR2004 - each looks through the rest
        end = text.find(">", max(begin, after))
        if end < 0:
            at = begin if after < 0 else len(text)
            break
        at = end + 1
    return "".join([*found, text[at:]])


def _date(value: Any, format_: object, *, environment: Environment) -> str:
    written = soft_str(format_)
    if len(written) > _LONGEST_FORMAT or "%" in _DIRECTIVE.sub("", written):
        raise FilterArgumentError(gettext("this is no format of a date"), token=None)
    if isinstance(value, str) and len(value) > _LONGEST_DATE:
        return value
    return str(misc.date(value, written, environment=environment))


_date.with_environment = True  # type: ignore[attr-defined]  # as the library marks its own
_date.work = 500  # type: ignore[attr-defined]  # to read one takes as long as so many letters


def _as_json(value: Any) -> str:
    """A value as JSON, with its quotes; letters beyond ASCII are escaped."""
    plain = value if value is None or isinstance(value, bool | int | float) else str(value)
    return json.dumps(plain)


_FILTERS: Mapping[str, Callable[..., Any]] = {
    "abs": math.abs_,
    "append": string.append,
    "at_least": math.at_least,
    "at_most": math.at_most,
    "capitalize": string.capitalize,
    "ceil": math.ceil,
    "compact": array.compact,
    "concat": array.concat,
    "date": _date,
    "default": misc.default,
    "divided_by": math.divided_by,
    "downcase": string.downcase,
    "escape": string.escape,
    "escape_once": string.escape_once,
    "find": array.find,
    "first": array.first,
    "floor": math.floor,
    "has": array.has,
    "join": _joined,
    "json": _as_json,
    "last": array.last,
    "lstrip": string.lstrip,
    "map": array.map_,
    "minus": math.minus,
    "modulo": math.modulo,
    "newline_to_br": string.newline_to_br,
    "plus": math.plus,
    "prepend": string.prepend,
    "reject": array.reject,
    "remove": _removing(None),
    "remove_first": _removing(1),
    "remove_last": string.remove_last,
    "replace": _replacing(None),
    "replace_first": _replacing(1),
    "replace_last": string.replace_last,
    "reverse": array.reverse,
    "round": math.round_,
    "rstrip": string.rstrip,
    "safe": extra.safe,
    "size": misc.size,
    "slice": string.slice_,
    "sort": array.sort,
    "sort_natural": array.sort_natural,
    "split": _split,
    "squish": string.squish,
    "strip": string.strip,
    "strip_html": _without_tags,
    "strip_newlines": string.strip_newlines,
    "sum": array.sum_,
    "times": math.times,
    "truncate": string.truncate,
    "truncatewords": string.truncatewords,
    "uniq": _without_twins,
    "upcase": string.upcase,
    "url_decode": _url_decoded,
    "url_encode": string.url_encode,
    "where": array.where,
}
#: For the page that lists them.
NAMES = tuple(_FILTERS)
