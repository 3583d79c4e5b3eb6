"""Erase an address: nothing names it any more, and the numbers of mail stay what they were.

In rounds of some hundred rows, each in a transaction of its own, so that nobody waits for a lock. A
round that was done finds nothing more to do: whoever was interrupted begins again from the front.

A suppression keeps the address's hash, so that nobody writes to it by mistake. A mail that a server
is just being given stays until that is over.
"""

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Engine, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import among, changed, database_now, reading
from smtp_admin.delivery.acts import Doer
from smtp_admin.delivery.digest_models import DigestItem
from smtp_admin.delivery.mail_actions import cancel_queued, discard, note_lost
from smtp_admin.delivery.models import ERASED, Delivery, Message, address_parts
from smtp_admin.erasure.finding import Key, Search, keys_in_steps, mails_to, rows_of
from smtp_admin.erasure.places import PLACES, Place
from smtp_admin.suppression.models import Preference, ProviderRemoval, Suppression
from smtp_admin.suppression.reading import address_hash

_OPEN = ("queued", "sending", "dead", "uncertain")
#: What no two rows may have in common; and whatever stands around the address there goes too.
_OWN_NAMES = frozenset({"key", "idempotency_key"})
#: What may name a sender's own address, or is a name of the caller's, and says nothing of the text.
_BESIDE_THE_TEXT = frozenset({"envelope_from", "idempotency_key"})
_STEP = 500
_MAIL = next(one for one in PLACES if one.model is Delivery)

#: Of a row: its key and what becomes of its columns.
Change = tuple[Key, dict[str, Any]]


@dataclass(slots=True)
class Erased:
    """What came of it.

    Attributes:
        counts: place → rows that named the address.
        under_way: mails to it that a server was just being given.
        needed: further mails, whose text others still wait for.
        over: whether every place had its turn; else a worker goes on.
    """

    counts: dict[str, int] = field(default_factory=dict)
    under_way: int = 0
    needed: int = 0
    over: bool = False

    @property
    def count(self) -> int:
        """How many rows it were."""
        return sum(self.counts.values())

    @property
    def complete(self) -> bool:
        """Whether nothing is left."""
        return self.over and not (self.under_way or self.needed)


#: One round: it notes what it did, and its caller commits.
Round = Callable[[Session, Erased], None]


@dataclass(frozen=True, slots=True)
class _Some:
    """Some rows of one place, as they are in the transaction of a round.

    Attributes:
        mine: for mails, the ids of those that have the address among their recipients.
    """

    session: Session
    search: Search
    place: Place
    rows: Sequence[tuple[Key, Any]]
    mine: frozenset[int]


def rounds(engine: Engine, search: Search, by: Doer) -> Iterator[Round]:
    """What is to be done, one round after the other: each is found when those before are done.

    Mail that waits for the address is cancelled first, what failed is put aside. Settings of
    senders that name it stay: they are changed on their pages.

    Args:
        by: who asked for it.
    """
    for state, act in (("queued", cancel_queued), ("uncertain", note_lost), ("dead", discard)):
        with reading(engine) as session:
            mine = _to_address(search, Delivery.state == state)
            ids = session.scalars(select(Delivery.id).where(*mine)).all()
        for start in range(0, len(ids), _STEP):
            yield partial(_stop, act=act, ids=ids[start : start + _STEP], by=by)
    for place in PLACES:
        with reading(engine) as session:
            mails = mails_to(session, search) if place.model is Message else frozenset()
            steps = [*keys_in_steps(session, search, place, mails)]
        for keys in steps:
            yield partial(_erase, search=search, place=place, keys=keys, mine=mails)


def count_left(session: Session, search: Search) -> int:
    """Mails to the address that are not over."""
    left = _to_address(search, Delivery.state.in_(_OPEN))
    return session.scalar(select(func.count()).where(*left)) or 0


def _stop(session: Session, _done: Erased, *, act: Any, ids: Sequence[int], by: Doer) -> None:
    act(session, ids, database_now(session), by)


def _erase(
    session: Session,
    done: Erased,
    *,
    search: Search,
    place: Place,
    keys: list[Key],
    mine: frozenset[int],
) -> None:
    found = [*rows_of(session, search, place, keys, mine)]
    some = _Some(session, search, place, found, mine)
    count = _ERASERS.get(place.model, _erase_words)(some, done)
    if count:
        done.counts[place.key] = done.counts.get(place.key, 0) + count


def _write(some: _Some, changes: Iterable[Change], *only: ColumnElement[bool]) -> int:
    """Change rows, those that become the same at once; how many.

    Args:
        only: what must still be so of a row, which may have changed since it was read.
    """
    model = some.place.model
    keys, count = model.__mapper__.primary_key, 0
    alike: dict[tuple[tuple[str, Any], ...], list[Key]] = defaultdict(list)
    for key, values in changes:
        alike[tuple(values.items())].append(key)
    for after, rows in alike.items():
        if len(keys) == 1:
            which = [[among(some.session, keys[0], [one for (one,) in rows])]]
        else:
            which = [
                [column == part for column, part in zip(keys, key, strict=True)] for key in rows
            ]
        for one in which:
            written = update(model).where(*one, *only).values(**dict(after))
            count += changed(some.session, written)
    return count


def _without(some: _Some, row: Any) -> dict[str, Any]:
    """What becomes of the columns of a row that name the address."""
    search, place, values = some.search, some.place, {}
    for name in search.columns(place):
        before = getattr(row, name)
        if not search.stands_in(place, name, before):
            continue
        if name in _OWN_NAMES:
            values[name] = _new_key()
            continue
        after = ERASED if name in place.whole else search.shape.sub(ERASED, before)
        # Of the shortest addresses it is longer than they are.
        values[name] = after[: getattr(place.column(name).type, "length", None)]
    return values


def _new_key() -> str:
    """A key of a row's own: one that could be guessed might be in use by then, and in our way."""
    return f"{ERASED}-{secrets.token_hex(12)}"


def _erase_words(some: _Some, _done: Erased) -> int:
    """Replace the address in the columns of a place."""
    return _write(some, [(key, _without(some, row)) for key, row in some.rows])


def _erase_texts(some: _Some, done: Erased) -> int:
    """Forget the texts of mail to the address, unless somebody else still waits for them."""
    session, search = some.session, some.search
    needed = _needed(session, {row.copy_of or row.id for _, row in some.rows})
    others: list[Change] = []
    texts: list[Change] = []
    asked: list[int] = []
    for key, row in some.rows:
        values = _without(some, row)
        if row.id not in some.mine and values and values.keys() <= _BESIDE_THE_TEXT:
            others.append((key, values))
            continue
        asked.append(row.id)
        if row.id in some.mine and (row.copy_of or row.id) in needed:
            continue
        key_words = (row.idempotency_key or "").lower()
        if search.address in key_words or address_hash(search.address) in key_words:
            values["idempotency_key"] = _new_key()
        texts.append((key, {**values, "content": b"", "subject": "", "batch_recipient": None}))
    waits = exists().where(Delivery.message_pk == Message.id, Delivery.state.in_(_OPEN))
    # What was emptied before is not counted again.
    full = or_(Message.content != b"", Message.subject != "")
    count = _write(some, texts, ~waits, full) + _write(some, others)
    left = select(func.count()).where(among(session, Message.id, asked), Message.content != b"")
    done.needed += session.scalar(left) or 0
    return count


def _needed(session: Session, firsts: Iterable[int]) -> set[int]:
    """Those of mails, each with its copies, that somebody waits for.

    All stay together: by the recipients of one the others are found again.
    """
    first = func.coalesce(Message.copy_of, Message.id)
    waits = select(first).join(Delivery, Delivery.message_pk == Message.id)
    waits = waits.where(Delivery.state.in_(_OPEN)).distinct()
    ids = [*firsts]
    return {
        one
        for column in (Message.id, Message.copy_of)
        for one in session.scalars(waits.where(among(session, column, ids)))
    }


def _erase_deliveries(some: _Some, _done: Erased) -> int:
    others: list[Change] = []
    to_it: list[Change] = []
    for key, row in some.rows:
        values = _without(some, row)
        if row.recipient.lower() != some.search.address:
            others.append((key, values))
            continue
        to_it.append((key, values | {"domain": "", "mailbox": ERASED, "recipient_key": None}))
    # One that somebody queued again just now would go to nobody; and by its recipients a text is
    # found again that others wait for.
    gone = exists().where(Message.id == Delivery.message_pk, Message.content == b"")
    count = _write(some, to_it, Delivery.state.not_in(_OPEN), gone)
    return count + _write(some, others)


def _to_address(search: Search, *more: ColumnElement[bool]) -> tuple[ColumnElement[bool], ...]:
    domain, mailbox = address_parts(search.address)
    mine = (Delivery.domain == domain, Delivery.mailbox == mailbox)
    return (*mine, *search.within(_MAIL), *search.early(_MAIL), *more)


def _erase_items(some: _Some, _done: Erased) -> int:
    ids = [one for (one,), _ in some.rows]
    return changed(some.session, delete(DigestItem).where(among(some.session, DigestItem.id, ids)))


def _erase_suppressions(some: _Some, _done: Erased) -> int:
    found: list[Change] = []
    for key, row in some.rows:
        values = _without(some, row)
        if row.address_hash == address_hash(some.search.address):
            values |= {"address": "", "created_by": "", "detail": ""}
        # Found by its hash, it may have been through this before.
        if any(getattr(row, name) != after for name, after in values.items()):
            found.append((key, values))
    return _write(some, found)


def _erase_preferences(some: _Some, _done: Erased) -> int:
    mine = (Preference.address_hash == address_hash(some.search.address),)
    return changed(some.session, delete(Preference).where(*mine, *some.search.within(some.place)))


def _erase_removals(some: _Some, _done: Erased) -> int:
    mine = ProviderRemoval.address_hash == address_hash(some.search.address)
    return changed(
        some.session, delete(ProviderRemoval).where(mine, *some.search.within(some.place))
    )


_ERASERS: dict[Any, Callable[[_Some, Erased], int]] = {
    Message: _erase_texts,
    Delivery: _erase_deliveries,
    DigestItem: _erase_items,
    Suppression: _erase_suppressions,
    Preference: _erase_preferences,
    ProviderRemoval: _erase_removals,
}
