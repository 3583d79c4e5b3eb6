"""The fields of a sender as the page shows them, in rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from smtp_admin.pages.guidance import Guidance
from smtp_admin.pages.sender_form import SenderForm
from smtp_admin.pages.shown_field import ShownField, shown_field
from smtp_admin.senders.fields import common_fields
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext, in_sentence, joined
from smtp_admin.transports.fields import Field

_NAMED_IN_SUMMARY = 2


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
        oauth: how to sign in, and what OAuth2 needs for that.
        more: what most people leave alone.
        summary: what stands on the lid of that.
        open: whether something in there wants to be seen; ``oauth_open`` the same of the other.
    """

    main: tuple[Row, ...]
    oauth: tuple[ShownField, ...]
    oauth_open: bool
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
        one.name: shown_field(
            one, form, sender, guidance, list(others), (saved or {}).get(one.name)
        )
        for one in form.table
        if one.name != "driver"
    }
    common = {one.name for one in common_fields()}
    own = [one for name, one in shown.items() if name not in common]
    shared = [one for name, one in shown.items() if name in common]
    more = [one for one in (*shared, *own) if one.field.place == "more"]
    oauth = _in(own, "oauth")
    return Layout(
        main=(*_rows(_in(own, "main")), *_rows(_in(shared, "main"))),
        oauth=tuple(oauth),
        oauth_open=any(one.errors or one.saved is not None or one.locked for one in oauth)
        or bool(oauth and oauth[0].value)
        or (guidance.wants_oauth and "password" in shown and not shown["password"].kept),
        more=tuple(_with_offers([*_rows(_in(shared, "more")), *_rows(_in(own, "more"))], guidance)),
        summary=_summary([one.field for one in more]),
        open=any(one.errors or one.bad or one.saved is not None for one in more)
        or any(one.taken for one in guidance.limits),
    )


def _in(fields: Iterable[ShownField], place: str) -> list[ShownField]:
    return [one for one in fields if one.field.place == place]


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
    first = [names[0], *(in_sentence(one) for one in names[1:_NAMED_IN_SUMMARY])] if names else []
    left = len(names) - len(first)
    shown = joined(first, ", ")
    return gettext("%(names)s and %(number)s more", names=shown, number=left) if left > 0 else shown
