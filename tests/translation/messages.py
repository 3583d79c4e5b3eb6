"""Brings the catalogues up to date with the texts of the sources: ``make messages``.

There are two: of everything, and of the few texts of pages for recipients, in more languages.
Texts are the literals of ``gettext`` and ``ngettext`` in Python, of ``smtp_admin_t`` and its like
in templates, and what the tables of TOML say to people. ``make messages LANGUAGE=fr`` begins a
new catalogue.
"""

import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from smtp_admin.catalogues import DOMAIN, FOR_READERS, languages
from smtp_admin.mail.types import SHIPPED
from smtp_admin.providers.reading import TEXTS
from smtp_admin.resources import folder

ROOT = Path(__file__).resolve().parents[2]
#: Function → which of its arguments are texts; ``None`` for the first.
KEYWORDS: dict[str, Any] = {
    "gettext": None,
    "ngettext": (1, 2),
    "smtp_admin_t": None,
    "smtp_admin_th": None,
    "smtp_admin_tn": (1, 2),
}
#: Keys of the files of TOML whose values people read: of a provider, of e-mail types, and of
#: causes and replies, whose other keys are conditions.
_OF_PROVIDER = TEXTS
_OF_TYPES = frozenset({"label", "about", "means", "for_readers"})
_OF_TABLE = frozenset({"what", "do", "title", "means", "first", "reason"})
#: Tables in which every value is a text.
_WHOLE = ("groups", "reasons")
_KEYS = {"shipped.toml": _OF_TYPES}
Message = str | tuple[str, ...]
#: Where the texts of pages for recipients stand.
_OF_READERS = (
    "smtp_admin/mail/links.py",
    "smtp_admin/mail/shipped.toml",
    "smtp_admin/pages/reminders.py",
    "smtp_admin/pages/sandbox_note.py",
    "smtp_admin/renewals/on_demand.py",
    "smtp_admin/renewals/unsubscribe.py",
    "templates/smtp_admin/arrival.html",
    "templates/smtp_admin/error.html",
    "templates/smtp_admin/renewals/button.html",
    "templates/smtp_admin/renewals/remind_me.html",
    "templates/smtp_admin/renewals/unsubscribe.html",
    "templates/smtp_admin/unsubscribe/ask.html",
    "templates/smtp_admin/unsubscribe/preferences.html",
    "templates/smtp_admin/unsubscribe/preview.html",
    "templates/smtp_admin/unsent.html",
)


def path_of(language: str, domain: str = DOMAIN) -> Path:
    """The catalogue of a language."""
    return folder("translations") / language / "LC_MESSAGES" / f"{domain}.po"


def texts(domain: str = DOMAIN) -> dict[Message, list[str]]:
    """Every text of the sources, and in which files it is."""
    found: dict[Message, list[str]] = {}
    for path in _sources() if domain == DOMAIN else [ROOT / one for one in _OF_READERS]:
        name = path.relative_to(ROOT).as_posix()
        of_kinds = domain != DOMAIN and path.suffix == ".toml"
        for message in _kinds_of_notice() if of_kinds else messages_of(path):
            places = found.setdefault(message, [])
            if name not in places:
                places.append(name)
    return found


def _kinds_of_notice() -> Iterator[Message]:
    """What those who get notices call them; the other texts of types are for those who send."""
    return (str(one.readers_label) for one in SHIPPED if one.notice)


def updated(language: str, domain: str = DOMAIN) -> Catalog:
    """The catalogue of *language* with exactly the texts of the sources."""
    path = path_of(language, domain)
    old = Catalog(language, DOMAIN)
    if path.exists():
        with path.open("rb") as file:
            old = read_po(file, language)
    known = {_key(one.id): one for one in old if one.id}
    new = Catalog(
        language, DOMAIN, project=DOMAIN, version="1", header_comment=_HEADER, fuzzy=False,
        creation_date=_NO_DATE, revision_date=_NO_DATE, last_translator=DOMAIN,
        language_team=language, msgid_bugs_address=DOMAIN,
    )  # fmt: skip
    for message, places in texts(domain).items():
        before = known.get(_key(message))
        same = before is not None and isinstance(before.id, str) == isinstance(message, str)
        new.add(
            message,
            before.string if same and before else None,
            [(place, 0) for place in places],
            flags=before.flags - {"python-format", "python-brace-format"} if before else (),
        )
    return new


def written(catalog: Catalog) -> bytes:
    """The file of *catalog*; no line numbers, which would change with every line of code."""
    file = BytesIO()
    write_po(file, catalog, width=99, omit_header=False, include_lineno=False, sort_by_file=True)
    lines = file.getvalue().splitlines(keepends=True)
    return b"".join(one for one in lines if not one.startswith(b'"Generated-By:'))


_HEADER = "# Texts of smtp_admin. Brought up to date with the sources by: make messages"
#: A date would make every update a change.
_NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)


def _key(message: Any) -> str:
    return message[0] if isinstance(message, list | tuple) else str(message)


def _sources() -> Iterator[Path]:
    yield from sorted((ROOT / "smtp_admin").rglob("*.py"))
    yield from sorted((ROOT / "templates" / "smtp_admin").rglob("*.html"))
    yield from sorted((ROOT / "smtp_admin").rglob("*.toml"))


def messages_of(path: Path) -> Iterator[Message]:
    """The texts of one file."""
    if path.suffix == ".toml":
        if path.parent.name != "words":  # the texts of mails, in languages of their own
            keys = _KEYS.get(path.name, _OF_TABLE)
            keys = _OF_PROVIDER if path.parent.name == "providers" else keys
            yield from _of_table(tomllib.loads(path.read_text("utf-8")), keys)
        return
    method = "python" if path.suffix == ".py" else "jinja2.ext:babel_extract"
    with path.open("rb") as file:
        for _, message, *_ in extract(method, file, KEYWORDS):
            yield message if isinstance(message, str) else tuple(message)


def _of_table(value: Any, keys: frozenset[str], key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, one in value.items():
            if name == "when" and isinstance(one, dict):
                continue  # patterns, by the names of fields
            if name == "sample":
                continue  # values of an example
            of_table = name in {"causes", "replies"}
            inside = key if key in _WHOLE else name
            yield from _of_table(one, _OF_TABLE if of_table else keys, inside)
    elif isinstance(value, list):
        for one in value:
            yield from _of_table(one, keys, key)
    elif isinstance(value, str) and (key in keys or key in _WHOLE):
        yield value


def _is_done(string: Any) -> bool:
    return bool(string) and (isinstance(string, str) or all(string))


def main() -> None:
    """Write every catalogue, or begin the one that is named."""
    wanted = [(one, DOMAIN) for one in sys.argv[1:] or sorted(languages())]
    wanted += [(one, FOR_READERS) for one in sorted(languages(FOR_READERS)) if not sys.argv[1:]]
    for language, domain in wanted:
        path = path_of(language, domain)
        path.parent.mkdir(parents=True, exist_ok=True)
        catalog = updated(language, domain)
        path.write_bytes(written(catalog))
        left = sum(one.id != "" and not _is_done(one.string) for one in catalog)
        print(f"{path.relative_to(ROOT)}: {len(catalog)} texts, {left} not translated")  # noqa: T201


if __name__ == "__main__":
    main()
