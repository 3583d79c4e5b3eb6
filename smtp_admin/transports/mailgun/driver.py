"""The Mailgun driver: its fields, and how they become a setup."""

import re
from collections.abc import Mapping
from typing import Any, cast

from smtp_admin.credentials.password import Password
from smtp_admin.smtp.hostname import clean_host, display_host, ip_literal, is_host_name
from smtp_admin.translation import gettext
from smtp_admin.transports.api_transport import APITransport
from smtp_admin.transports.driver import Driver, Setup, Surroundings
from smtp_admin.transports.fields import Field, Variable, one_of
from smtp_admin.transports.mailgun import probe
from smtp_admin.transports.mailgun.account import REGION_LABELS, USER, Account, endpoint_of
from smtp_admin.transports.mailgun.sending import MailgunCalls

_KEY = re.compile(r"[!-~]{8,200}")


def clean_domain(text: str) -> str:
    """A sending domain, in lower case and in ASCII; empty while none is entered."""
    name = text.strip()
    if not name:
        return ""
    if "@" in name:
        raise ValueError(gettext("Enter only the domain, the part after the @."))
    domain = clean_host(name)
    if not is_host_name(domain) or ip_literal(domain) is not None:
        raise ValueError(gettext("Enter a domain, such as mg.acme.example."))
    return domain


def clean_key(text: str) -> str:
    """An API key; spaces around it are never meant."""
    key = text.strip()
    if key and not _KEY.fullmatch(key):
        raise ValueError(
            gettext("This is not an API key: it has 8 to 200 letters, digits and hyphens.")
        )
    return key


FIELDS: tuple[Field, ...] = (
    Field(
        "mailgun_region",
        gettext("Region"),
        one_of(REGION_LABELS, "us"),
        help=gettext("Where the domain was added at Mailgun. A domain exists in one region only."),
        default="us",
        kind="choice",
        choices=REGION_LABELS,
        destination=True,
        variables=(Variable("SMTP_MAILGUN_REGION"),),
        option="--mailgun-region",
        short=gettext("Mailgun region"),
        words=lambda value: REGION_LABELS.get(value, str(value)),
    ),
    Field(
        "mailgun_domain",
        gettext("Sending domain"),
        clean_domain,
        help=gettext("As it stands at Mailgun under “Domains”."),
        required=gettext("Enter the sending domain."),
        destination=True,
        variables=(Variable("SMTP_MAILGUN_DOMAIN"),),
        option="--mailgun-domain",
        short=gettext("Mailgun domain"),
        text=display_host,
        words=lambda value: display_host(value) or "empty",
        placeholder="mg.example.com",
    ),
    Field(
        "mailgun_key",
        gettext("API key"),
        clean_key,
        help=gettext("A sending key of this domain. Stored encrypted, never shown again."),
        kind="secret",
        variables=(Variable("SMTP_MAILGUN_KEY"),),
        short=gettext("Mailgun API key"),
    ),
)


def _read(values: Mapping[str, Any], secrets: Mapping[str, str]) -> Setup:
    account = Account(values["mailgun_region"], values["mailgun_domain"])
    credential = Password(USER, secrets.get("mailgun_key", ""))
    place = f"Mailgun, {account.domain} ({REGION_LABELS[account.region]})"
    return Setup("mailgun", account, credential, place)


def _open(setup: Setup, surroundings: Surroundings) -> APITransport:
    account = cast(Account, setup.settings)
    endpoint = endpoint_of(account, surroundings.endpoints.get("mailgun", ""))
    calls = MailgunCalls(account, endpoint, setup.credential, surroundings.replies)
    return APITransport(calls, surroundings.dialler, surroundings.replies)


DRIVER = Driver(
    name="mailgun",
    label="Mailgun",
    comparison=gettext(
        "Sends by Mailgun's API over HTTPS. Works where the ports for mail are blocked."
    ),
    needs=gettext(
        "An account at Mailgun, a domain that is verified there, and a sending key of it."
    ),
    fields=FIELDS,
    steps=probe.STEPS,
    read=_read,
    open=_open,
    test=probe.test,
    provider="mailgun",
)
