"""A notice as a mail: in the customer's zone and language, with the link that ends reminders."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from unicodedata import category

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_decimal, get_currency_precision
from sqlalchemy.orm import Session

from smtp_admin.delivery.fallbacks import gets_out
from smtp_admin.delivery.outgoing import OutgoingMail
from smtp_admin.host import ExpiringService
from smtp_admin.mail import service
from smtp_admin.mail.compose import Order, message_from_type, written
from smtp_admin.mail.message import Message
from smtp_admin.mail.templates import Voice, choose, voice_of
from smtp_admin.mail.types import EmailType, Priority
from smtp_admin.mail.unsubscribing import list_headers, unsubscribe_url
from smtp_admin.mail.wording import wording, words_in
from smtp_admin.renewals import supply
from smtp_admin.renewals.records import Customer
from smtp_admin.renewals.values import RenewalValues
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.routing import choose_sender

TYPE = "renewal"
#: The mail lists the first ones and says how many more there are.
_MOST_LISTED = 50
_ENGLISH = Locale("en")
_PLAIN = Voice()
_LONGEST_NAME = 200
#: Unicode's controls, and its line and paragraph separators.
_UNSEEN = frozenset({"Cc", "Zl", "Zp"})


def compose(
    customer: Customer,
    services: Sequence[ExpiringService],
    values: RenewalValues,
    token: str,
    voice: Voice = _PLAIN,
) -> Message:
    """The mail to *customer* about *services*.

    Args:
        voice: of the partner; the language is the customer's.

    Raises:
        MessageError: a template does not fit, or a name cannot stand in a subject.
        HostFailedError: the host's own code raised.
    """
    link = unsubscribe_url(token, services[0].language)
    spoken = replace(voice, language=services[0].language)
    context = context_of(customer, services, values, link, spoken)
    return message_from_type(
        email_type(), customer.email, context, voice=spoken, headers=list_headers(link)
    )


def voice_for(session: Session, partner_id: str) -> Voice:
    """Whose templates the notices of *partner_id* are made with."""
    return voice_of(session, email_type(), partner_id)


def outgoing(
    message: Message,
    sender: ResolvedSender,
    partner_id: str,
    services: Sequence[ExpiringService],
    now: datetime,
    *,
    on_demand: bool,
) -> OutgoingMail:
    """The mail as it goes into the outbox; too old as soon as everything in it has expired.

    Args:
        now: by the database's clock.

    Raises:
        MessageError: it cannot be built.
        TooLarge: it is larger than a mail may be.
    """
    last = max(one.expires_at for one in services)
    order = Order(partner_id, priority=priority_of(on_demand=on_demand), latest=last)
    return written(sender, email_type(), message, order, now)


def email_type() -> EmailType:
    """The type of all notices."""
    return service.registry().get(TYPE)


def priority_of(*, on_demand: bool) -> Priority:
    """How urgent a notice is: one that a customer asked for goes before the others."""
    return "normal" if on_demand else "bulk"


def sender_of(session: Session, partner_id: str, *, on_demand: bool) -> ResolvedSender:
    """Who sends the notices of *partner_id*."""
    return choose_sender(session, partner_id, TYPE, priority_of(on_demand=on_demand)).sender


def can_send(session: Session, sender: ResolvedSender, now: datetime, *, on_demand: bool) -> bool:
    """Whether a notice of *sender* goes out at *now*, by itself or by one that steps in."""
    return gets_out(session, sender, TYPE, priority_of(on_demand=on_demand), now)


def context_of(
    customer: Customer,
    services: Sequence[ExpiringService],
    values: RenewalValues,
    link: str,
    voice: Voice,
) -> dict[str, Any]:
    """What the templates of the type may use.

    Raises:
        HostFailedError: the host's own code raised.
    """
    first = services[0]
    locale = _locale_of_mail(voice)
    zone = customer.zone(values)
    return {
        "name": shown(first.customer_name),
        "services": [
            {
                "name": shown(one.service_name),
                "expires_on": format_date(one.expires_at.astimezone(zone), "long", locale=locale),
                "price": amount(one.price, one.currency, locale),
                "currency": one.currency,
                "payment_url": one.payment_url,
            }
            for one in services[:_MOST_LISTED]
        ],
        "more": max(0, len(services) - _MOST_LISTED),
        "balance": amount(first.balance, first.currency, locale),
        "currency": first.currency,
        "language": str(locale).replace("_", "-"),
        "words": words_in(TYPE, locale.language),
        "partner_name": shown(supply.partner_name(first.partner_id)),
        "unsubscribe_url": link,
        "extra": dict(first.extra),
    }


def _locale_of_mail(voice: Voice) -> Locale:
    """The customer's, where the sentences are in it too: one mail is in one language.

    An app's own text may be in any language, and there the customer's counts.
    """
    locale = _locale(voice.language)
    if locale.language in wording(TYPE) or choose(email_type(), voice).speaks(locale.language):
        return locale
    return _ENGLISH


@lru_cache(maxsize=256)
def _locale(language: str) -> Locale:
    try:
        return Locale.parse(language.replace("-", "_")) if language else _ENGLISH
    except (UnknownLocaleError, ValueError):
        try:
            return Locale.parse(language.replace("_", "-").partition("-")[0])
        except (UnknownLocaleError, ValueError):
            return _ENGLISH


def shown(name: str) -> str:
    """*name* as one line that a subject can hold: no control characters, and not too long."""
    line = " ".join("".join(" " if category(one) in _UNSEEN else one for one in name).split())
    return line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 1].rstrip()}…"


def amount(value: Decimal | float | str | None, currency: str, locale: Locale = _ENGLISH) -> str:
    """An amount with the decimals of its currency; ``""`` for none."""
    if value is None:
        return ""
    digits = get_currency_precision(currency) if currency else 2
    pattern = "#,##0" + ("." + "0" * digits if digits else "")
    return str(format_decimal(Decimal(str(value)), format=pattern, locale=locale))
