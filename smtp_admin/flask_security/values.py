"""What Flask-Security says in its context, as plain values for our templates."""

import re
from datetime import timedelta
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.units import format_unit
from flask import current_app
from flask_security import url_for_security

from smtp_admin.mail.security_types import SECURITY_MAILS, SecurityMail

#: How Flask-Security writes a length of time, in its settings and in mails.
_SPAN = re.compile(r"(\d{1,6}) (second|minute|hour|day|week|month|year)s?", re.ASCII)
_PLAIN = (str, int, float, bool)
#: In the context of every mail, and no business of a template.
_OURS = {"user", "security"}


def find_mail(template: str) -> SecurityMail | None:
    """Which mail has *template*, by the app's configuration; ``None`` if it is none of ours.

    Before Flask-Security 5.8 the templates had fixed names in a fixed folder.
    """
    for one in SECURITY_MAILS:
        fixed = one.type_.name.removeprefix("security_")
        if current_app.config.get(f"SECURITY_{one.template}", fixed) == template:
            return one
    return None


def values_of(
    mail: SecurityMail, subject: str, context: dict[str, Any], language: str = ""
) -> dict[str, Any]:
    """A value for each variable of *mail*'s type; text is empty where there is nothing.

    Args:
        language: that of the mail, which lengths of time are written in.
    """
    user = context.get("user")
    special = {
        "subject": subject if _is_apps_subject(mail) else "",
        "email": context.get("email") or getattr(user, "email", None),
        "username": context.get("username") or getattr(user, "username", None),
        "code": context.get("login_token") or context.get("token"),
        "within": _in_language(context.get("within") or _login_within(mail), language),
        "recovery_link": _recovery_link() if "recovery_link" in mail.type_.variables else "",
        "extra": {
            name: one
            for name, one in context.items()
            if name not in _OURS and isinstance(one, _PLAIN)
        },
    }
    wanted = mail.type_.variables.keys() - {"app_name"}
    return {name: special.get(name, context.get(name)) or "" for name in wanted} | {
        "extra": special["extra"]
    }


def _is_apps_subject(mail: SecurityMail) -> bool:
    key, theirs = mail.subject
    return bool(current_app.config.get(f"SECURITY_{key}") != theirs)


def _in_language(span: Any, language: str) -> str:
    """*span*, such as ``2 hours``, in *language*; as it is, if it is written in another way."""
    text = str(span)
    found = _SPAN.fullmatch(text)
    if found is None or not language:
        return text
    try:
        locale = Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return text
    return str(format_unit(int(found[1]), found[2], length="long", locale=locale))


def _login_within(mail: SecurityMail) -> str:
    """How long a link that signs in works; Flask-Security does not say it in the mail."""
    within = current_app.config.get("SECURITY_LOGIN_WITHIN")
    if mail.template != "EMAIL_TEMPLATE_PASSWORDLESS" or within is None:
        return ""
    return in_words(within) if isinstance(within, timedelta) else str(within)


def _recovery_link() -> str:
    if not current_app.extensions["security"].recoverable:
        return ""
    try:
        return str(url_for_security("forgot_password", _external=True))
    except RuntimeError:  # outside a request, where the app does not know its own address
        return ""


def in_words(span: timedelta) -> str:
    """*span* in the largest unit that it is a multiple of."""
    seconds = int(span.total_seconds())
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds % size == 0 and seconds:
            count = seconds // size
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{seconds} seconds"
