"""Erase an address: nothing names it any more, and the numbers of mail stay what they were.

A suppression keeps the address's hash, so that nobody writes to it by mistake. A mail that a server
is just being given stays until that is over: whoever erases is told, and does it again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session

from smtp_admin.audit.service import record
from smtp_admin.database import SYSTEM, among, changed, database_now
from smtp_admin.delivery.digest_models import DigestItem
from smtp_admin.delivery.mail_actions import cancel_queued, discard, note_lost
from smtp_admin.delivery.models import Delivery, Message, address_parts
from smtp_admin.erasure.finding import ERASED, Search, mails_to, rows
from smtp_admin.erasure.places import PLACES, Place
from smtp_admin.host import Actor
from smtp_admin.suppression.models import Preference, Suppression
from smtp_admin.suppression.reading import address_hash

_OPEN = ("queued", "sending", "dead", "uncertain")
#: What no two rows may have in common; and whatever stands around the address there goes too.
_OWN_NAMES = frozenset({"key", "idempotency_key"})
#: What may name a sender's own address, or is a name of the caller's, and says nothing of the text.
_BESIDE_THE_TEXT = frozenset({"envelope_from", "idempotency_key"})
_STEP = 500

#: Of a row: its key and what becomes of its columns.
Change = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(slots=True)
class Erased:
    """What came of it.

    Attributes:
        counts: place → rows that named the address.
        under_way: mails to it that a server was just being given.
        needed: mails to several, whose text others still wait for.
    """

    counts: dict[str, int] = field(default_factory=dict)
    under_way: int = 0
    needed: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing is left."""
        return not (self.under_way or self.needed)


def erase(session: Session, actor: Actor, search: Search) -> Erased:
    """Erase what is known about an address; the caller commits.

    Mail that waits for it is cancelled. Settings of senders that name it stay: they are changed on
    their pages.
    """
    done = Erased()
    _stop_mail(session, search)
    for place in PLACES:
        count = _ERASERS.get(place.model, _erase_words)(session, search, place, done)
        if count:
            done.counts[place.key] = count
    owners = [SYSTEM] if search.partner_ids is None else search.partner_ids
    detail = f"{sum(done.counts.values())} records of {address_hash(search.address)}"
    for owner in owners:
        record(session, actor, owner, "address.erased", detail)
    return done


def _stop_mail(session: Session, search: Search) -> None:
    """Let nothing more go to the address: what waits is cancelled, what failed is put aside."""
    moment = database_now(session)
    place = next(one for one in PLACES if one.model is Delivery)
    for state, act in (("queued", cancel_queued), ("uncertain", note_lost), ("dead", discard)):
        mine = _to_address(search, place, Delivery.state == state)
        ids = session.scalars(select(Delivery.id).where(*mine)).all()
        for start in range(0, len(ids), _STEP):
            act(session, ids[start : start + _STEP], moment)


def _write(
    session: Session, place: Place, changes: Iterator[Change], *only: ColumnElement[bool]
) -> tuple[int, int]:
    """Change rows, those of one step that become the same at once; how many, and how many not.

    Args:
        only: what must still be so of a row, which may have changed since it was read.
    """
    keys, count, missed = place.model.__mapper__.primary_key, 0, 0
    while some := [*islice(changes, _STEP)]:
        alike: dict[tuple[tuple[str, Any], ...], list[tuple[Any, ...]]] = defaultdict(list)
        for key, values in some:
            alike[tuple(values.items())].append(key)
        for after, rows_of in alike.items():
            if len(keys) == 1:
                which = [[among(session, keys[0], [one for (one,) in rows_of])]]
            else:
                which = [
                    [column == part for column, part in zip(keys, key, strict=True)]
                    for key in rows_of
                ]
            written = sum(
                changed(session, update(place.model).where(*one, *only).values(**dict(after)))
                for one in which
            )
            count, missed = count + written, missed + len(rows_of) - written
    return count, missed


def _without(search: Search, place: Place, key: tuple[Any, ...], row: Any) -> dict[str, Any]:
    """What becomes of the columns of a row that name the address."""
    values = {}
    for name in search.columns(place):
        before = getattr(row, name)
        if not search.stands_in(place, name, before):
            continue
        if name in _OWN_NAMES:
            values[name] = f"{ERASED}-{key[0]}"
            continue
        after = ERASED if name in place.whole else search.shape.sub(ERASED, before)
        # Of the shortest addresses it is longer than they are.
        values[name] = after[: getattr(place.column(name).type, "length", None)]
    return values


def _erase_words(session: Session, search: Search, place: Place, _done: Erased) -> int:
    """Replace the address in the columns of a place."""
    found = ((key, _without(search, place, key, row)) for key, row in rows(session, search, place))
    return _write(session, place, found)[0]


def _erase_texts(session: Session, search: Search, place: Place, done: Erased) -> int:
    """Forget the texts of mail to the address, unless somebody else still waits for them."""
    mine = mails_to(session, search)
    needed = _needed(session, mine)
    others: list[Change] = []

    def texts() -> Iterator[Change]:
        for key, row in rows(session, search, place):
            if (row.copy_of or row.id) in needed:
                done.needed += 1
                continue
            values = _without(search, place, key, row)
            if row.id not in mine and values and values.keys() <= _BESIDE_THE_TEXT:
                others.append((key, values))
                continue
            if search.address in (row.idempotency_key or "").lower():
                values["idempotency_key"] = f"{ERASED}-{row.id}"
            yield key, {**values, "content": b"", "subject": "", "batch_recipient": None}

    waits = exists().where(Delivery.message_pk == Message.id, Delivery.state.in_(_OPEN))
    count, missed = _write(session, place, texts(), ~waits)
    done.needed += missed
    return count + _write(session, place, iter(others))[0]


def _needed(session: Session, message_ids: Iterable[int]) -> set[int]:
    """Those of mails and copies that somebody waits for, by the first of each.

    All stay together: by the recipients of one the others are found again.
    """
    first = func.coalesce(Message.copy_of, Message.id)
    found: set[int] = set()
    ids = iter(sorted(message_ids))
    while some := [*islice(ids, _STEP)]:
        waits = select(first).join(Delivery, Delivery.message_pk == Message.id)
        waits = waits.where(among(session, Message.id, some), Delivery.state.in_(_OPEN))
        found |= {*session.scalars(waits.distinct())}
    return found


def _erase_deliveries(session: Session, search: Search, place: Place, done: Erased) -> int:
    others: list[Change] = []

    def to_it() -> Iterator[Change]:
        for key, row in rows(session, search, place):
            values = _without(search, place, key, row)
            if row.recipient.lower() != search.address:
                others.append((key, values))
                continue
            yield key, values | {"domain": "", "mailbox": ERASED, "recipient_key": None}

    # One that somebody queued again just now would go to nobody; and by its recipients a text is
    # found again that others wait for.
    gone = exists().where(Message.id == Delivery.message_pk, Message.content == b"")
    count, _ = _write(session, place, to_it(), Delivery.state.not_in(_OPEN), gone)
    left = _to_address(search, place, Delivery.state.in_(_OPEN))
    done.under_way = session.scalar(select(func.count()).where(*left)) or 0
    return count + _write(session, place, iter(others))[0]


def _to_address(
    search: Search, place: Place, *more: ColumnElement[bool]
) -> tuple[ColumnElement[bool], ...]:
    domain, mailbox = address_parts(search.address)
    return (Delivery.domain == domain, Delivery.mailbox == mailbox, *search.within(place), *more)


def _erase_items(session: Session, search: Search, place: Place, _done: Erased) -> int:
    found = (key for (key,), _ in rows(session, search, place))
    count = 0
    while some := [*islice(found, _STEP)]:
        count += changed(session, delete(DigestItem).where(among(session, DigestItem.id, some)))
    return count


def _erase_suppressions(session: Session, search: Search, place: Place, _done: Erased) -> int:
    def found() -> Iterator[Change]:
        for key, row in rows(session, search, place):
            values = _without(search, place, key, row)
            if row.address_hash == address_hash(search.address):
                values |= {"address": "", "created_by": "", "detail": ""}
            yield key, values

    return _write(session, place, found())[0]


def _erase_preferences(session: Session, search: Search, place: Place, _done: Erased) -> int:
    mine = (Preference.address_hash == address_hash(search.address), *search.within(place))
    return changed(session, delete(Preference).where(*mine))


_ERASERS: dict[Any, Any] = {
    Message: _erase_texts,
    Delivery: _erase_deliveries,
    DigestItem: _erase_items,
    Suppression: _erase_suppressions,
    Preference: _erase_preferences,
}
