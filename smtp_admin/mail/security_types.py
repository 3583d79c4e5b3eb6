"""Flask-Security's mails as e-mail types: one for each of its templates, named after it.

No text greets by name: whoever registers somebody else's address chooses the name, and with it a
sentence of a mail that comes from us.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask

from smtp_admin.installation import NAME
from smtp_admin.mail.types import TYPES, EmailType, Registry
from smtp_admin.translation import gettext

#: Marks an app whose Flask-Security sends through us before the plugin itself is there.
_WANTED = "smtp_admin_security_mail"
_URL = "https://example.com/"
#: What a template may use: its meaning, and a sample.
_VARIABLES: dict[str, tuple[str, Any]] = {
    "app_name": (gettext("the application"), "Example"),
    "subject": (gettext("the app's own subject; empty where it has Flask-Security's"), ""),
    "email": (gettext("the address of the account"), "sam@example.com"),
    "within": (gettext("how long the link or code works"), "2 hours"),
    "code": (gettext("the code to type in"), "123456"),
    "username": (gettext("the name that is used to sign in; may be empty"), "sam"),
    "link": (gettext("the link that confirms the new address"), f"{_URL}change-email/abc"),
    "login_link": (gettext("the link that signs in; may be empty"), f"{_URL}login/abc"),
    "reset_link": (gettext("the link that sets a new password; may be empty"), f"{_URL}reset/abc"),
    "confirmation_link": (gettext("the link that confirms the address; may be empty"),
                          f"{_URL}confirm/abc"),
    "recovery_link": (gettext("the page that asks for a new password; may be empty"),
                      f"{_URL}reset"),
    "extra": (gettext("what the app's own context processor for mail adds"), {}),
}  # fmt: skip

#: What may be empty: the app may not use it, or this user may not have it.
_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(
        ("subject", "username", "login_link", "reset_link", "confirmation_link", "recovery_link"),
        "",
    ),
    "extra": {},
}


@dataclass(frozen=True, slots=True)
class SecurityMail:
    """One of Flask-Security's mails.

    Attributes:
        type_: its e-mail type, named ``security_`` and then as its template.
        template: which of ``SECURITY_…`` names its template.
        subject: which names its subject, and what Flask-Security has there.
    """

    type_: EmailType
    template: str
    subject: tuple[str, str]


def _mail(
    name: str,
    label: str,
    template: str,
    subject: tuple[str, str],
    *variables: str,
    **more: Any,
) -> SecurityMail:
    return SecurityMail(_type(name, label, *variables, **more), template, subject)


def _type(name: str, label: str, *variables: str, **more: Any) -> EmailType:
    names = ("app_name", "subject", "email", *variables, "extra")
    return EmailType(
        name=f"security_{name}",
        label=label,
        variables={one: _VARIABLES[one][0] for one in names},
        sample={one: _VARIABLES[one][1] for one in names},
        defaults={name: one for name, one in _DEFAULTS.items() if name in names},
        point=[one for one in variables if one in _POINTS],
        shipped=True,
        **more,
    )


#: What a mail of these is for; of ``username`` only the one that brings it back.
_POINTS = frozenset({"code", "link", "login_link", "reset_link", "confirmation_link"})
_LINK: dict[str, Any] = {"priority": "urgent", "sensitive": True}
_REGISTER = ("EMAIL_SUBJECT_REGISTER", "Welcome")

SECURITY_MAILS = (
    _mail("welcome", gettext("Welcome after registration"), "REGISTER_EMAIL_TEMPLATE", _REGISTER,
          "confirmation_link", expires_hours=48, **_LINK),
    _mail("welcome_existing", gettext("Registration with a known address"),
          "REGISTER_EMAIL_EXISTING_TEMPLATE", _REGISTER,
          "username", "reset_link", "confirmation_link", expires_hours=24, **_LINK),
    _mail("welcome_existing_username", gettext("Registration with a user name that is taken"),
          "REGISTER_EMAIL_EXISTING_USERNAME_TEMPLATE", _REGISTER, "username", priority="urgent"),
    _mail("confirmation_instructions", gettext("Confirmation of an address"),
          "EMAIL_TEMPLATE_CONFIRM", ("EMAIL_SUBJECT_CONFIRM", "Please confirm your email"),
          "confirmation_link", "within", expires_hours=48, **_LINK),
    _mail("login_instructions", gettext("Link that signs in"), "EMAIL_TEMPLATE_PASSWORDLESS",
          ("EMAIL_SUBJECT_PASSWORDLESS", "Login instructions"), "login_link", "within", **_LINK),
    _mail("reset_instructions", gettext("Link to a new password"), "EMAIL_TEMPLATE_PASSWORD_RESET",
          ("EMAIL_SUBJECT_PASSWORD_RESET", "Password reset instructions"),
          "reset_link", "within", **_LINK),
    _mail("reset_notice", gettext("Password was reset"), "EMAIL_TEMPLATE_PASSWORD_RESET_NOTICE",
          ("EMAIL_SUBJECT_PASSWORD_NOTICE", "Your password has been reset"), "recovery_link"),
    _mail("change_notice", gettext("Password was changed"), "EMAIL_TEMPLATE_PASSWORD_CHANGE_NOTICE",
          ("EMAIL_SUBJECT_PASSWORD_CHANGE_NOTICE", "Your password has been changed"),
          "recovery_link"),
    _mail("change_email_instructions", gettext("Confirmation of a new address"),
          "CHANGE_EMAIL_EMAIL_TEMPLATE",
          ("CHANGE_EMAIL_SUBJECT", "Confirm your new email address"),
          "link", "within", expires_hours=2, **_LINK),
    _mail("change_username_notice", gettext("User name was changed"),
          "CHANGE_USERNAME_EMAIL_TEMPLATE",
          ("EMAIL_SUBJECT_USERNAME_CHANGE_NOTICE", "Your username has been changed"), "username"),
    _mail("two_factor_instructions", gettext("Code of the second factor"),
          "TWO_FACTOR_EMAIL_TEMPLATE", ("EMAIL_SUBJECT_TWO_FACTOR", "Two-Factor Login"),
          "code", "within", **_LINK),
    _mail("two_factor_rescue", gettext("Someone cannot use the second factor"),
          "TWO_FACTOR_RESCUE_EMAIL_TEMPLATE",
          ("EMAIL_SUBJECT_TWO_FACTOR_RESCUE", "Two-Factor Rescue")),
    _mail("us_instructions", gettext("Code or link that signs in"), "US_EMAIL_TEMPLATE",
          ("US_EMAIL_SUBJECT", "Verification Code"), "code", "login_link", "within", **_LINK),
    _mail("username_recovery", gettext("Forgotten user name"), "USERNAME_RECOVERY_EMAIL_TEMPLATE",
          ("EMAIL_SUBJECT_USERNAME_RECOVERY", "Your requested username"),
          "username", priority="urgent"),
)  # fmt: skip

#: What the app sends by Flask-Security from a template of its own, ready as it is; nobody knows
#: what is in it.
OTHER = _type("other", gettext("Another mail of Flask-Security"), **_LINK)


def make_known(app: Flask) -> None:
    """Let *app* know these types, now or when the plugin is put into it."""
    here = app.extensions.get(NAME)
    if here is None:
        app.extensions[_WANTED] = True
    else:
        add_to(TYPES.of(here))


def are_wanted(app: Flask) -> bool:
    """Whether Flask-Security was there first."""
    return _WANTED in app.extensions


def add_to(registry: Registry) -> None:
    """Make them known; one that the host registered under such a name stays the host's."""
    known = {one.name for one in registry}
    for one in SECURITY_MAILS:
        if one.type_.name not in known:
            registry.add(one.type_)


def others(registry: Registry) -> Iterator[EmailType]:
    """:data:`OTHER`, where Flask-Security's mails are known."""
    if SECURITY_MAILS[0].type_.name in {one.name for one in registry}:
        yield OTHER


def names() -> Iterator[str]:
    """What each is called."""
    yield from (one.type_.name for one in SECURITY_MAILS)
    yield OTHER.name
