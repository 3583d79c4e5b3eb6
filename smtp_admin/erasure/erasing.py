"""Erase an address: nothing names it any more, and the numbers of mail stay what they were.

A suppression keeps the address's hash, so that nobody writes to it by mistake. A mail that a server
is just being given stays until that is over: whoever erases is told, and does it again.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from smtp_admin.audit.service import record
from smtp_admin.database import SYSTEM, among, changed, database_now
from smtp_admin.delivery.digest_models import DigestItem
from smtp_admin.delivery.mail_actions import cancel_queued, discard, note_lost
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.erasure.finding import ERASED, Search, messages_to, rows
from smtp_admin.erasure.places import PLACES, Place
from smtp_admin.host import Actor
from smtp_admin.suppression.models import Preference, Suppression
from smtp_admin.suppression.reading import address_hash

_OPEN = ("queued", "sending", "dead", "uncertain")


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
    mine = delete(Preference).where(Preference.address_hash == address_hash(search.address))
    if search.partner_ids is not None:
        mine = mine.where(Preference.partner_id.in_(search.partner_ids))
    changed(session, mine)
    owners = [SYSTEM] if search.partner_ids is None else search.partner_ids
    detail = f"{sum(done.counts.values())} records of {address_hash(search.address)}"
    for owner in owners:
        record(session, actor, owner, "address.erased", detail)
    return done


def _stop_mail(session: Session, search: Search) -> None:
    """Let nothing more go to the address: what waits is cancelled, what failed is put aside."""
    moment = database_now(session)
    place = next(one for one in PLACES if one.model is Delivery)
    mine = select(Delivery.id).where(
        Delivery.message_pk.in_(messages_to(search)),
        *search.within(place),
        Delivery.domain == search.address.rpartition("@")[2],
        Delivery.mailbox == search.address.rpartition("@")[0],
    )
    ids = session.scalars(mine.where(Delivery.state.in_(_OPEN))).all()
    for act in (cancel_queued, note_lost, discard):
        act(session, ids, moment)


def _erase_words(session: Session, search: Search, place: Place, _done: Erased) -> int:
    """Replace the address in the columns of a place."""
    shape, count = search.shape, 0
    keys = place.model.__mapper__.primary_key
    for key, row in list(rows(session, search, place)):
        values = {}
        for name in place.columns:
            before = getattr(row, name)
            if isinstance(before, str) and shape.search(before):
                values[name] = shape.sub(ERASED, before)
        session.expunge(row)
        if values:
            mine = [column == part for column, part in zip(keys, key, strict=True)]
            changed(session, update(place.model).where(*mine).values(**values))
            count += 1
    return count


def _erase_deliveries(session: Session, search: Search, place: Place, done: Erased) -> int:
    count = 0
    for (key,), row in list(rows(session, search, place)):
        session.expunge(row)
        to_it = row.recipient.lower() == search.address
        if to_it and row.state in _OPEN:
            done.under_way += 1
            continue
        values: dict[str, Any] = {
            name: search.shape.sub(ERASED, getattr(row, name)) for name in place.columns
        }
        if to_it:
            values |= {"domain": "", "mailbox": ERASED, "recipient_key": None}
        changed(session, update(Delivery).where(Delivery.id == key).values(**values))
        count += 1
    return count


def _erase_texts(session: Session, search: Search, place: Place, done: Erased) -> int:
    """Forget the texts of mail to the address, unless somebody else still waits for them."""
    found = list(rows(session, search, place))
    ids = [key for (key,), _ in found]
    still = select(Delivery.message_pk).where(
        among(session, Delivery.message_pk, ids), Delivery.state.in_(_OPEN)
    )
    needed = set(session.scalars(still))
    count = 0
    for (key,), row in found:
        session.expunge(row)
        if key in needed:
            done.needed += 1
            continue
        values: dict[str, Any] = {"content": b"", "subject": "", "batch_recipient": None}
        if row.envelope_from and search.shape.search(row.envelope_from):
            values["envelope_from"] = search.shape.sub(ERASED, row.envelope_from)
        if search.address in (row.idempotency_key or "").lower():
            # Whatever stands around it there; and it must stay a key of its own.
            values["idempotency_key"] = f"{ERASED}-{key}"
        changed(session, update(Message).where(Message.id == key).values(**values))
        count += 1
    return count


def _erase_items(session: Session, search: Search, place: Place, _done: Erased) -> int:
    ids = [key for (key,), _ in rows(session, search, place)]
    return changed(session, delete(DigestItem).where(among(session, DigestItem.id, ids)))


def _erase_suppressions(session: Session, search: Search, place: Place, _done: Erased) -> int:
    count = 0
    for (key,), row in list(rows(session, search, place)):
        session.expunge(row)
        own = row.address_hash == address_hash(search.address)
        values = {name: search.shape.sub(ERASED, getattr(row, name)) for name in place.columns}
        if own:
            values |= {"address": "", "created_by": "", "detail": ""}
        changed(session, update(Suppression).where(Suppression.id == key).values(**values))
        count += 1
    return count


_ERASERS: dict[Any, Any] = {
    Message: _erase_texts,
    Delivery: _erase_deliveries,
    DigestItem: _erase_items,
    Suppression: _erase_suppressions,
}
