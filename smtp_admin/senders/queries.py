"""All senders of many partners at once, for lists: one query, however many there are.

Making a sender of its row takes longer than reading it, its secrets have to be opened too, and
settings seldom change. So a process keeps what it made of a revision, and takes from the database
what a sender is doing just now.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Text, cast, or_, select
from sqlalchemy.orm import Session

from smtp_admin.database import among
from smtp_admin.installation import Kept, installation
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, resolve_with

#: What is kept is dropped when there is more of it.
_MOST = 20_000
_SENDERS: Any = Sender.__table__
_REVISIONS: Any = SenderRevision.__table__
#: What a sender is doing just now, by the names of its fields.
_PRESENT = (
    "label", "paused_until", "pause_code", "pause_cause", "pause_reason", "pause_reply",
    "refusals", "last_accepted_at",
)  # fmt: skip
# The revision's time too: an id may have been another's, in a transaction that was rolled back.
# And its secrets as they are, for they may be sealed anew.
_ROWS = (
    select(
        _SENDERS.c.id,
        _SENDERS.c.partner_id,
        _SENDERS.c.key,
        _SENDERS.c.current_revision,
        _SENDERS.c.deleted_at,
        _REVISIONS.c.id.label("revision_id"),
        _REVISIONS.c.created_at,
        cast(_REVISIONS.c.secrets, Text).label("sealed"),
        *(_SENDERS.c[name] for name in _PRESENT),
    )
    .select_from(_SENDERS)
    .outerjoin(
        _REVISIONS,
        (_REVISIONS.c.sender_id == _SENDERS.c.id)
        & (_REVISIONS.c.number == _SENDERS.c.current_revision),
    )
    .where(or_(_SENDERS.c.deleted_at.is_(None), _SENDERS.c.key == DEFAULT_KEY))
    .order_by(_SENDERS.c.partner_id, _SENDERS.c.key)
)
#: How many columns say which settings they are; the others change all the time.
_SETTINGS = 8


@dataclass(frozen=True, slots=True)
class _Made:
    """A sender, and the row that it was made of."""

    row: tuple[Any, ...]
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
    for one in _made_of(session, session.connection().execute(asked).all()):
        if one.partner_id in found:
            found[one.partner_id].append(one)
    for owner, senders in found.items():
        if not senders or senders[0].key != DEFAULT_KEY:
            senders.insert(0, resolve_with(None, None, owner))
    return found


def senders_by_id(session: Session, ids: Collection[int]) -> dict[int, ResolvedSender]:
    """The senders with these ids, as far as they are there and not deleted."""
    if not ids:
        return {}
    rows = session.connection().execute(_ROWS.where(among(session, _SENDERS.c.id, ids))).all()
    return {one.sender_id: one for one in _made_of(session, rows)}


def _made_of(session: Session, rows: Sequence[Any]) -> Iterable[ResolvedSender]:
    kept = LISTED.of(installation())
    unknown = [row for row in rows if not _is_known(kept.get(row.id), row)]
    if len(kept) + len(unknown) > _MOST:
        kept.clear()
        unknown = list(rows)
    if unknown:
        _make(session, {row.id: tuple(row) for row in unknown}, kept)
    for row in rows:
        made = kept[row.id]
        if made.row != row:
            made = kept[row.id] = _Made(tuple(row), replace(made.sender, **_present(row)))
        yield made.sender


def _present(row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(_PRESENT, row[_SETTINGS:], strict=True))


def _is_known(made: _Made | None, row: Any) -> bool:
    return made is not None and made.row[:_SETTINGS] == row[:_SETTINGS]


def _make(session: Session, rows: dict[int, tuple[Any, ...]], kept: dict[int, _Made]) -> None:
    found = session.execute(
        select(Sender, SenderRevision)
        .outerjoin(
            SenderRevision,
            (SenderRevision.sender_id == Sender.id)
            & (SenderRevision.number == Sender.current_revision),
        )
        .where(among(session, Sender.id, rows))
    )
    for sender, saved in found:
        row = rows[sender.id]
        made = resolve_with(sender, saved, sender.partner_id, sender.key)
        # The session may have had the sender from before.
        kept[sender.id] = _Made(row, replace(made.examined(), **_present(row)))
