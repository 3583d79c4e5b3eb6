"""Why a mail of some type goes out as it does: each value that applies, and where it comes from."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, database_now
from smtp_admin.delivery.outbox import default_lifetime
from smtp_admin.errors import InvalidInput
from smtp_admin.installation import installation
from smtp_admin.mail import templates
from smtp_admin.mail.service import READY, registry
from smtp_admin.mail.types import PRIORITIES, EmailType
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from smtp_admin.senders.routing import sender_for_mail
from smtp_admin.smtp.hostname import display_host
from smtp_admin.transports.smtp.fields import SECURITY_LABELS

Source = Literal["environment", "partner", "system", "type", "app", "default"]
PARTS: tuple[tuple[str, str], ...] = (
    ("subject.liquid", "Subject template"),
    ("text.liquid", "Text template"),
    ("html.liquid", "HTML template"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One value that applies.

    Attributes:
        source: who says so: a variable of the environment, the partner's or the system's saved
            settings, the e-mail type, the app that this lives in, or nobody, so the default.
        detail: the variable's name, the revision, or why it is so.
    """

    name: str
    label: str
    value: str
    source: Source
    detail: str = ""

    def as_json(self) -> dict[str, str]:
        """For a script."""
        return {
            "name": self.name,
            "label": self.label,
            "value": self.value,
            "source": self.source,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that decides how a mail goes out.

    Attributes:
        own: the sender of the partner itself; the system's for the system's mail.
        sender: the one that sends.
        system: the system's sender.
        template_files: part → whether it is the app's own (True) or comes with the plugin; a part
            that there is none of is missing.
    """

    type_: EmailType
    own: ResolvedSender
    sender: ResolvedSender
    system: ResolvedSender
    app_name: str
    template_files: dict[str, bool]
    moment: datetime


def known_types() -> list[EmailType]:
    """The types that can be asked about: those of the app, and ready messages."""
    return [*registry(), READY]


def gather(session: Session, partner_id: str, type_name: str) -> Facts:
    """The facts for a mail of *partner_id*.

    Raises:
        InvalidInput: there is no such type.
    """
    found = {one.name: one for one in known_types()}
    if type_name not in found:
        raise InvalidInput(
            f"There is no e-mail type {type_name[:60]!r}. There are: {', '.join(sorted(found))}.",
            fields={"type": ["Choose one of those."]},
        )
    type_ = found[type_name]
    files = (
        {} if type_ is READY else {part: templates.is_apps_own(type_, part) for part, _ in PARTS}
    )
    return Facts(
        type_=type_,
        own=load_sender(session, partner_id),
        sender=sender_for_mail(session, partner_id),
        system=load_sender(session, SYSTEM),
        app_name=installation().config.app_name,
        template_files={part: own for part, own in files.items() if own is not None},
        moment=database_now(session),
    )


def explain(facts: Facts) -> tuple[Row, ...]:
    """Every value that applies, in the order in which it matters. Nothing is looked up here."""
    return (*_sender(facts), *_settings(facts), *_type(facts))


def _sender(facts: Facts) -> Iterator[Row]:
    own, sender = facts.own, facts.sender
    if own.partner_id == SYSTEM:
        yield Row("sender", "Sender", "the system's", "system", _revision(sender))
    elif sender.partner_id == own.partner_id:
        yield Row("sender", "Sender", "the partner's own", "partner", _revision(sender))
    else:
        yield Row(
            "sender", "Sender", "the system's", "default", "the partner has saved no settings"
        )
    yield Row("state", "Sends now", *_state(facts))
    yield Row("fallback", "If it is paused", *_fallback(facts))


def _state(facts: Facts) -> tuple[str, Source, str]:
    sender, whose = facts.sender, _whose(facts.sender)
    if sender.problems:
        return "no: a variable cannot be used", "environment", " ".join(sender.problems)
    if not sender.configured:
        return "no: there are no settings", "default", "mail waits in the queue"
    if sender.paused_until is not None and sender.paused_until > facts.moment:
        return (
            f"no: paused until {sender.paused_until:%Y-%m-%d %H:%M} UTC",
            whose,
            (sender.pause_reason),
        )
    return "yes", whose, ""


def _fallback(facts: Facts) -> tuple[str, Source, str]:
    sender, system = facts.sender, facts.system
    if sender.partner_id == SYSTEM:
        return "mail waits", "default", "nobody steps in for the system's sender"
    if not sender.values.fallback:
        return "mail waits", "partner", f"{_revision(sender)}: the system's sender may not step in"
    if not system.configured or system.problems:
        return "mail waits", "system", "the system's sender may step in, but cannot send itself"
    return (
        f"the system's sender steps in, from {system.values.from_email}",
        "partner",
        _revision(sender),
    )


def _settings(facts: Facts) -> Iterator[Row]:
    sender = facts.sender
    values = sender.values

    def row(name: str, label: str, value: Any, unset: str = "", why: str = "") -> Row:
        variable = sender.locked.get(name)
        if value in ("", None):
            return Row(name, label, unset, "default", why)
        if variable is not None:
            return Row(name, label, str(value), "environment", variable)
        if not sender.revision:
            return Row(name, label, str(value), "default")
        return Row(name, label, str(value), _whose(sender), _revision(sender))

    if values.host:
        yield row("host", "Server", display_host(values.host))
        yield row("port", "Port", values.port)
        yield row("security", "Security", SECURITY_LABELS[values.security])
    yield row("from_email", "From address", values.from_email, "none yet", "nothing was saved")
    yield row("from_name", "From name", values.from_name, facts.app_name, "the application's name")
    yield row(
        "reply_to",
        "Reply-to",
        values.reply_to,
        values.from_email or "none yet",
        "the from address, unless a mail has its own",
    )
    for name, label in (("max_per_hour", "Mails per hour"), ("max_per_day", "Mails per day")):
        limit = getattr(values, name)
        shown = None if limit is None else f"{limit:,}, a tenth of it kept for urgent mail"
        yield row(name, label, shown, "no limit")
    yield row("max_connections", "Connections at a time", values.max_connections)


def _type(facts: Facts) -> Iterator[Row]:
    type_ = facts.type_
    for part, label in PARTS:
        name = part.replace(".liquid", "_template")
        if type_ is READY:
            if part == "text.liquid":
                yield Row("template", "Template", "none", "type", "the message brings its own text")
        elif part not in facts.template_files:
            yield Row(name, label, "none", "type", "mail of this type has no such part")
        else:
            path = f"smtp_admin/email/{type_.name}/{part}"
            if facts.template_files[part]:
                yield Row(name, label, path, "app", "a file of the app")
            else:
                yield Row(name, label, path, "default", "comes with the plugin")
    lifetime = default_lifetime(PRIORITIES[type_.priority])
    yield Row("priority", "Priority", type_.priority, "type", type_.label)
    if type_.expires_hours is None:
        hours = lifetime.total_seconds() / 3600
        yield Row("expires", "Expires after", _hours(hours), "default",
                  f"of {type_.priority} mail")  # fmt: skip
    else:
        yield Row("expires", "Expires after", _hours(type_.expires_hours), "type", type_.label)
    held = type_.on_uncertain == "hold"
    yield Row(
        "on_uncertain",
        "If the server's last answer is lost",
        "held until a person decides" if held else "sent again once",
        "type" if held else "default",
        type_.label if held else "",
    )
    if type_.sensitive:
        yield Row("sensitive", "Text in the database", "erased once accepted", "type", type_.label)


def _hours(hours: float) -> str:
    return f"{hours:g} hour{'' if hours == 1 else 's'}"


def _whose(sender: ResolvedSender) -> Source:
    return "system" if sender.partner_id == SYSTEM else "partner"


def _revision(sender: ResolvedSender) -> str:
    return f"revision {sender.revision}" if sender.revision else "nothing was saved"
