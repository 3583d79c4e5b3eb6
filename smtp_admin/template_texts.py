"""The texts of templates: what they call, under names of our own, and what it costs them.

A page calls these hundreds of times, so what can be done once for each literal is.
"""

from functools import cache
from typing import Any

from flask import Flask, has_request_context
from markupsafe import Markup, escape

from smtp_admin.catalogues import Catalogue
from smtp_admin.read_back import kept, read_back
from smtp_admin.translation import (
    chosen_by,
    day,
    joined,
    language,
    number,
    of_count,
)


def add_globals(app: Flask) -> None:
    """Give them to the templates, under names of our own: the host's ``_`` stays its own."""
    texts = _OfTemplates(app)
    app.jinja_env.globals.update(
        smtp_admin_t=texts.plain,
        smtp_admin_tn=texts.counted,
        smtp_admin_th=texts.markup,
        smtp_admin_known=read_back,
        smtp_admin_moments=kept,
        smtp_admin_number=texts.number,
        smtp_admin_joined=joined,
        smtp_admin_day=day,
        smtp_admin_language=language,
    )


class _OfTemplates:
    """The texts of templates, which are literals, so that each need be escaped only once.

    A template may be rendered outside of a request, by a host's test for example: in English.
    """

    def __init__(self, app: Flask) -> None:
        self._extensions = app.extensions

    def plain(self, english: str, /, **values: Any) -> Markup:
        """A text for text and for attributes in double quotes."""
        chosen = self._catalogue()
        text = english if chosen is None else chosen.texts.get(english, english)
        return _filled_in(_with_entities(text), values) if values else _escaped(text)

    def counted(self, one: str, many: str, count: int, /, **values: Any) -> Markup:
        """One of two texts, as :func:`ngettext`."""
        chosen = self._catalogue()
        text = of_count((one, many), count)
        if chosen is not None:
            forms = chosen.plurals.get(one, ())
            form = chosen.form(count)
            text = forms[form] if form < len(forms) else text
        return _filled_in(_with_entities(text), {"number": number(count), **values})

    def markup(self, english: str, /, **values: Any) -> Markup:
        """A text with HTML tags in it; the values are escaped."""
        chosen = self._catalogue()
        text = english if chosen is None else chosen.texts.get(english, english)
        return _filled_in(text, values)

    def number(self, value: float, digits: int = 0) -> Markup:
        """*value* with its thousands apart."""
        chosen = self._catalogue()
        english = f"{value:,.{digits}f}"
        return escape(english if chosen is None else chosen.number(value, digits))

    def _catalogue(self) -> Catalogue | None:
        return chosen_by(self._extensions) if has_request_context() else None


def _filled_in(text: str, values: dict[str, Any]) -> Markup:
    filled = text % {name: escape(one) for name, one in values.items()} if values else text
    return Markup(filled)  # noqa: S704 - a text of ours, with escaped values


@cache
def _with_entities(text: str) -> str:
    """*text*, which is ours, with nothing in it that HTML would take for its own."""
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(sign, entity)
    return text


@cache
def _escaped(text: str) -> Markup:
    return Markup(_with_entities(text))  # noqa: S704 - escaped just now
