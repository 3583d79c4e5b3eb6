"""All senders of many partners at once, for lists: one query, however many there are.

Making a sender of its row takes longer than reading it, its secrets have to be opened too, and
settings seldom change. So a process keeps what it made of a row for as long as the database says
the same of it: each look asks for that again, in as few columns as it takes.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import Text, cast, func, literal_column, or_, select
from sqlalchemy.orm import Session

from smtp_admin.database import among
from smtp_admin.installation import Kept, installation
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, resolve_with

#: What is kept is dropped when there is more of it.
_MOST = 20_000
_READ_AT_ONCE = 250
_SENDERS: Any = Sender.__table__
_REVISIONS: Any = SenderRevision.__table__
# The revision's time too: an id may have been another's, in a transaction that was rolled back.
# And of a revision what may yet change: its secrets are sealed anew, and who saved it is erased.
# Texts of people and servers come last.
_SAID_ONCE = (
    _SENDERS.c.partner_id, _SENDERS.c.key, _SENDERS.c.current_revision, _SENDERS.c.deleted_at,
    _REVISIONS.c.id, _REVISIONS.c.created_at, _REVISIONS.c.secrets, _SENDERS.c.paused_until,
    _SENDERS.c.pause_code, _SENDERS.c.pause_cause, _SENDERS.c.refusals, _SENDERS.c.label,
    _SENDERS.c.resumed_at, _SENDERS.c.pause_reason, _SENDERS.c.pause_reply,
    _REVISIONS.c.created_by,
)  # fmt: skip
#: Everything that a sender is made of, as one text: to read so many columns of a thousand senders
#: takes a client longer than the database. Only what changes with each mail stands by itself.
_STAMP = reduce(
    add,
    [
        part
        for column in _SAID_ONCE
        for part in (func.coalesce(cast(column, Text), "", type_=Text), literal_column("'|'", Text))
    ],
)
_ROWS = (
    select(_SENDERS.c.id, _SENDERS.c.last_accepted_at, _STAMP.label("stamp"))
    .select_from(_SENDERS)
    .outerjoin(
        _REVISIONS,
        (_REVISIONS.c.sender_id == _SENDERS.c.id)
        & (_REVISIONS.c.number == _SENDERS.c.current_revision),
    )
    .where(or_(_SENDERS.c.deleted_at.is_(None), _SENDERS.c.key == DEFAULT_KEY))
)


@dataclass(frozen=True, slots=True)
class _Made:
    """A sender, and the stamp of the row that it was made of."""

    stamp: str
    sender: ResolvedSender


LISTED = Kept[dict[int, _Made]](lambda _: {})


def senders_by_owner(
    session: Session, owners: Collection[str], *, everybody: bool = False
) -> dict[str, list[ResolvedSender]]:
    """The senders of each of *owners*, the default one first.

    That one is there even where nothing was saved for it, or it was deleted.

    Args:
        everybody: whether *owners* are about all there are, so that the database need not choose.
    """
    asked = _ROWS if everybody else _ROWS.where(among(session, _SENDERS.c.partner_id, owners))
    found: dict[str, list[ResolvedSender]] = {owner: [] for owner in owners}
    for one in _made_of(session, asked):
        if one.partner_id in found:
            found[one.partner_id].append(one)
    for owner, senders in found.items():
        if len(senders) > 1:
            senders.sort(key=lambda one: one.key)
        if not senders or senders[0].key != DEFAULT_KEY:
            senders.insert(0, resolve_with(None, None, owner))
    return found


def all_senders(
    session: Session, partner_ids: Collection[str] | None = None
) -> list[ResolvedSender]:
    """Every sender that was saved and not deleted, by id.

    Args:
        partner_ids: only theirs; ``None`` for everybody's.
    """
    asked = _ROWS.where(_SENDERS.c.deleted_at.is_(None))
    if partner_ids is not None:
        asked = asked.where(among(session, _SENDERS.c.partner_id, partner_ids))
    return sorted(_made_of(session, asked), key=lambda one: one.sender_id)


def senders_by_id(session: Session, ids: Collection[int]) -> dict[int, ResolvedSender]:
    """The senders with these ids, as far as they are there and not deleted."""
    if not ids:
        return {}
    made = _made_of(session, _ROWS.where(among(session, _SENDERS.c.id, ids)))
    return {one.sender_id: one for one in made}


def _made_of(session: Session, asked: Any) -> Iterable[ResolvedSender]:
    kept = LISTED.of(installation())
    found: list[ResolvedSender] = []
    unknown: set[int] = set()
    rows = session.connection().execute(asked).yield_per(_READ_AT_ONCE)
    for sender_id, last_accepted_at, stamp in rows:
        made = kept.get(sender_id)
        if made is None or made.stamp != stamp:
            unknown.add(sender_id)
            continue
        found.append(_present(kept, made, last_accepted_at))
    if unknown:
        if len(kept) + len(unknown) > _MOST:
            kept.clear()
        found += _make(session, unknown, kept)
    return found


def _present(
    kept: dict[int, _Made], made: _Made, last_accepted_at: datetime | None
) -> ResolvedSender:
    sender = made.sender
    if sender.last_accepted_at != last_accepted_at:
        sender = replace(sender, last_accepted_at=last_accepted_at)
        kept[sender.sender_id] = _Made(made.stamp, sender)
    return sender


def _make(
    session: Session, unknown: Collection[int], kept: dict[int, _Made]
) -> Iterable[ResolvedSender]:
    # The stamp of these very rows: since the first look somebody else may have changed them, or
    # this session may have written what it holds and takes back in the end.
    rows = session.execute(
        select(Sender, SenderRevision, _STAMP)
        .outerjoin(
            SenderRevision,
            (SenderRevision.sender_id == Sender.id)
            & (SenderRevision.number == Sender.current_revision),
        )
        .where(among(session, Sender.id, unknown))
        # The session may have had the sender from before.
        .execution_options(populate_existing=True)
    )
    for sender, saved, stamp in rows:
        made = resolve_with(sender, saved, sender.partner_id, sender.key).examined()
        kept[sender.id] = _Made(stamp, made)
        yield made
