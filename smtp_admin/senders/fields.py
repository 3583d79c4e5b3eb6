"""THE table of sender fields: what all senders have, and what each driver adds.

The form, the JSON of tests, the environment, revisions, history, rollback, the wizard, `explain`
and the table in the docs all follow it. To add a field, add it here or to its driver.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from smtp_admin.senders.cleaning import (
    DEFAULT_CONNECTIONS,
    clean_connections,
    clean_fallbacks,
    clean_from_email,
    clean_from_name,
    clean_headers,
    clean_limit,
)
from smtp_admin.translation import gettext, said_by
from smtp_admin.transports.fields import Field, Variable
from smtp_admin.transports.registry import driver, drivers


def _clean_driver(text: str) -> str:
    name = text.strip().lower() or "smtp"
    try:
        return driver(name).name
    except LookupError as error:
        raise ValueError(said_by(error)) from error


def _words_of_driver(value: Any) -> str:
    try:
        return driver(str(value)).label
    except LookupError:  # a host's, which is not there any more
        return str(value)


def _words_of_limit(value: Any) -> str:
    return gettext("no limit") if value is None else f"{value:,}"


def _text_of_headers(value: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{name}: {text}" for name, text in value)


DRIVER = Field(
    "driver",
    gettext("Sending method"),
    _clean_driver,
    default="smtp",
    kind="choice",
    destination=True,
    option="--driver",
    words=_words_of_driver,
    column=True,
)
#: What every sender has, in the order of the page.
COMMON: tuple[Field, ...] = (
    Field(
        "from_email",
        gettext("From address"),
        clean_from_email,
        help=gettext("The sender address of the mails. The server must allow it for this login."),
        kind="email",
        required=gettext("Enter the from address."),
        variables=(Variable("SMTP_FROM_EMAIL"), Variable("SMTP_FROM")),
        option="--from-email",
        placeholder="noreply@example.com",
        column=True,
    ),
    Field(
        "from_name",
        gettext("From name"),
        clean_from_name,
        help=gettext(
            "At most 64 characters. If empty: the partner's name, or for the "
            "system the application's name."
        ),
        variables=(Variable("SMTP_FROM_NAME"),),
        option="--from-name",
        column=True,
    ),
    Field(
        "reply_to",
        gettext("Reply-to address"),
        clean_from_email,
        help=gettext("Where replies go, such as support@…. If empty, the from address."),
        kind="email",
        place="more",
        option="--reply-to",
        placeholder="support@example.com",
        column=True,
    ),
    Field(
        "envelope_from",
        gettext("Envelope sender"),
        clean_from_email,
        help=gettext("Where bounces go. If empty, the from address."),
        kind="email",
        place="more",
        option="--envelope-from",
        placeholder="bounces@example.com",
        column=True,
    ),
    Field(
        "max_connections",
        gettext("Connections at a time"),
        clean_connections,
        help=gettext("In all workers together. Providers often allow 5 to 20."),
        default=DEFAULT_CONNECTIONS,
        kind="number",
        place="more",
        option="--max-connections",
        column=True,
    ),
    Field(
        "max_per_hour",
        gettext("Mails per hour, at most"),
        clean_limit,
        help=gettext(
            "The provider's limit. Mail over it waits and is sent later. If empty, no limit."
        ),
        default=None,
        kind="number",
        place="more",
        variables=(Variable("MAX_EMAILS_PER_HOUR"),),
        option="--max-per-hour",
        words=_words_of_limit,
        placeholder=gettext("no limit"),
        column=True,
    ),
    Field(
        "max_per_day",
        gettext("Mails per day, at most"),
        clean_limit,
        help=gettext("In any 24 hours. If empty, no limit."),
        default=None,
        kind="number",
        place="more",
        option="--max-per-day",
        words=_words_of_limit,
        placeholder=gettext("no limit"),
        column=True,
    ),
    Field(
        "headers",
        gettext("Headers of every mail"),
        clean_headers,
        help=gettext("One header per line, such as X-SES-CONFIGURATION-SET: events."),
        default=(),
        kind="lines",
        place="more",
        option="--headers",
        text=_text_of_headers,
        words=lambda value: "; ".join(f"{name}: {text}" for name, text in value) or gettext("none"),
        placeholder="X-PM-Message-Stream: outbound",
        rows=3,
    ),
    Field(
        "archive_to",
        gettext("Copy to an archive"),
        clean_from_email,
        help=gettext("This address gets a blind copy of every mail that is not sensitive."),
        kind="email",
        place="more",
        option="--archive-to",
        placeholder="archive@example.com",
    ),
    Field(
        "fallbacks",
        gettext("Fallback senders"),
        clean_fallbacks,
        help=gettext(
            "They send while this sender is paused, from their own address. "
            "Failures here stay visible."
        ),
        default=(),
        kind="senders",
        place="more",
        option="--fallbacks",
        short=gettext("Fallbacks"),
        text=", ".join,
        words=lambda value: ", ".join(value) or gettext("nobody"),
    ),
)


def common_fields() -> tuple[Field, ...]:
    """What every sender has, but for the driver."""
    return COMMON


def fields_of(driver_name: str) -> tuple[Field, ...]:
    """Every field of a sender with this driver: the driver, its own, and what all have.

    Raises:
        LookupError: there is no such driver.
    """
    return (DRIVER, *driver(driver_name).fields, *common_fields())


def all_fields() -> tuple[Field, ...]:
    """Every field of every driver; of those with one name, the first."""
    own = (field for one in drivers() for field in one.fields)
    found: dict[str, Field] = {}
    for field in (DRIVER, *own, *common_fields()):
        found.setdefault(field.name, field)
    return tuple(found.values())


def drivers_with(name: str) -> tuple[str, ...]:
    """The drivers that have a field of this name."""
    return tuple(one.name for one in drivers() if name in {f.name for f in fields_of(one.name)})


def clean_texts(
    driver_name: str, texts: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """What *texts* mean, secrets included: field → value, and field → what is wrong with it.

    What is not among *texts* is not among the values either.
    """
    values: dict[str, Any] = {}
    wrong: dict[str, list[str]] = {}
    for field in fields_of(driver_name):
        if field.name not in texts:
            continue
        try:
            values[field.name] = field.clean(texts[field.name])
        except ValueError as error:
            wrong[field.name] = [said_by(error)]
    return values, wrong
