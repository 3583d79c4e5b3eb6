"""Whose text one of Flask-Security's mails has: the app's own, or what Flask-Security ships."""

from pathlib import Path

import flask_security
from flask import current_app
from jinja2 import TemplateNotFound

from smtp_admin.mail import templates
from smtp_admin.mail.types import EmailType
from smtp_admin.mail.wording import candidates

_THEIRS = Path(flask_security.__file__).parent


def is_ours(type_: EmailType, template: str, language: str) -> bool:
    """Whether our template says it, or the app's of ours; else what Flask-Security has rendered."""
    if has_liquid(type_):
        return True
    known = set(templates.languages(type_)) if type_.shipped else set()
    speaks = any(one in known for one in candidates(language))
    return speaks and not is_apps_own(type_, template)


def has_liquid(type_: EmailType) -> bool:
    """Whether the app has a file of its own for one of our types."""
    return any(templates.is_apps_own(type_, part) for part in ("text.liquid", "html.liquid"))


def is_apps_own(type_: EmailType, template: str) -> bool:
    """Whether Flask-Security has rendered a template of the app, and we have no nearer one.

    Args:
        template: Flask-Security's name for it, without ``.txt`` or ``.html``.
    """
    if has_liquid(type_):
        return False
    render = current_app.extensions["security"].render_template
    if not getattr(render, "__module__", "").startswith("flask_security"):
        return True  # another engine than Jinja
    # Before Flask-Security 5.8 the name came without its folder.
    names = (template, f"security/email/{template}")
    return any(_is_outside(f"{name}.{kind}") for name in names for kind in ("txt", "html"))


def _is_outside(name: str) -> bool:
    loader = current_app.jinja_env.loader
    if loader is None:
        return False
    try:
        file = loader.get_source(current_app.jinja_env, name)[1]
    except TemplateNotFound:
        return False
    return file is None or not Path(file).is_relative_to(_THEIRS)


def language_of_reader() -> str:
    """Such as ``en`` or ``pt-BR``; Flask-Security has more languages than our texts for it."""
    if "babel" not in current_app.extensions:
        return "en"
    from flask_babel import get_locale

    locale = get_locale()
    return "en" if locale is None else str(locale).replace("_", "-")
