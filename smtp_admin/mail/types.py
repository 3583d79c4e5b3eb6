"""The kinds of mail that are sent, each with what follows from it.

The host adds its own with :meth:`smtp_admin.SMTPAdmin.register_type`; its templates lie in its
own template folder under ``smtp_admin/email/<name>/``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from smtp_admin.delivery.models import BULK, NORMAL, URGENT
from smtp_admin.errors import ConfigError
from smtp_admin.installation import Kept
from smtp_admin.mail.wording import words_in
from smtp_admin.translation import gettext

Priority = Literal["urgent", "normal", "bulk"]
PRIORITIES: dict[Priority, int] = {"urgent": URGENT, "normal": NORMAL, "bulk": BULK}


@dataclass(frozen=True, slots=True)
class EmailType:
    """One kind of mail.

    Attributes:
        name: letters, digits and underscores; names its templates too.
        label: what people call it.
        variables: name → what it means; what a template may use, and a sender must give.
        sample: a value for each variable, for previews.
        defaults: for variables that a sender need not give.
        priority: urgent mail overtakes everything, and a tenth of a sender's limit is its own.
        sensitive: its text is erased as soon as a server has taken it.
        notice: may be unsubscribed from; else it must be delivered.
        expires_hours: older than that it is not sent; ``None`` for the priority's default.
        on_uncertain: when the server's last answer was lost: ``resend`` once, or ``hold`` for a
            person.
    """

    name: str
    label: str
    variables: Mapping[str, str]
    sample: Mapping[str, Any]
    priority: Priority = "normal"
    sensitive: bool = False
    notice: bool = False
    expires_hours: float | None = None
    on_uncertain: Literal["resend", "hold"] = "resend"
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or not self.name.isascii():
            raise ConfigError(f"An e-mail type cannot be called {self.name!r}.")
        missing = self.variables.keys() - self.sample.keys()
        if missing:
            names = ", ".join(sorted(missing))
            raise ConfigError(f"The e-mail type {self.name} has no sample value for: {names}.")


@dataclass(slots=True)
class Registry:
    """The types that one app knows."""

    _types: dict[str, EmailType] = field(default_factory=dict)

    def add(self, type_: EmailType) -> None:
        """Make *type_* known.

        Raises:
            ConfigError: there is one of that name already.
        """
        if type_.name in self._types:
            raise ConfigError(f"There are two e-mail types called {type_.name}.")
        self._types[type_.name] = type_

    def get(self, name: str) -> EmailType:
        """The type called *name*.

        Raises:
            ConfigError: there is none.
        """
        found = self._types.get(name)
        if found is None:
            known = ", ".join(sorted(self._types))
            raise ConfigError(f"There is no e-mail type {name!r}. There are: {known}.")
        return found

    def __iter__(self) -> Any:
        return iter(self._types.values())


SHIPPED = (
    EmailType(
        name="test",
        label=gettext("Test e-mail"),
        variables={
            "app_name": "the application",
            "host": "the mail server",
            "port": "its port",
            "security": "how the connection is encrypted",
            "from_email": "the address it comes from",
            "sent_at": "when it was written, in UTC",
        },
        sample={
            "app_name": "Example",
            "host": "smtp.example.com",
            "port": 587,
            "security": "STARTTLS",
            "from_email": "noreply@example.com",
            "sent_at": "2026-01-31 12:00:00 UTC",
        },
        priority="urgent",
    ),
    EmailType(
        name="password_reset",
        label=gettext("Password reset"),
        variables={
            "app_name": "the application",
            "name": "the person's name",
            "reset_url": "the link that sets a new password",
            "expires_minutes": "how long the link works",
        },
        sample={
            "app_name": "Example",
            "name": "Sam",
            "reset_url": "https://example.com/reset/abc",
            "expires_minutes": 60,
        },
        priority="urgent",
        sensitive=True,
    ),
    EmailType(
        name="renewal",
        label=gettext("Renewal reminder"),
        variables={
            "app_name": "the application",
            "name": "the customer's name",
            "services": "a list; each with name, expires_on, price, currency and payment_url",
            "balance": "the customer's balance",
            "currency": "of the balance",
            "more": "how many further services are not in the list",
            "language": "of dates and amounts, such as de",
            "words": "what the shipped templates say, by key, in that language",
            "partner_name": "who signs the mail; empty for the application",
            "unsubscribe_url": "the link that ends these reminders; empty if there is none",
            "extra": "further values from the host",
        },
        sample={
            "app_name": "Example",
            "name": "Sam",
            "services": [
                {
                    "name": "example.com hosting",
                    "expires_on": "2026-02-03",
                    "price": "49.00",
                    "currency": "EUR",
                    "payment_url": "https://example.com/pay/1",
                }
            ],
            "balance": "12.00",
            "currency": "EUR",
            "more": 0,
            "language": "en",
            "words": words_in("renewal", "en"),
            "partner_name": "Example Hosting",
            "unsubscribe_url": "https://example.com/unsubscribe/abc",
            "extra": {},
        },
        defaults={
            "more": 0,
            "language": "en",
            "words": words_in("renewal", "en"),
            "partner_name": "",
            "unsubscribe_url": "",
            "extra": {},
        },
        priority="bulk",
        notice=True,
    ),
    EmailType(
        name="alert",
        label=gettext("Alert"),
        variables={
            "app_name": "the application",
            "event": "opened or ended",
            "label": "what kind of alert it is, in words",
            "kind": "the same for programs",
            "severity": "critical or warning",
            "whose": "of which sender or partner",
            "headline": "what is wrong, in a few words",
            "detail": "more about it; may be empty",
            "opened_at": "since when, in UTC",
            "ended_at": "until when; empty while it lasts",
            "url": "the page of alerts; empty if the app does not know its address",
        },
        sample={
            "app_name": "Example",
            "event": "opened",
            "label": "Sender stopped",
            "kind": "sender_stopped",
            "severity": "critical",
            "whose": "partner acme",
            "headline": "Stopped until the login is corrected",
            "detail": "The server refused the user name or password.",
            "opened_at": "2026-01-31T12:00:00Z",
            "ended_at": "",
            "url": "https://example.com/smtp-admin/alerts",
        },
        priority="urgent",
        expires_hours=24,
    ),
    EmailType(
        name="weekly_summary",
        label=gettext("Weekly summary"),
        variables={
            "app_name": "the application",
            "week": "the week that it is about, such as 2026-W05",
            "begins": "its first day",
            "ends": "its last day",
            "owners": "a list; each with name, sent, failed, dead and waiting",
            "total": "the same of all of them",
            "attention": "a list of sentences: what needs someone now",
            "url": "the overview; empty if the app does not know its address",
        },
        sample={
            "app_name": "Example",
            "week": "2026-W05",
            "begins": "2026-01-26",
            "ends": "2026-02-01",
            "owners": [{"name": "Acme", "sent": 1204, "failed": 3, "dead": 1, "waiting": 2}],
            "total": {"name": "", "sent": 1204, "failed": 3, "dead": 1, "waiting": 2},
            "attention": ["Sender stopped: partner acme. Stopped until the login is corrected."],
            "url": "https://example.com/smtp-admin/",
        },
        expires_hours=96,
    ),
)


#: The e-mail types of an app: those that come along, and its own.
TYPES = Kept[Registry](lambda _: Registry())
