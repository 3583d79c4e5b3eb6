"""What our texts are in other languages, read from ``translations/<language>/LC_MESSAGES``.

A catalogue is read when a page first asks for its language, and kept for the process. A text that
is missing, marked as fuzzy, or that could break a page is left out: English takes its place, alone.
"""

import gettext as standard
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_skeleton
from babel.numbers import get_decimal_symbol, get_group_symbol

from smtp_admin import resources

DOMAIN = "smtp_admin"
#: The few texts of pages for recipients, in the languages of shipped mails that have no more yet.
FOR_READERS = "smtp_admin_readers"
_LONGEST_TAG = 35
#: ``%(name)s`` in what code says, ``{name}`` in the tables of TOML.
_PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}")
_TAG = re.compile(r"</?\w[^>]*>")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The texts of one language, as one locale writes them.

    Attributes:
        language: for the ``lang`` attribute.
        texts: English → translated. *plurals* by the English singular, one for each form.
        singulars: English plural → its singular.
        form: which plural form belongs to a number.
        marks: what stands between thousands, and before decimals, for English comma and point.
    """

    language: str
    texts: Mapping[str, str]
    plurals: Mapping[str, tuple[str, ...]]
    singulars: Mapping[str, str]
    form: Callable[[int], int]
    marks: Mapping[int, str]
    locale: Locale

    def number(self, value: float, digits: int = 0) -> str:
        """*value* as this locale writes it."""
        return f"{value:,.{digits}f}".translate(self.marks)

    def day(self, at: date, skeleton: str) -> str:
        """The day of *at* with the parts of the *skeleton*, as this locale writes it."""
        return _day(self.locale, date(at.year, at.month, at.day), skeleton)


#: Of what is put together anew in English.
ENGLISH = Catalogue("en", {}, {}, {}, lambda _: 0, {}, Locale("en"))


def flaw(english: Iterable[str], translated: str) -> str:
    """Why *translated* must not take the place of *english* (its forms); empty if it may."""
    originals = tuple(english)
    allowed, used = _places(*originals), _places(translated)
    if not translated.strip():
        return "it is empty"
    if used - allowed:
        return f"it has {min(used - allowed)}, which the English text does not have"
    if allowed and not _can_be_filled(translated, allowed):
        return "a sign in it, % or a brace, is not doubled"
    tags = [sorted(_TAG.findall(one)) for one in originals]
    if sorted(_TAG.findall(translated)) not in tags:
        return "its HTML tags are not those of the English text"
    return ""


def _places(*texts: str) -> set[str]:
    return {found[0] for one in texts for found in _PLACEHOLDER.finditer(one)}


def _can_be_filled(text: str, places: Iterable[str]) -> bool:
    names = {one.strip("%({}").removesuffix(")s"): "" for one in places}
    by_percent = any(one.startswith("%") for one in places)
    try:
        return bool(text % names if by_percent else text.format(**names)) or True
    except (IndexError, KeyError, TypeError, ValueError):
        return False


@cache
def languages(domain: str = DOMAIN) -> frozenset[str]:
    """The languages there is a catalogue for, beside English."""
    folders = resources.folder("translations").glob(f"*/LC_MESSAGES/{domain}.po")
    return frozenset(one.parents[1].name for one in folders)


@cache
def catalogue(locale: Locale, domain: str = DOMAIN) -> Catalogue | None:
    """What *locale* reads; ``None`` if that is English, or there is nothing in its language."""
    name = str(locale)
    found = name if name in languages(domain) else locale.language
    if found not in languages(domain):
        return None
    texts, plurals, singulars, form = _read(found, domain)
    marks = {ord(","): get_group_symbol(locale), ord("."): get_decimal_symbol(locale)}
    return Catalogue(found.replace("_", "-"), texts, plurals, singulars, form, marks, locale)


@lru_cache(maxsize=256)
def for_readers(tag: str) -> tuple[bool, Catalogue | None]:
    """Whether pages for recipients can be in the language *tag*, and its catalogue.

    There is none for English, which needs none.
    """
    locale = _locale_of(tag)
    if locale is None:
        return False, None
    found = catalogue(locale) or catalogue(locale, FOR_READERS)
    return found is not None or locale.language == "en", found


@lru_cache(maxsize=256)
def by_tag(tag: str) -> Catalogue | None:
    """The whole catalogue for the language *tag*, such as ``de-AT``; ``None`` for English."""
    locale = _locale_of(tag)
    return None if locale is None else catalogue(locale)


def _locale_of(tag: str) -> Locale | None:
    """What babel knows *tag* as, or its language alone; ``None`` if it knows neither."""
    if not 0 < len(tag) <= _LONGEST_TAG:
        return None
    name = tag.replace("_", "-")
    try:
        return Locale.parse(name, sep="-")
    except (UnknownLocaleError, ValueError):
        language = name.partition("-")[0]
        return _locale_of(language) if language != name else None


@lru_cache(maxsize=1024)
def _day(locale: Locale, at: date, skeleton: str) -> str:
    # One page shows the same few days many times.
    return str(format_skeleton(skeleton, at, locale=locale))


@cache
def _read(
    language: str,
    domain: str,
) -> tuple[dict[str, str], dict[str, tuple[str, ...]], dict[str, str], Callable[[int], int]]:
    from babel.messages.pofile import read_po  # only where a page is not in English

    path = resources.folder("translations") / language / "LC_MESSAGES" / f"{domain}.po"
    with path.open("rb") as file:
        read = read_po(file, locale=language)
    texts: dict[str, str] = {}
    plurals: dict[str, tuple[str, ...]] = {}
    singulars: dict[str, str] = {}
    for one in read:
        if not one.id or one.fuzzy:
            continue
        english = one.id if isinstance(one.id, list | tuple) else (one.id,)
        forms = one.string if isinstance(one.string, list | tuple) else (one.string or "",)
        if any(flaw(english, text) for text in forms):
            continue
        forms = [_with_edges(english[0], text) for text in forms]
        if len(english) > 1:
            plurals[english[0]] = tuple(forms)
            singulars[english[1]] = english[0]
        else:
            texts[english[0]] = forms[0]
    return texts, plurals, singulars, standard.c2py(read.plural_expr)


def _with_edges(english: str, translated: str) -> str:
    """*translated* with the blanks around it that the English text has: they are easily lost."""
    start = len(english) - len(english.lstrip())
    return english[:start] + translated.strip() + english[len(english.rstrip()) :]
