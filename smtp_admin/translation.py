"""Texts in the language of whoever looks at a page; English everywhere else.

Code says ``gettext("The server at %(host)s did not answer.", host=host)`` and gets a string that
*is* the English sentence. Logs, the command line, JSON and the database take it as it is. A
template shows it in the page's language, because only there :meth:`Text.__html__` is called. So
tables at the top of a module need no other function, and code that shows a text need not know
that it is one.

Whatever else makes another string of it (an f-string, ``join``, ``lower``, a slice) makes it plain
English: put texts together by ``+``, as values, or with :func:`joined`.

The language is that of Flask-Babel where the host has it, during a request; pages for recipients
have their own (:func:`speak`).
"""

import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, SupportsIndex

from babel import Locale
from flask import current_app, has_request_context, request
from markupsafe import escape

from smtp_admin import moments
from smtp_admin.catalogues import ENGLISH, Catalogue, by_tag, catalogue, for_readers

#: Every moment has it in its English words, and few other texts do.
_ZONE = " UTC"
#: Where a request keeps the catalogue that its page chose; ``flask.g`` may outlive a request.
_SPOKEN = "smtp_admin.spoken"


class Text(str):  # noqa: SLOT000 - the kinds of it have attributes of their own
    """An English text that knows how to say the same in another language."""

    def __html__(self) -> str:
        """For templates: in the page's language, escaped, and with its moments as ``<time>``."""
        if _ZONE not in self:
            return str(escape(self.shown()))
        chosen = current() or ENGLISH
        with moments.marking():
            text = self.into(chosen)
        return moments.tagged(text, lambda at, form: _moment_words(at, form, chosen))

    def __add__(self, other: str) -> str:
        return joined((self, other), "")

    def __radd__(self, other: str) -> str:
        return joined((other, self), "")

    def rstrip(self, chars: str | None = None, /) -> "Text":
        """The same without *chars* at its end, in every language."""
        return _changed(self, "rstrip", chars)

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> "Text":
        """The same with *new* for *old*, in every language: what a filter of Jinja calls too."""
        return _changed(self, "replace", old, new, count)

    def shown(self) -> str:
        """In the language of the page."""
        chosen = current()
        return str(self) if chosen is None else self.into(chosen)

    def into(self, chosen: Catalogue) -> str:
        """In the language of *chosen*; English if it does not have it."""
        return chosen.texts.get(self) or str(self)


class _Filled(Text):
    """A sentence with values, of which there may be a plural."""

    _english: tuple[str, ...]
    _count: int | None
    _values: dict[str, Any]

    def into(self, chosen: Catalogue) -> str:
        first = self._english[0]
        if self._count is None:
            found = chosen.texts.get(first)
        else:
            forms = chosen.plurals.get(first, ())
            form = chosen.form(self._count)
            found = forms[form] if form < len(forms) else None
        if found is None:
            found = of_count(self._english, self._count)
        return found % {name: _into(one, chosen) for name, one in self._values.items()}


class _Table(Text):
    """A sentence of a table, with values."""

    _english: str
    _values: dict[str, Any]

    def into(self, chosen: Catalogue) -> str:
        found = chosen.texts.get(self._english, self._english)
        return found.format(**{name: _into(one, chosen) for name, one in self._values.items()})


class _InSentence(Text):
    """A label inside a sentence: English takes its capital off, other languages may need it."""

    _label: str

    def into(self, chosen: Catalogue) -> str:
        return str(_into(known(self._label), chosen))


class _Sentence(Text):
    """A part of a sentence, as a whole one."""

    _rest: str

    def into(self, chosen: Catalogue) -> str:
        return _as_sentence(str(_into(self._rest, chosen)))


class _Changed(Text):
    """A text after a method of strings, which is called in each language."""

    _whole: Text
    _method: str
    _values: tuple[Any, ...]

    def into(self, chosen: Catalogue) -> str:
        return str(getattr(str(_into(self._whole, chosen)), self._method)(*self._values))


def _changed(whole: Text, method: str, *values: Any) -> Text:
    text = _Changed(getattr(str(whole), method)(*values))
    text._whole, text._method, text._values = whole, method, values
    return text


class _Joined(Text):
    """Texts one after the other."""

    _parts: tuple[str, ...]
    _between: str

    def into(self, chosen: Catalogue) -> str:
        return self._between.join(str(_into(one, chosen)) for one in self._parts)


class _Number(Text):
    """A number, with its thousands apart."""

    _number: float
    _digits: int

    def into(self, chosen: Catalogue) -> str:
        return chosen.number(self._number, self._digits)


class _Day(Text):
    """A day, in the order and with the names of a language."""

    _at: date
    _skeleton: str

    def into(self, chosen: Catalogue) -> str:
        return chosen.day(self._at, self._skeleton)


class _Moment(Text):
    """A time of day in UTC, with its day if need be."""

    _at: datetime
    _form: int

    def into(self, chosen: Catalogue) -> str:
        write = moments.how() or (lambda at, form: _moment_words(at, form, chosen))
        return write(self._at, self._form)


def gettext(english: str, /, **values: Any) -> str:
    """*english*, a literal so that it is extracted, with ``%(name)s`` for each of the values."""
    return _filled((english,), None, values) if values else Text(english)


def ngettext(one: str, many: str, count: int, /, **values: Any) -> str:
    """*one* or *many*, two literals; ``%(number)s`` in them is *count* for people."""
    return _filled((one, many), count, {"number": number(count), **values})


def known(english: str, /, **values: Any) -> str:
    """A sentence written elsewhere: in a table of ours, or by a worker into the database.

    Args:
        values: for its ``{name}``, which is how such tables have them.
    """
    if not values:
        return english if isinstance(english, Text) else Text(english)
    text = _Table(english.format(**values))
    text._english, text._values = english, values
    return text


def as_shown(text: str) -> str:
    """*text* in the language of the page, as plain text: to sort by, or to keep in a session."""
    return text.shown() if isinstance(text, Text) else text


def said_by(error: Exception) -> str:
    """What *error* says. ``str()`` of it would have forgotten how that was made."""
    first = error.args[0] if error.args else ""
    return first if isinstance(first, Text) else str(error)


def joined(parts: Iterable[str], between: str = " ") -> str:
    """Those of *parts* that are not empty, one after the other."""
    kept = tuple(one for one in parts if one)
    text = _Joined(between.join(kept))
    text._parts, text._between = kept, between
    return text


def number(value: float, digits: int = 0) -> str:
    """*value* with its thousands apart."""
    english = f"{value:,.{digits}f}"
    text = _Number(english)
    text._number, text._digits = value, digits
    return text


def day(at: date, *, year: bool = False, clock: bool = False, weekday: bool = False) -> str:
    """The day of *at*, and if wanted its year, its weekday and the time of day."""
    english = f"{at:%a} " if weekday else ""
    text = _Day(f"{english}{at.day} {at:%b %Y}" if year else f"{english}{at.day} {at:%b}")
    text._at, text._skeleton = at, f"{'y' if year else ''}MMM{'E' if weekday else ''}d"
    if not clock:
        return text
    time = f"{at:%H:%M}"
    return gettext("%(day)s at %(clock)s", day=text, clock=time) if year else joined((text, time))


def clock_time(at: datetime, seen_from: datetime | None = None) -> str:
    """When something happens, in UTC; on pages the viewer's own clock takes its place.

    Args:
        seen_from: the day is named if it is another one than then; always with its year if none.
    """
    at = at.astimezone(UTC)
    form = moments.YEAR
    if seen_from is not None and at.year == seen_from.year:
        form = moments.CLOCK if at.date() == seen_from.date() else moments.DAY
    text = _Moment(_moment_words(at, form, ENGLISH))
    text._at, text._form = at, form
    return text


def _moment_words(at: datetime, form: int, chosen: Catalogue) -> str:
    clock = f"{at:%H:%M}{_ZONE}"
    if form == moments.CLOCK:
        return clock
    named = day(at, year=form == moments.YEAR)
    return f"{_into(named, chosen)} {clock}"


def to_keep(text: str) -> str:
    """*text* as plain English that can be read another day: its moments name their day."""
    if not isinstance(text, Text) or _ZONE not in text:
        return str(text)
    with moments.dating():
        return text.into(ENGLISH)


def in_sentence(label: str) -> str:
    """*label* as it stands in a sentence: "Host" as "host", and "TLS" as it is."""
    english = label[0].lower() + label[1:] if label[1:2].islower() else label
    text = _InSentence(english)
    text._label = label
    return text


def sentence(rest: str) -> str:
    """*rest* of a sentence as a whole one: with a capital, and a dot at its end."""
    text = _Sentence(_as_sentence(rest))
    text._rest = rest
    return text


def _as_sentence(rest: str) -> str:
    return f"{rest[:1].upper()}{rest[1:].rstrip('.')}."


def listed(names: Iterable[str]) -> str:
    """*names* as they stand in a sentence: "Host, Port and User name"."""
    kept = tuple(names)
    if len(kept) < 2:  # noqa: PLR2004 - there is nothing to put "and" between
        return joined(kept)
    return gettext("%(names)s and %(last)s", names=joined(kept[:-1], ", "), last=kept[-1])


def _filled(english: tuple[str, ...], count: int | None, values: dict[str, Any]) -> Text:
    text = _Filled(of_count(english, count) % values)
    text._english, text._count, text._values = english, count, values
    return text


def of_count(english: tuple[str, ...], count: int | None) -> str:
    """The English form for *count*; the only one where there is nothing to count."""
    return english[0] if count is None or count == 1 else english[-1]


def _into(value: Any, chosen: Catalogue) -> Any:
    if not isinstance(value, Text):
        return value
    return str(value) if chosen is ENGLISH and _ZONE not in value else value.into(chosen)


def current() -> Catalogue | None:
    """The catalogue of the page; ``None`` for English."""
    return chosen_by(current_app.extensions) if has_request_context() else None


def speak(tags: Iterable[str]) -> None:
    """Have this request's page in the first language of *tags* that recipients' pages are in.

    If there is none, it stays as it was. For recipients of mail, who know no setting of the host.
    """
    for tag in tags:
        known_language, found = for_readers(tag)
        if known_language:
            request.environ[_SPOKEN] = found
            return


def chosen_by(extensions: Mapping[str, Any]) -> Catalogue | None:
    """What the page chose, else Flask-Babel, in a request to an app with these extensions."""
    if _SPOKEN in request.environ:
        spoken: Catalogue | None = request.environ[_SPOKEN]
        return spoken
    locale = _locale(extensions)
    return _catalogue(locale) if locale is not None else None


def _locale(extensions: Mapping[str, Any]) -> Locale | None:
    babel = _babel(extensions)
    return babel.get_locale() if babel is not None else None


def _babel(extensions: Mapping[str, Any]) -> Any:
    # The host's library, not ours: it is there if the app has it.
    return sys.modules.get("flask_babel") if "babel" in extensions else None


class _Latest:
    """The catalogue that was asked for last: a page asks for the same one hundreds of times."""

    of: tuple[Locale | None, Catalogue | None] = (None, None)


def _catalogue(locale: Locale) -> Catalogue | None:
    known_locale, found = _Latest.of
    if locale is not known_locale:
        found = catalogue(locale)
        _Latest.of = (locale, found)
    return found


def spoken(value: Any, tag: str) -> Any:
    """*value* as plain data in the language *tag*, which no page need be in: for mail and webhooks.

    Args:
        value: a text, or what holds texts.
    """
    chosen = by_tag(tag)
    if isinstance(value, Text):
        return str(value) if chosen is None else value.into(chosen)
    if isinstance(value, Mapping):
        return {key: spoken(one, tag) for key, one in value.items()}
    return [spoken(one, tag) for one in value] if isinstance(value, list | tuple) else value


def language_of_app() -> str:
    """The language that the app's pages are in unless somebody chose another; ``""`` for English.

    It is Flask-Babel's default one: outside of a request nobody is there to be asked.
    """
    babel = _babel(current_app.extensions)
    return "" if babel is None else str(babel.get_babel().default_locale)


def wanted_language() -> str:
    """What whoever looks at a page wants, such as ``pt-BR``, though our pages may not be in it."""
    locale = _locale(current_app.extensions) if has_request_context() else None
    return str(locale).replace("_", "-") if locale is not None else ""


def language() -> str:
    """The language that our texts are in, for the attribute ``lang``."""
    chosen = current()
    return "en" if chosen is None else chosen.language
