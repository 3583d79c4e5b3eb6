"""Render an e-mail type: Liquid templates for subject, text and HTML.

Liquid, not Jinja, because partners will edit them: it sees plain data only, calls nothing, and
has limits for loops and output.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from flask import current_app
from jinja2 import BaseLoader, TemplateNotFound

from smtp_admin import resources
from smtp_admin.errors import MessageError
from smtp_admin.mail.inlining import inlined, inlined_template
from smtp_admin.mail.types import EmailType
from smtp_admin.smtp.address import check_header_text
from smtp_admin.translation import Text

#: By loader, so that each app has its own: a template's text, and whether it still says so.
_sources: WeakKeyDictionary[BaseLoader, dict[str, tuple[str, Callable[[], bool] | None]]] = (
    WeakKeyDictionary()
)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's three parts; ``html`` may be empty."""

    subject: str
    text: str
    html: str


def render(type_: EmailType, context: Mapping[str, Any]) -> Rendered:
    """The subject, text and HTML of *type_* for *context*.

    Raises:
        MessageError: a variable is missing, a template is wrong, or a value cannot stand where
            it would.
    """
    data = plain(context)
    missing = type_.variables.keys() - data.keys()
    if missing:
        raise MessageError(
            f"The e-mail type {type_.name} needs these values too: {', '.join(sorted(missing))}."
        )
    subject = " ".join(_render(type_, "subject.liquid", data, escape=False).split())
    text = _render(type_, "text.liquid", data, escape=False)
    html = _render_html(type_, data)
    try:
        check_header_text(subject)
    except ValueError as error:
        raise MessageError(f"The subject of {type_.name}: {error}") from error
    return Rendered(subject, text, html)


def _render_html(type_: EmailType, data: Mapping[str, Any]) -> str:
    """The HTML part with its styles in its tags, where many mail programs need them."""
    source = _source(f"smtp_admin/email/{type_.name}/html.liquid")
    ready = inlined_template(source) if source and not _has_markup(data) else None
    if ready is not None:
        # A mistake is found again below, where its line is the one in the file.
        with suppress(MessageError):
            return _fill(ready, data, escape=True)
    html = _render(type_, "html.liquid", data, escape=True)
    return inlined(html) if html else ""


def _has_markup(value: Any) -> bool:
    """Whether HTML comes in with the values, to which the styles apply as well."""
    if isinstance(value, str):
        return hasattr(value, "__html__")
    if isinstance(value, dict):
        return any(map(_has_markup, value.values()))
    return isinstance(value, list) and any(map(_has_markup, value))


def plain(value: Any, depth: int = 0) -> Any:
    """*value* as plain data: numbers, text, lists and dictionaries, nothing that can act.

    Raises:
        MessageError: it is nested too deeply.
    """
    if depth > 10:  # noqa: PLR2004 - deeper than any mail
        raise MessageError("The values of a mail are nested too deeply.")
    if isinstance(value, Text):
        return str(value)  # whoever looks at a page, a mail is in its own language
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one, depth + 1) for one in value]
    return str(value)


def _render(type_: EmailType, part: str, data: Mapping[str, Any], *, escape: bool) -> str:
    source = _source(f"smtp_admin/email/{type_.name}/{part}")
    if source is None:
        if part == "html.liquid":
            return ""
        raise MessageError(f"There is no template smtp_admin/email/{type_.name}/{part}.")
    try:
        return _fill(source, data, escape=escape)
    except MessageError as error:
        raise MessageError(f"The template {type_.name}/{part}: {error.message}") from error


def _fill(source: str, data: Mapping[str, Any], *, escape: bool) -> str:
    # Liquid takes long to import, and most processes render no mail.
    from smtp_admin.mail.liquid import fill

    return fill(source, data, escape=escape)


def _source(name: str) -> str | None:
    # Found as Flask finds page templates, so a host overrides ours by having its own, and kept as
    # Flask keeps them: until the file changes.
    loader = current_app.jinja_env.loader
    if loader is None:
        return None
    kept = _sources.setdefault(loader, {})
    source, is_current = kept.get(name, ("", None))
    if is_current is not None and is_current():
        return source
    try:
        source, _, is_current = loader.get_source(current_app.jinja_env, name)
    except TemplateNotFound:
        return None
    if is_current is not None:
        kept[name] = (source, is_current)
    return source


def is_apps_own(type_: EmailType, part: str) -> bool | None:
    """Whether a part's template is the app's, not ours; ``None`` if there is none."""
    loader = current_app.jinja_env.loader
    if loader is None:
        return None
    name = f"smtp_admin/email/{type_.name}/{part}"
    try:
        file = loader.get_source(current_app.jinja_env, name)[1]
    except TemplateNotFound:
        return None
    return file is None or not Path(file).is_relative_to(resources.folder("templates"))
