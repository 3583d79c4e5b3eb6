"""Find what is known about one address."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, func, literal, or_, select
from sqlalchemy.orm import Session

from smtp_admin.delivery.models import Delivery, Message, address_parts
from smtp_admin.erasure.places import PLACES, Place
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.reading import address_hash

#: What stands in place of an erased address.
ERASED = "erased"
_STEP = 1000


@dataclass(frozen=True, slots=True)
class Search:
    """Whom to look for, and where.

    Attributes:
        partner_ids: only what is theirs; ``None`` for everybody's.
        texts: look through the texts of mail to others too, which takes long where there is much.
    """

    address: str
    partner_ids: Sequence[str] | None = None
    texts: bool = False

    @property
    def shape(self) -> re.Pattern[str]:
        """The address as it stands in a text, and not as a part of a longer one."""
        return re.compile(rf"(?<![\w.%+'-]){re.escape(self.address)}(?![\w-]|\.\w)", re.IGNORECASE)

    def within(self, place: Place) -> tuple[ColumnElement[bool], ...]:
        """Whether a row is one of those to look at."""
        return () if self.partner_ids is None else (place.within(self.partner_ids),)


@dataclass(slots=True)
class FoundIn:
    """The rows of one place."""

    place: Place
    ids: list[Any] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.ids)


def find(session: Session, search: Search) -> list[FoundIn]:
    """The places where the address stands, each with the keys of its rows; empty ones are left out.

    Every text is looked through, so it takes seconds where there are millions of mails.
    """
    found = []
    for place in PLACES:
        one = FoundIn(place, [key for key, _ in rows(session, search, place)])
        if one.ids:
            found.append(one)
    return found


def rows(session: Session, search: Search, place: Place) -> Iterator[tuple[Any, Any]]:
    """Key and row of what names the address in one place, in the order of the keys."""
    keys = place.model.__mapper__.primary_key
    wanted = select(place.model).where(*search.within(place), _may_name(session, search, place))
    to_it = {*session.scalars(messages_to(search))} if place.model is Message else set()
    for row in session.scalars(wanted.order_by(*keys)).all():
        if row_is_of(search, row, to_it) or _names(search, place, row):
            yield tuple(getattr(row, str(one.key)) for one in keys), row


def row_is_of(search: Search, row: Any, to_it: Collection[int]) -> bool:
    """Whether a row belongs to the address without naming it: its mail, or its hash."""
    if isinstance(row, Message):
        return row.id in to_it
    return isinstance(row, Suppression) and row.address_hash == address_hash(search.address)


def _may_name(session: Session, search: Search, place: Place) -> ColumnElement[bool]:
    found: list[ColumnElement[bool]] = [
        func.lower(place.column(name)).contains(search.address, autoescape=True)
        for name in place.columns
    ]
    if place.model is Message:
        found.append(Message.id.in_(messages_to(search)))
        if search.texts:
            found.append(_in_text(session, search))
    if place.model is Suppression:
        found.append(Suppression.address_hash == address_hash(search.address))
    return or_(*found)


def _in_text(session: Session, search: Search) -> ColumnElement[bool]:
    """Whether the bytes of a mail hold the address as it is; encoded text is not looked into."""
    wanted = literal(search.address.encode("utf-8"), LargeBinary)
    if session.get_bind().dialect.name == "postgresql":
        return func.position(wanted.op("IN")(Message.content)) > 0
    return func.instr(Message.content, wanted) > 0


def messages_to(search: Search) -> Any:
    """The ids of mails that have the address among their recipients."""
    domain, mailbox = address_parts(search.address)
    return select(Delivery.message_pk).where(Delivery.domain == domain, Delivery.mailbox == mailbox)


def _names(search: Search, place: Place, row: Any) -> bool:
    shape = search.shape
    if any(shape.search(str(getattr(row, name) or "")) for name in place.columns):
        return True
    in_text = search.texts and isinstance(row, Message)
    return in_text and bool(shape.search(bytes(row.content).decode("utf-8", "replace")))
