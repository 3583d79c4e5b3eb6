"""Templates in files: found as Flask finds pages, so that a host has its own beside ours."""

from collections.abc import Callable
from pathlib import Path
from weakref import WeakKeyDictionary

from flask import current_app
from jinja2 import BaseLoader, TemplateNotFound

from smtp_admin import resources

#: By loader, so that each app has its own: a template's text, and whether it still says so.
_sources: WeakKeyDictionary[BaseLoader, dict[str, tuple[str, Callable[[], bool] | None]]] = (
    WeakKeyDictionary()
)


def path_of(type_name: str, part: str) -> str:
    """Where the file of a part lies in a template folder."""
    return f"smtp_admin/email/{type_name}/{part}"


def source(name: str) -> str | None:
    """The text of the file *name*, kept as Flask keeps pages: until the file changes."""
    loader = current_app.jinja_env.loader
    if loader is None:
        return None
    kept = _sources.setdefault(loader, {})
    text, is_current = kept.get(name, ("", None))
    if is_current is not None and is_current():
        return text
    try:
        text, _, is_current = loader.get_source(current_app.jinja_env, name)
    except TemplateNotFound:
        return None
    if is_current is not None:
        kept[name] = (text, is_current)
    return text


def is_apps_own(type_name: str, part: str) -> bool | None:
    """Whether a part's file is the app's, not ours; ``None`` if there is none."""
    loader = current_app.jinja_env.loader
    if loader is None:
        return None
    try:
        file = loader.get_source(current_app.jinja_env, path_of(type_name, part))[1]
    except TemplateNotFound:
        return None
    return file is None or not Path(file).is_relative_to(resources.folder("templates"))
