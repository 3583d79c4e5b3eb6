"""The fields of a sender as the page shows them: in rows, each with what stands beside it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any, Literal

from smtp_admin.clock import now
from smtp_admin.installation import installation
from smtp_admin.pages.guidance import Guidance
from smtp_admin.pages.sender_form import SenderForm
from smtp_admin.senders.cleaning import DEFAULT, SYSTEMS
from smtp_admin.senders.fields import common_fields
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.transports.fields import Field
from smtp_admin.transports.smtp.fields import PASSWORD_MASK

Control = Literal["input", "select", "textarea", "check", "senders"]
_MOST_FALLBACKS = 5
_ORDER = ("First", "Then", "Third", "Fourth", "Fifth")
_NAMED_IN_SUMMARY = 2
#: What stands beside a box that is on unless somebody took the tick away.
_OFF = {
    "verify_tls": "Insecure: anybody on the way can pretend to be this server and read mail and "
    "password.",
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
        saved: what is saved now, where somebody else saved meanwhile; else ``None``.
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
    advice: tuple[str, ...] = ()
    saved: str | None = None
    options: tuple[Option, ...] = ()
    boxes: tuple[Box, ...] = ()

    @property
    def name(self) -> str:
        """Its name and its id on the page."""
        return self.field.name


@dataclass(frozen=True, slots=True)
class Row:
    """Fields beside each other.

    Attributes:
        shape: ``place`` for where mail goes: one wide field and the short ones that belong to it.
        offers: whether what the provider documents for these fields is offered below them.
    """

    fields: tuple[ShownField, ...]
    shape: Literal["one", "two", "three", "place"]
    offers: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The rows of the form.

    Attributes:
        more: what most people leave alone.
        summary: what stands on the lid of that.
        open: whether something in there wants to be seen.
    """

    main: tuple[Row, ...]
    more: tuple[Row, ...]
    summary: str
    open: bool


def layout(
    form: SenderForm,
    sender: ResolvedSender,
    guidance: Guidance,
    *,
    others: Iterable[ResolvedSender] = (),
    saved: Mapping[str, str] | None = None,
) -> Layout:
    """How *form* looks.

    Args:
        others: those who may step in.
        saved: field → what somebody else saved meanwhile.
    """
    shown = {
        one.name: _shown(one, form, sender, guidance, list(others), (saved or {}).get(one.name))
        for one in form.table
        if one.name != "driver"
    }
    common = {one.name for one in common_fields()}
    own = [one for name, one in shown.items() if name not in common]
    shared = [one for name, one in shown.items() if name in common]
    more = [one for one in (*shared, *own) if one.field.place == "more"]
    return Layout(
        main=(*_rows(_in(own, "main")), *_rows(_in(shared, "main"))),
        more=tuple(_with_offers([*_rows(_in(shared, "more")), *_rows(_in(own, "more"))], guidance)),
        summary=_summary([one.field for one in more]),
        open=any(one.errors or one.bad or one.saved is not None for one in more)
        or any(one.taken for one in guidance.limits),
    )


def _in(fields: Iterable[ShownField], place: str) -> list[ShownField]:
    return [one for one in fields if one.field.place == place]


def _shown(
    one: Field,
    form: SenderForm,
    sender: ResolvedSender,
    guidance: Guidance,
    others: Sequence[ResolvedSender],
    saved: str | None,
) -> ShownField:
    entry = form[one.name]
    locked = sender.locked.get(one.name, "")
    off = _OFF.get(one.name, "") if one.kind == "flag" and not entry.data else ""
    return ShownField(
        field=one,
        label=one.label,
        control=_control(one),
        value="" if one.secret or entry.data is None else entry.data,
        hint=off or _hint(one, form, sender, guidance),
        placeholder=_placeholder(one, form, sender),
        locked=locked,
        bad=bool(off),
        errors=tuple(str(text) for text in entry.errors),
        advice=() if off else tuple(guidance.warnings.get(one.name, ())),
        saved=saved,
        options=tuple(
            Option(value, label, value == entry.data) for value, label in one.choices.items()
        ),
        boxes=_boxes(one, str(entry.data or ""), sender, others) if one.kind == "senders" else (),
    )


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
    if not one.secret or not sender.has_secret(one.name):
        return guidance.hints.get(one.name) or one.help
    where = sender.values.place()
    if _kept(one, form, sender):
        bound = "" if one.bound == "sender" else f" Only ever sent to {where}."
        return f"Leave empty to keep it.{bound}"
    hint = guidance.hints.get(one.name) or one.help
    return f"{hint} The stored one is only ever sent to {where}."


def _placeholder(one: Field, form: SenderForm, sender: ResolvedSender) -> str:
    if one.name == "from_name":
        return installation().config.app_name
    if not _kept(one, form, sender):
        return one.placeholder
    set_at = sender.secret_set_at(one.name)
    return PASSWORD_MASK if set_at is None else f"{PASSWORD_MASK} saved {_days_ago(set_at)}"


def _days_ago(moment: datetime) -> str:
    days = (now() - moment).days
    return "today" if days == 0 else f"{days} day{'' if days == 1 else 's'} ago"


def _boxes(
    one: Field, text: str, sender: ResolvedSender, others: Sequence[ResolvedSender]
) -> tuple[Box, ...]:
    """A list for each sender that may step in, the first choice first."""
    names = {
        other.key or DEFAULT: other.label or other.key or "the default one" for other in others
    }
    if sender.partner_id:
        names[SYSTEMS] = "the system's sender"
    chosen = [word for word in re.split(r"[\s,]+", text) if word][:_MOST_FALLBACKS]
    names |= {word: f"{word} (not there)" for word in chosen if word not in names}
    count = min(_MOST_FALLBACKS, len(names))
    found = []
    for number in range(count):
        now_chosen = chosen[number] if number < len(chosen) else ""
        entries = {"": "nobody"} | names
        options = tuple(
            Option(value, label, value == now_chosen) for value, label in entries.items()
        )
        place = "" if number == 0 else f"-{number + 1}"
        found.append(Box(f"{one.name}{place}", _ORDER[number], options))
    return tuple(found)


def _rows(fields: list[ShownField]) -> Iterator[Row]:
    """Wide fields two by two, short ones up to three, large ones alone.

    A short field that says where mail goes stands beside the wide one before it.
    """
    waiting: list[ShownField] = []
    for (size, _), run in groupby(fields, key=lambda one: (_size(one), one.field.destination)):
        members = list(run)
        if size == "short" and members[0].field.destination and waiting:
            yield from _chunks(waiting[:-1], 2)
            yield Row((waiting[-1], *members), "place")
            waiting = []
            continue
        if size == "wide":
            waiting += members
            continue
        yield from _chunks(waiting, 2)
        waiting = []
        yield from _chunks(members, 3 if size == "short" else 1)
    yield from _chunks(waiting, 2)


def _with_offers(rows: list[Row], guidance: Guidance) -> Iterator[Row]:
    """The same rows; below those that a limit of the provider would fill, it is offered."""
    filled = {name for one in guidance.limits for name in one.fields}
    for row in rows:
        offers = not guidance.filled_in and any(one.name in filled for one in row.fields)
        yield replace(row, offers=offers)


def _size(one: ShownField) -> Literal["wide", "short", "large"]:
    if one.control in {"textarea", "check", "senders"}:
        return "large"
    return "short" if one.field.kind in {"number", "choice"} else "wide"


def _chunks(fields: Sequence[ShownField], most: int) -> Iterator[Row]:
    shapes: tuple[Literal["one", "two", "three"], ...] = ("one", "two", "three")
    for start in range(0, len(fields), most):
        members = tuple(fields[start : start + most])
        yield Row(members, shapes[len(members) - 1] if most != 1 else "one")


def _summary(fields: list[Field]) -> str:
    """What is in there: the first few by name, the others counted."""
    names = [one.title for one in fields]
    first = (
        [names[0], *(_in_a_sentence(one) for one in names[1:_NAMED_IN_SUMMARY])] if names else []
    )
    left = len(names) - len(first)
    return ", ".join(first) + (f" and {left} more" if left > 0 else "")


def _in_a_sentence(name: str) -> str:
    return name[0].lower() + name[1:] if name[1:2].islower() else name
