"""One field of a sender as the page shows it: what to enter, what was wrong, what to know."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from smtp_admin.clock import now
from smtp_admin.credentials.sign_ins import SIGN_INS
from smtp_admin.pages.guidance import Guidance
from smtp_admin.pages.sender_form import SenderForm
from smtp_admin.senders.advice import Advice
from smtp_admin.senders.cleaning import DEFAULT, SYSTEMS
from smtp_admin.senders.owner_names import owner_name
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext, joined, ngettext
from smtp_admin.transports.fields import Field
from smtp_admin.transports.smtp.fields import PASSWORD_MASK

Control = Literal["input", "select", "textarea", "check", "senders"]
_MOST_FALLBACKS = 5
_ORDER = (gettext("First"), gettext("Then"), gettext("Third"), gettext("Fourth"), gettext("Fifth"))
#: What counts while no name is entered, in the words of one owner; commands and docs have both.
_NO_NAME = {
    True: gettext("At most 64 characters. If empty, the application's name."),
    False: gettext("At most 64 characters. If empty, the partner's name."),
}
#: What stands beside a box that is on unless somebody took the tick away.
_OFF = {
    "verify_tls": gettext(
        "Insecure: anyone between here and the server can pretend to be the "
        "server and read mail and password."
    ),
}


@dataclass(frozen=True, slots=True)
class Option:
    """One entry of a list to choose from."""

    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Box:
    """One of several lists of a field, which together make its value."""

    id: str
    label: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class ShownField:
    """One field with its label, its hint, and what was wrong.

    Attributes:
        value: what stands in it; of a secret never anything.
        locked: the environment variable that holds it; empty where none does.
        bad: whether the hint warns.
        advice: what a friend would say; it blocks nothing.
        kept: what stands for a stored secret that is used if the field is left empty; else empty.
        saved: what is saved now, where somebody else saved meanwhile; else ``None``.
        ways: the ways to sign in that it belongs to; empty where it belongs to all.
        known_by: those of them whose vendor knows it, so that nobody is asked for it.
        beside: whether it does not belong to the one that is chosen.
    """

    field: Field
    label: str
    control: Control
    value: Any
    hint: str
    placeholder: str = ""
    locked: str = ""
    bad: bool = False
    errors: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()
    kept: str = ""
    saved: str | None = None
    options: tuple[Option, ...] = ()
    boxes: tuple[Box, ...] = ()
    ways: tuple[str, ...] = ()
    known_by: tuple[str, ...] = ()
    beside: bool = False

    @property
    def name(self) -> str:
        """Its name and its id on the page."""
        return self.field.name


def shown_field(
    one: Field,
    form: SenderForm,
    sender: ResolvedSender,
    guidance: Guidance,
    others: Sequence[ResolvedSender],
    saved: str | None,
) -> ShownField:
    """*one* as it stands in *form*.

    Args:
        others: those who may step in.
        saved: what somebody else saved meanwhile, if somebody did.
    """
    entry = form[one.name]
    locked = sender.locked.get(one.name, "")
    off = _OFF.get(one.name, "") if one.kind == "flag" and not entry.data else ""
    ways, known_by = _ways(one), _known_by(one)
    chosen = str(form["sign_in"].data or "") if ways else ""
    return ShownField(
        field=one,
        label=one.label,
        control=_control(one),
        value="" if one.secret or entry.data is None else entry.data,
        hint=off or _hint(one, form, sender, guidance),
        placeholder=_placeholder(one, form, sender),
        kept=_mask(one, sender) if _kept(one, form, sender) and not locked else "",
        locked=locked,
        bad=bool(off),
        errors=tuple(entry.errors),
        advice=() if off else tuple(guidance.warnings.get(one.name, ())),
        saved=saved,
        options=tuple(
            Option(value, label, value == entry.data) for value, label in one.choices.items()
        ),
        boxes=_boxes(one, str(entry.data or ""), sender, others) if one.kind == "senders" else (),
        ways=ways,
        known_by=known_by,
        beside=bool(ways) and (chosen not in ways or (chosen in known_by and not entry.data)),
    )


#: What the list of ways to sign in calls the usual one.
BY_PASSWORD = ""


def _known_by(one: Field) -> tuple[str, ...]:
    """The ways to sign in for which *one* may be left empty, because the vendor's is known."""
    return tuple(key for key, way in SIGN_INS.items() if way.knows(one.name))


def _ways(one: Field) -> tuple[str, ...]:
    """The ways to sign in for which *one* means anything; none where it always does.

    Without scripts the fields of other ways are hidden, but for the password: its hint says then
    that it is not used, for the way may be chosen and not yet sent.
    """
    if one.name == "password":
        return (BY_PASSWORD,)
    if one.place != "oauth" or one.name == "sign_in":
        return ()
    return tuple(key for key, way in SIGN_INS.items() if way.shows(one.name))


def _control(one: Field) -> Control:
    if one.kind == "flag":
        return "check"
    if one.kind == "choice":
        return "select"
    if one.kind == "senders":
        return "senders"
    return "textarea" if one.rows > 1 else "input"


def _kept(one: Field, form: SenderForm, sender: ResolvedSender) -> bool:
    """Whether the stored secret may still be used for what stands in the form."""
    if not one.secret or not sender.has_secret(one.name):
        return False
    same = form.driver_name == sender.values.driver and all(
        _text(form, other) == other.text(sender.values[other.name])
        for other in form.table
        if other.destination and other.name != "driver" and other.name not in sender.locked
    )
    return same or one.bound == "sender"


def _text(form: SenderForm, one: Field) -> str:
    entered = form[one.name].data
    return one.text(entered) if isinstance(entered, bool) else str(entered or "")


def _hint(one: Field, form: SenderForm, sender: ResolvedSender, guidance: Guidance) -> str:
    by_token = "sign_in" in form and bool(form["sign_in"].data)
    if one.secret and form.typed(one.name):  # a page never sends it back
        return gettext("Enter it again before you save. A page never shows it.")
    if by_token and one.name == "password":
        return gettext("Not used: this sender signs in by OAuth2.")
    if by_token and one.name == "username":
        return gettext("The address of the mailbox that sends, also of a shared one.")
    if one.name == "from_name":
        return _NO_NAME[not sender.partner_id]
    if not one.secret or not sender.has_secret(one.name):
        return guidance.hints.get(one.name) or one.help
    where = sender.values.place()
    if _kept(one, form, sender):
        if one.bound == "sender":
            return gettext("Leave empty to keep it.")
        return gettext("Leave empty to keep it. Only ever sent to %(where)s.", where=where)
    hint = guidance.hints.get(one.name) or one.help
    kept = gettext("The stored one is only ever sent to %(where)s.", where=where)
    return joined((hint, kept))


def _placeholder(one: Field, form: SenderForm, sender: ResolvedSender) -> str:
    if one.name == "from_name":
        return owner_name(sender.partner_id)
    return _mask(one, sender) if _kept(one, form, sender) else one.placeholder


def _mask(one: Field, sender: ResolvedSender) -> str:
    """What stands for a stored secret."""
    set_at = sender.secret_set_at(one.name)
    return (
        PASSWORD_MASK
        if set_at is None
        else gettext(
            "%(mask)s saved %(ago)s",
            mask=PASSWORD_MASK,
            ago=_days_ago(set_at),
        )
    )


def _days_ago(moment: datetime) -> str:
    days = (now() - moment).days
    return ngettext("%(number)s day ago", "%(number)s days ago", days) if days else gettext("today")


def _boxes(
    one: Field, text: str, sender: ResolvedSender, others: Sequence[ResolvedSender]
) -> tuple[Box, ...]:
    """A list for each sender that may step in, the first choice first."""
    names = {
        other.key or DEFAULT: other.label or other.key or gettext("the default one")
        for other in others
    }
    if sender.partner_id:
        names[SYSTEMS] = gettext("the system's sender")
    chosen = [word for word in re.split(r"[\s,]+", text) if word][:_MOST_FALLBACKS]
    names |= {
        word: gettext("%(word)s (not there)", word=word) for word in chosen if word not in names
    }
    count = min(_MOST_FALLBACKS, len(names))
    found = []
    for number in range(count):
        now_chosen = chosen[number] if number < len(chosen) else ""
        entries = {"": gettext("nobody")} | names
        options = tuple(
            Option(value, label, value == now_chosen) for value, label in entries.items()
        )
        place = "" if number == 0 else f"-{number + 1}"
        found.append(Box(f"{one.name}{place}", _ORDER[number], options))
    return tuple(found)
