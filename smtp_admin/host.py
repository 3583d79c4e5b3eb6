"""What the host app supplies: who is signed in, which partners there are, and what expires."""

from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar, Union

from smtp_admin.errors import SetupError
from smtp_admin.identifiers import is_storable

_LONGEST_ID = 100
_EACH = "Each of Actor.partner_ids"
_AS_TEXT = (
    "Where your app's ids are numbers, give the plugin str(…) of them everywhere: in Partner.id, "
    "in Actor.id and Actor.partner_ids, and as partner_id= of send()."
)


def _check_id(where: str, value: object) -> None:
    """Refuse what is no id, here where the host's own code is still in the traceback.

    A number would be compared with the text of an address, and be nobody's.
    """
    if not isinstance(value, str):
        kind = type(value).__name__
        raise SetupError(f"{where} must be text, and {value!r} is of type {kind}.", hint=_AS_TEXT)


def _check_kept(where: str, value: str) -> None:
    """Refuse an id that cannot be kept: nobody could say who did something."""
    if len(value) > _LONGEST_ID or not is_storable(value):
        raise SetupError(
            f"{where} is text of at most {_LONGEST_ID} characters that every database can hold, "
            f"and {value[:_LONGEST_ID]!r} is not.",
            hint="Much is kept by it. Use another one that never changes.",
        )


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who is signed in to the host app; every permission follows from this alone.

    Attributes:
        id: the host's own id, as text of at most 100 characters.
        email: where this person's test mails go.
        name: shown in the history of changes.
        is_admin: an administrator of the whole platform.
        partner_ids: the partners whose settings this person administers.
        customer_id: set for a customer, who may ask for a renewal reminder and nothing else.

    Raises:
        SetupError: an id is not text, or no database can hold it.
    """

    id: str
    email: str
    name: str = ""
    is_admin: bool = False
    partner_ids: frozenset[str] = field(default_factory=frozenset)
    customer_id: str | None = None

    def __post_init__(self) -> None:
        given: object = self.partner_ids
        if isinstance(given, str):
            raise SetupError(
                f"Actor.partner_ids is a collection of ids, and {given!r} is one text.",
                hint="Write frozenset({…}) around it.",
            )
        # A host may well pass a list: what decides permissions must not change afterwards.
        object.__setattr__(self, "partner_ids", frozenset(self.partner_ids))
        for where, some in (("Actor.id", (self.id,)), (_EACH, self.partner_ids)):
            for one in some:
                _check_id(where, one)
                _check_kept(where, one)


#: Whoever may run commands on the machine is recorded as this.
OPERATOR = Actor(id="operator", email="", name="operator", is_admin=True)


@dataclass(frozen=True, slots=True)
class Partner:
    """One of the host's partners, who sends mail in its own name.

    Attributes:
        id: the host's own id, as text of 1 to 100 characters without a slash; appears in
            addresses of pages.
        name: what people call it.
        site_domain: the domain of the partner's web site, which its mail should come from.

    Raises:
        SetupError: the id is not text, is empty or too long, or has a slash.
    """

    id: str
    name: str
    site_domain: str = ""

    def __post_init__(self) -> None:
        _check_id("Partner.id", self.id)
        if not 0 < len(self.id) <= _LONGEST_ID or "/" in self.id or not is_storable(self.id):
            raise SetupError(
                f"Partner.id is text of 1 to {_LONGEST_ID} characters without a slash, and "
                f"{self.id[:_LONGEST_ID]!r} is not.",
                hint="It is part of page URLs. Use another one that never changes.",
            )


@dataclass(frozen=True, slots=True)
class ExpiringService:
    """Something that a customer pays for until it expires; reminders are made from these.

    What cannot be used (a time without a zone, an address that is none) is noticed where it is
    read: that one record is named in the report of the run, and the others go on.

    Attributes:
        partner_id: whose customer it is; ``""`` for the platform's own.
        customer_id: the host's own id, as text of 1 to 100 characters.
        service_id: the same for the service.
        customer_email: where the reminder goes.
        customer_name: how the mail addresses the customer; may be empty.
        language: a tag such as ``de`` or ``pt-BR``, of the mail and its dates; ``""`` for English.
        time_zone: such as ``Europe/Berlin``; ``""`` for the one of the renewal settings.
        service_name: what the customer knows it by.
        expires_at: aware.
        price: of the renewal, or ``None`` if the mail should not name one.
        currency: three letters, such as ``EUR``, of price and balance.
        payment_url: where it is renewed; http or https.
        balance: of the customer's account, or ``None`` if there is no such thing.
        extra: further values for the e-mail template.
    """

    partner_id: str
    customer_id: str
    service_id: str
    customer_email: str
    customer_name: str
    language: str
    time_zone: str
    service_name: str
    expires_at: datetime
    price: Decimal | float | str | None
    currency: str
    payment_url: str
    balance: Decimal | float | str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


T = TypeVar("T")
#: What a method answers, or what it answers when it was awaited.
Soon = Union[T, Awaitable[T]]  # noqa: UP007 - mypy needs it with a type variable in front
#: Several of something, at once or as they come.
Several = Iterable[T] | AsyncIterable[T] | Awaitable[Iterable[T] | AsyncIterable[T]]


class Host:
    """What the plugin asks of the app that it lives in; subclass it and pass an instance.

    The methods are called during requests, often once each; none of them is called by
    :meth:`smtp_admin.SMTPAdmin.init_app`. Each may be ``async def``, and what answers several may
    be an asynchronous generator.
    """

    def current_actor(self) -> Soon[Actor | None]:
        """Who is signed in, or ``None`` for nobody."""
        return None

    def partners(self) -> Several[Partner]:
        """All partners; the plugin shows each person only those that are theirs."""
        return ()

    def partner(self, partner_id: str) -> Soon[Partner | None]:
        """One partner, or ``None``. Override it where searching all of them would be slow."""
        known: Any = self.partners()  # where it is async def, self is what waits for it
        return next((one for one in known if one.id == partner_id), None)

    def expiring_services(self, until: datetime, partner_id: str) -> Several[ExpiringService]:
        """The partner's services that expire up to *until* (aware, UTC); ``""`` for no partner's.

        Needed for renewal reminders only. Order them by customer and yield them as they are
        read: a run never holds more than five hundred customers. One whose services come further
        apart than that still gets one mail, but with the first of them alone.
        """
        del until, partner_id
        return ()

    def customer_services(self, customer_id: str) -> Several[ExpiringService]:
        """All services of one customer, whenever they expire.

        Asked when the customer wants a reminder, and for each reminder just before it is sent:
        if everything in it has been renewed or cancelled by then, it is not. Without this method
        reminders are sent as they were written, and nobody can ask for one.
        """
        del customer_id
        return ()

    def alert_recipients(self, partner_id: str) -> Several[str]:
        """The addresses that get mail when an alert of this partner opens and when it ends.

        Alerts of the platform itself go to ``SMTP_ADMIN_ALERT_EMAILS``, and so do all others.
        """
        del partner_id
        return ()

    def summary_recipients(self) -> Several[tuple[str, Iterable[str] | None]]:
        """Who wants the weekly summary: an address, and the partners that it is about.

        ``None`` in place of partners means all mail. How somebody says that they want it no more
        is your app's affair: it is asked each Monday.
        """
        return ()

    def admin_language(self, address: str) -> Soon[str | None]:
        """The language of mail to one of your admins, such as ``de`` or ``pt-BR``.

        Asked for each address of alerts and of the weekly summary. ``None`` for the language that
        your app has by default (Flask-Babel's ``BABEL_DEFAULT_LOCALE``), else English.
        """
        del address
        return None

    def keep_days(self, partner_id: str) -> Soon[int | None]:
        """How many days the mail of a partner is kept after it is over, from 1 to 3650.

        ``None`` for ``SMTP_ADMIN_KEEP_DAYS``, which also holds for the platform's own mail. It is
        asked for each of :meth:`partners`, every hour.
        """
        del partner_id
        return None

    def sign_in_url(self, next_url: str) -> Soon[str | None]:
        """Where to send a visitor who must sign in first; ``None`` answers a plain 401 page."""
        del next_url
        return None


#: What a host may answer.
METHODS = tuple(name for name in vars(Host) if not name.startswith("_"))


def has_own(host: object, method: str) -> bool:
    """Whether *host* answers *method* itself, in its class or with a function put on it."""
    on_it = getattr(host, "__dict__", {})
    return method in on_it or getattr(type(host), method) is not getattr(Host, method)
