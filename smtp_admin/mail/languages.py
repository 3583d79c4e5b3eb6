"""Languages as templates know them: small letters, such as ``de`` or ``pt-br``; and their names."""

import re
from collections.abc import Iterable

from babel import Locale

from smtp_admin.errors import InvalidInput
from smtp_admin.translation import as_shown, current, gettext

#: Language, script, and country or region (RFC 5646); what templates are told apart by.
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(-(?P<script>[a-z]{4}))?(-(?P<place>[a-z]{2}|[0-9]{3}))?"
)


def clean_language(text: str) -> str:
    """A language as it is stored.

    Raises:
        InvalidInput: it is none, or none that is known; names the field ``language``.
    """
    name = text.strip().replace("_", "-").lower()
    if name_of(name, _ENGLISH) == name:
        words = gettext("Enter the code of a language, such as it, nl or pt-br.")
        raise InvalidInput(fields={"language": [words]})
    return name


def language_name(language: str) -> str:
    """*language* in the language of the page, such as ``Italian`` or ``Portuguese (Brazil)``."""
    chosen = current()
    return name_of(language, chosen.locale if chosen else _ENGLISH)


def in_order(languages: Iterable[str]) -> list[str]:
    """By what they are called: they stand where they stood, whichever is chosen, on every page."""
    return sorted(languages, key=lambda one: (as_shown(language_name(one)).casefold(), one))


def name_of(language: str, locale: Locale) -> str:
    """What readers of *locale* call *language*; itself if a part of it is unknown."""
    found = _TAG.fullmatch(language)
    if found is None:
        return language
    script, place = (found["script"] or "").title(), (found["place"] or "").upper()
    name = locale.languages.get(found["language"])
    parts = [
        named.get(code) for named, code in ((locale.scripts, script), (locale.territories, place))
        if code
    ]  # fmt: skip
    if name is None or None in parts:
        return language
    return f"{name} ({', '.join(map(str, parts))})" if parts else str(name)


_ENGLISH = Locale("en")
