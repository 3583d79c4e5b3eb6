"""Find what is known about one address."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, and_, false, func, literal, or_, select
from sqlalchemy.orm import Session, defer

from smtp_admin.database import among
from smtp_admin.delivery.models import Delivery, Message, address_parts
from smtp_admin.erasure.places import PLACES, Place
from smtp_admin.suppression.models import Preference, Suppression
from smtp_admin.suppression.reading import address_hash

#: Rows that are read at once; with the texts of their mails fewer.
_STEP, _FEW = 500, 50
_BY_HASH = (Suppression, Preference)

#: What the columns of a primary key hold.
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Search:
    """Whom to look for, and where.

    Attributes:
        partner_ids: only what is theirs; ``None`` for everybody's.
        texts: look through the texts of mail to others too, which takes long where there is much.
        until: place → the last row to look at, for places that have a last one.
    """

    address: str
    partner_ids: Sequence[str] | None = None
    texts: bool = False
    until: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def shape(self) -> re.Pattern[str]:
        """The address as it stands in a text, and not as a part of a longer one.

        In quotes it is whole, though an address may hold one too; and JSON writes the end of a
        line as a letter.
        """
        before = r"(?:(?<![\w.%+'-])|(?<=')(?<!\w')|(?<=\\[nrt]))"
        return re.compile(rf"{before}{re.escape(self.address)}(?![\w-]|\.\w)", re.IGNORECASE)

    def within(self, place: Place) -> tuple[ColumnElement[bool], ...]:
        """Whether a row is one of those to look at."""
        return () if self.partner_ids is None else (place.within(self.partner_ids),)

    def early(self, place: Place) -> tuple[ColumnElement[bool], ...]:
        """Whether a row was there in time."""
        last = self.until.get(place.key)
        return () if last is None else (place.column("id") <= last,)

    def untold(self, place: Place) -> frozenset[str]:
        """The columns of a place that whoever looks must not have."""
        return place.of_platform | place.not_told if self._is_partners else frozenset()

    def columns(self, place: Place) -> tuple[str, ...]:
        """Those of a place that may be looked through, and changed."""
        hidden = place.of_platform if self._is_partners else ()
        return tuple(one for one in place.columns if one not in hidden)

    @property
    def _is_partners(self) -> bool:
        return self.partner_ids is not None

    def stands_in(self, place: Place, name: str, text: str | None) -> bool:
        """Whether the address stands in *text* of a column, as a whole."""
        if not text:
            return False
        if name in place.whole:
            return text.lower() == self.address
        return bool(self.shape.search(text))


@dataclass(slots=True)
class FoundIn:
    """The rows of one place.

    Attributes:
        hashes: how many of them keep a hash of the address and nothing else: what erasing leaves.
        without_text: of mails, how many have lost their text already, as it was erased once sent.
    """

    place: Place
    ids: list[Any] = field(default_factory=list)
    hashes: int = 0
    without_text: int = 0

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.ids)

    @property
    def can_be_erased(self) -> bool:
        """Whether any of them says more than a hash."""
        return self.count > self.hashes


def find(session: Session, search: Search) -> list[FoundIn]:
    """The places where the address stands, each with the keys of its rows; empty ones are left out.

    Every text is looked through, so it takes seconds where there are millions of mails.
    """
    found = []
    for place in PLACES:
        one = FoundIn(place)
        for key, row in rows(session, search, place):
            one.ids.append(key)
            one.hashes += isinstance(row, Suppression) and not row.address
        if one.ids:
            one.without_text = _without_text(session, one)
            found.append(one)
    return found


def _without_text(session: Session, found: FoundIn) -> int:
    if found.place.model is not Message:
        return 0
    ids = [key for (key,) in found.ids]
    bare = (among(session, Message.id, ids), Message.content == b"")
    return session.scalar(select(func.count()).where(*bare)) or 0


def rows(
    session: Session, search: Search, place: Place, *, texts: bool = False
) -> Iterator[tuple[Key, Any]]:
    """Key and row of what names the address in one place, in the order of the keys.

    Some at a time, so that a hundred thousand mails to one address are no matter. The rows belong
    to no session.

    Args:
        texts: with the bytes of mails, which else are read only to look through them.
    """
    mine = mails_to(session, search) if place.model is Message else frozenset()
    for some in keys_in_steps(session, search, place, mine, texts=texts):
        yield from rows_of(session, search, place, some, mine, texts=texts)


def keys_in_steps(
    session: Session, search: Search, place: Place, mine: frozenset[int], *, texts: bool = False
) -> Iterator[list[Key]]:
    """Keys of what may name the address, in their order, as many as are read at once.

    Args:
        mine: for mails, what :func:`mails_to` finds.
        texts: with the bytes of mails.
    """
    columns = place.model.__mapper__.primary_key
    may = (*search.within(place), *search.early(place), _may_name(session, search, place))
    found = {tuple(row) for row in session.execute(select(*columns).where(*may))}
    keys = iter(sorted(found | {(one,) for one in mine}))
    most = _FEW if texts or search.texts else _STEP
    return iter(lambda: [*islice(keys, most)], [])


def rows_of(
    session: Session,
    search: Search,
    place: Place,
    some: list[Key],
    mine: frozenset[int],
    *,
    texts: bool = False,
) -> Iterator[tuple[Key, Any]]:
    """Those of some rows that name the address, as they are now, each with its key."""
    for key, row in _loaded(session, search, place, some, texts=texts or search.texts):
        if _is_of(search, row, mine) or _names(search, place, row):
            yield key, row


def _loaded(
    session: Session, search: Search, place: Place, some: list[Key], *, texts: bool
) -> Iterator[tuple[Key, Any]]:
    keys = place.model.__mapper__.primary_key
    if len(keys) == 1:
        these = among(session, keys[0], [key for (key,) in some])
    else:
        these = or_(
            *(and_(*(one == part for one, part in zip(keys, key, strict=True))) for key in some)
        )
    wanted = select(place.model).where(*search.within(place), these).order_by(*keys)
    if place.model is Message and not texts:
        wanted = wanted.options(defer(Message.content))
    for row in session.scalars(wanted.execution_options(populate_existing=True)).all():
        session.expunge(row)
        yield tuple(getattr(row, str(one.key)) for one in keys), row


def _is_of(search: Search, row: Any, mine: frozenset[int]) -> bool:
    """Whether a row belongs to the address without naming it: its mail, or its hash."""
    if isinstance(row, Message):
        return row.id in mine
    return isinstance(row, _BY_HASH) and row.address_hash == address_hash(search.address)


def _may_name(session: Session, search: Search, place: Place) -> ColumnElement[bool]:
    found: list[ColumnElement[bool]] = [
        func.lower(place.column(name)) == search.address
        if name in place.whole
        else func.lower(place.column(name)).contains(search.address, autoescape=True)
        for name in search.columns(place)
    ]
    if place.model is Message and search.texts:
        found.append(_in_text(session, search))
    if place.model in _BY_HASH:
        found.append(place.column("address_hash") == address_hash(search.address))
    return or_(false(), *found)


def _in_text(session: Session, search: Search) -> ColumnElement[bool]:
    """Whether the bytes of a mail hold the address as it is; encoded text is not looked into."""
    wanted = literal(search.address.encode("utf-8"), LargeBinary)
    if session.get_bind().dialect.name == "postgresql":
        return func.position(wanted.op("IN")(Message.content)) > 0
    return func.instr(Message.content, wanted) > 0


def mails_to(session: Session, search: Search) -> frozenset[int]:
    """The ids of mails that have the address among their recipients.

    With what they were copied from, and its other copies: the header of each names everybody.
    """
    mine = select(Message.id, Message.copy_of).where(Message.id.in_(messages_to(search)))
    if search.partner_ids is not None:
        mine = mine.where(Message.partner_id.in_(search.partner_ids))
    found = {row.id: row.copy_of for row in session.execute(mine)}
    firsts = [first or one for one, first in found.items()]
    copies: set[int] = set()
    for start in range(0, len(firsts), _STEP):
        some = firsts[start : start + _STEP]
        copies |= {
            *session.scalars(select(Message.id).where(among(session, Message.copy_of, some)))
        }
    return frozenset(found.keys() | {*firsts} | copies)


def messages_to(search: Search) -> Any:
    """The ids of mails that have the address among their recipients."""
    domain, mailbox = address_parts(search.address)
    place = next(one for one in PLACES if one.model is Delivery)
    return select(Delivery.message_pk).where(
        Delivery.domain == domain, Delivery.mailbox == mailbox, *search.early(place)
    )


def _names(search: Search, place: Place, row: Any) -> bool:
    if any(search.stands_in(place, name, getattr(row, name)) for name in search.columns(place)):
        return True
    in_text = search.texts and isinstance(row, Message)
    return in_text and bool(search.shape.search(bytes(row.content).decode("utf-8", "replace")))
