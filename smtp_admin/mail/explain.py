"""Why a mail of some type goes out as it does: each value that applies, and where it comes from."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from smtp_admin.config import Rate
from smtp_admin.database import SYSTEM, database_now
from smtp_admin.delivery.claim import usable
from smtp_admin.delivery.fallbacks import Fallback, fallbacks_of, first_usable
from smtp_admin.delivery.hops import sender_name
from smtp_admin.delivery.outbox import default_lifetime
from smtp_admin.delivery.recipient_limits import limits_of
from smtp_admin.errors import InvalidInput, MessageError
from smtp_admin.installation import installation
from smtp_admin.mail import template_files, templates
from smtp_admin.mail.explained import Row, Source, revision_of, setting_rows, whose
from smtp_admin.mail.service import comes_ready, sent_types
from smtp_admin.mail.templates import Chosen
from smtp_admin.mail.types import PRIORITIES, EmailType
from smtp_admin.mail.wording import FALLBACK, texts
from smtp_admin.sandbox import site
from smtp_admin.sandbox.site import Standing
from smtp_admin.sandbox_rule import Sandbox
from smtp_admin.sender_state import basis
from smtp_admin.sender_state.facts import state_of
from smtp_admin.sender_state.state import State, decide
from smtp_admin.senders.owner_names import owner_name
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender
from smtp_admin.senders.routing import Choice, choose_sender
from smtp_admin.translation import gettext, in_sentence, joined, known, listed

LABELS: tuple[tuple[str, str], ...] = (
    ("subject.liquid", gettext("Subject template")),
    ("text.liquid", gettext("Text template")),
    ("html.liquid", gettext("HTML template")),
)
_PRIORITY = {
    "urgent": gettext("urgent"),
    "normal": gettext("normal"),
    "bulk": gettext("bulk"),
}
_AT_HOME = Standing("", ())


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that decides how a mail goes out.

    Attributes:
        partner_id: whose mail it is.
        choice: the sender, and by which rule it is the one.
        fallbacks: who steps in for it, in order.
        template: what mail in English is made with; ``None`` if there is none.
        standing: whether this process may send for the database at all.
        of_platform: somebody who looks after the platform asks.
        limits: how much of it one recipient may have.
        known_state: of the sender; what its row alone tells, where nobody looked further.
    """

    type_: EmailType
    partner_id: str
    choice: Choice
    fallbacks: tuple[Fallback, ...]
    owner_name: str
    template: Chosen | None
    moment: datetime
    sandbox: Sandbox | None = None
    standing: Standing = _AT_HOME
    of_platform: bool = True
    limits: tuple[Rate, ...] = ()
    known_state: State | None = None

    @property
    def state(self) -> State:
        """In what state the sender is."""
        return self.known_state or decide(self.sender, basis.Facts(self.moment))

    @property
    def sender(self) -> ResolvedSender:
        """The one that sends."""
        return self.choice.sender


def known_types() -> list[EmailType]:
    """The types that can be asked about: those of the app, and what comes ready."""
    return [*sent_types()]


def gather(
    session: Session,
    partner_id: str,
    type_name: str,
    key: str | None = None,
    *,
    of_platform: bool = True,
) -> Facts:
    """The facts for a mail of *partner_id*.

    Args:
        key: of the sender that a caller would name.
        of_platform: for somebody who looks after the platform.

    Raises:
        InvalidInput: there is no such type.
        MessageError: there is no such sender.
    """
    found = {one.name: one for one in known_types()}
    if type_name not in found:
        raise InvalidInput(
            gettext(
                "There is no e-mail type %(type_name)s. There are: %(names)s.",
                type_name=repr(type_name[:60]),
                names=", ".join(sorted(found)),
            ),
            fields={"type": [gettext("Choose one of those.")]},
        )
    type_ = found[type_name]
    template = None
    if not comes_ready(type_):
        with suppress(MessageError):  # sending says so
            template = templates.choose(type_, templates.voice_of(session, type_, partner_id))
    choice = choose_sender(session, partner_id, type_.name, type_.priority, key)
    return Facts(
        type_=type_,
        partner_id=partner_id,
        choice=choice,
        fallbacks=tuple(fallbacks_of(session, choice.sender, type_.name, type_.priority)),
        owner_name=owner_name(choice.sender.partner_id),
        template=template,
        moment=database_now(session),
        sandbox=installation().config.sandbox,
        standing=site.standing(session),
        of_platform=of_platform,
        limits=limits_of(type_.name),
        known_state=state_of(session, choice.sender),
    )


def explain(facts: Facts) -> tuple[Row, ...]:
    """Every value that applies, in the order in which it matters. Nothing is looked up here."""
    settings = setting_rows(facts.sender, facts.owner_name, sensitive=facts.type_.sensitive)
    return (*_sender(facts), *_sandbox(facts), *_fallbacks(facts), *settings, *_type(facts))


def _sandbox(facts: Facts) -> Iterator[Row]:
    """What keeps mail in; to whom it goes instead is for those who look after the platform."""
    if not facts.standing.acts:
        why = facts.standing.reason if facts.of_platform else ""
        yield Row(
            "site", gettext("This installation"), gettext("sends no mail; mail waits"), "app", why
        )
    rule = facts.sandbox
    if rule is None:
        return
    told = facts.of_platform
    if rule.redirect:
        words = (
            gettext("all mail goes to %(address)s instead", address=rule.redirect)
            if told
            else gettext("all mail goes to one address instead")
        )
    else:
        some = ", ".join(rule.allow) if told else gettext("some addresses")
        words = gettext("only mail to %(some)s is sent, the rest is held", some=some)
    yield Row("sandbox", gettext("Sandbox"), words, "app", "SMTP_ADMIN_SANDBOX" if told else "")


def _sender(facts: Facts) -> Iterator[Row]:
    sender, source = facts.sender, whose(facts.sender)
    which = f": {sender.name}" if sender.key != DEFAULT_KEY else ""
    if sender.partner_id != facts.partner_id:
        why = gettext("the partner has saved no settings")
        yield Row(
            "sender",
            gettext("Sender"),
            gettext("the system's%(which)s", which=which),
            "default",
            why,
        )
    else:
        name = (
            gettext("the system's") if facts.partner_id == SYSTEM else gettext("the partner's own")
        )
        yield Row("sender", gettext("Sender"), name + which, source, revision_of(sender))
    yield Row("rule", gettext("Chosen by"), *_rule(facts))
    to_others = sender.partner_id != facts.partner_id and not facts.of_platform
    yield Row("state", gettext("Sends now"), *_state(sender, facts.state, to_others=to_others))


def _rule(facts: Facts) -> tuple[str, Source, str]:
    rule, type_ = facts.choice.rule, facts.type_
    if rule == "named":
        return gettext("its key"), "app", gettext("set by the caller")
    source: Source = "system" if facts.choice.route_of == SYSTEM else "partner"
    if rule == "type":
        return (
            gettext("the route of %(label)s", label=type_.label),
            source,
            gettext("before the route of a priority"),
        )
    if rule == "priority":
        return (
            gettext("the route of %(priority)s mail", priority=_PRIORITY[type_.priority]),
            source,
            gettext("the type has none"),
        )
    if rule == "default":
        return gettext("default"), "default", gettext("no route applies")
    return gettext("default"), "default", gettext("no sender is set up")


def _state(
    sender: ResolvedSender, state: State, *, to_others: bool = False
) -> tuple[str, Source, str]:
    """Whether *sender* sends now, in the words that its page has.

    Args:
        to_others: for somebody whose sender it is not, and who is not told its reasons.
    """
    source = whose(sender)
    if state.key in {"delivering", "ready"}:
        return gettext("yes"), source, ""
    if to_others and state.key != "no_worker":
        why = "" if state.goes else gettext("ask the platform's operator")
        return gettext("yes") if state.goes else gettext("no, mail waits"), source, why
    if state.key == "problem" and sender.locked:
        source = "environment"
    elif state.key == "unconfigured":
        source = "default"
    answer = gettext("yes") if state.goes or state.key == "failing" else gettext("no")
    words = joined((answer, in_sentence(state.headline)), ": ")
    return words, source, state.detail


def _fallbacks(facts: Facts) -> Iterator[Row]:
    sender, source = facts.sender, whose(facts.sender)
    name, label = "fallback", gettext("If it is paused")
    first = first_usable(facts.fallbacks, facts.moment, (sender.sender_id,))
    if not facts.fallbacks:
        yield Row(
            name,
            label,
            gettext("mail waits"),
            source,
            gettext("%(revision_of)s: no fallback", revision_of=revision_of(sender)),
        )
    elif first is None:
        why = gettext("%(revision_of)s: no fallback can send now", revision_of=revision_of(sender))
        yield Row(name, label, gettext("mail waits"), source, why)
    else:
        words = gettext(
            "%(named)s takes over, from %(from_email)s",
            named=_named(first),
            from_email=first.values.from_email,
        )
        yield Row(name, label, words, source, revision_of(sender))
    for number, one in enumerate(facts.fallbacks, 1):
        yield Row(
            f"fallback_{number}",
            gettext("Fallback %(number)s", number=number),
            *_option(one, source, facts.moment),
        )


def _option(one: Fallback, source: Source, moment: datetime) -> tuple[str, Source, str]:
    if one.sender is None:
        return one.name, source, gettext("this sender no longer exists")
    state, _, why = _state(one.sender, decide(one.sender, basis.Facts(moment)))
    if usable(one.sender, moment):
        return (
            gettext(
                "%(named)s, from %(from_email)s",
                named=_named(one.sender),
                from_email=one.sender.values.from_email,
            ),
            source,
            gettext("can send"),
        )
    return (
        _named(one.sender),
        source,
        gettext("sends now: %(state)s. %(why)s", state=state, why=known(why).rstrip(". "))
        if why
        else gettext("sends now: %(state)s", state=state),
    )


def _named(sender: ResolvedSender) -> str:
    return sender_name(sender.partner_id, sender.key, sender.label)


def _type(facts: Facts) -> Iterator[Row]:
    type_ = facts.type_
    for part, label in LABELS:
        name = part.replace(".liquid", "_template")
        if comes_ready(type_):
            if part == "text.liquid":
                yield Row(
                    "template",
                    gettext("Template"),
                    gettext("none"),
                    "type",
                    gettext("the message brings its own text"),
                )
        else:
            yield _template(facts, name, label, part)
    lifetime = default_lifetime(PRIORITIES[type_.priority])
    yield Row("priority", gettext("Priority"), _PRIORITY[type_.priority], "type", type_.label)
    if type_.expires_hours is None:
        hours = lifetime.total_seconds() / 3600
        yield Row("expires", gettext("Expires after"), _hours(hours), "default",
                  gettext("of %(priority)s mail", priority=_PRIORITY[type_.priority]))  # fmt: skip
    else:
        yield Row(
            "expires", gettext("Expires after"), _hours(type_.expires_hours), "type", type_.label
        )
    most = listed(
        gettext("%(count)s in %(minutes)s minutes", count=one.count, minutes=one.seconds // 60)
        for one in facts.limits
    )
    yield Row(
        "recipient_limit",
        gettext("Most for one recipient"),
        most or gettext("no limit"),
        "app" if most else "default",
        "SMTP_ADMIN_RECIPIENT_LIMITS" if most else "",
    )
    held = type_.on_uncertain == "hold"
    yield Row(
        "on_uncertain",
        gettext("If the server's last answer is lost"),
        gettext("held until someone decides") if held else gettext("sent again once"),
        "type" if held else "default",
        type_.label if held else "",
    )
    if type_.sensitive:
        yield Row(
            "sensitive",
            gettext("Text in the database"),
            gettext("erased once accepted"),
            "type",
            type_.label,
        )


def _template(facts: Facts, name: str, label: str, part: str) -> Row:
    template = facts.template
    origin = template.origins.get(part) if template else None
    if template is None or origin is None:
        return Row(
            name, label, gettext("none"), "type", gettext("mail of this type has no such part")
        )
    if template.saved is not None:
        owner: Source = "system" if origin == "system" else "partner"
        words = gettext("written on the page, in %(language)s", language=template.saved.language)
        return Row(
            name,
            label,
            words,
            owner,
            gettext("revision %(number)s", number=template.saved.revision),
        )
    path = template_files.path_of(facts.type_.name, part)
    if origin == "app":
        return Row(name, label, path, "app", gettext("a file of the app"))
    if facts.type_.shipped and texts(facts.type_.name):
        path = gettext("the shipped one, in %(language)s", language=template.language or FALLBACK)
    return Row(name, label, path, "default", gettext("comes with the plugin"))


def _hours(hours: float) -> str:
    if hours == 1:
        return gettext("1 hour")
    shown = f"{hours:g}"
    return gettext("%(hours)s hours", hours=shown)
