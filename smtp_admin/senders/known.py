"""The senders of a partner for whoever queues mail: a process reads each revision once.

What a sender is doing just now does not matter for that, and is as it was when the revision was
read; and secrets may have been sealed anew since. Whoever needs those asks
:mod:`smtp_admin.senders.resolve`.
"""

from collections.abc import Hashable
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM
from smtp_admin.installation import Kept, installation
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, load_sender, resolve_with

#: What is kept is dropped when there is more of it.
_MOST = 500
_SENDERS: Any = Sender.__table__
_REVISIONS: Any = SenderRevision.__table__
# The revision's own id and time too: a number may have been another's, in a transaction that was
# rolled back.
_OF_PARTNER = (
    select(
        _SENDERS.c.id,
        _SENDERS.c.key,
        _SENDERS.c.label,
        _SENDERS.c.current_revision,
        _REVISIONS.c.id.label("revision_id"),
        _REVISIONS.c.created_at,
    )
    .select_from(_SENDERS)
    .outerjoin(
        _REVISIONS,
        (_REVISIONS.c.sender_id == _SENDERS.c.id)
        & (_REVISIONS.c.number == _SENDERS.c.current_revision),
    )
    .where(_SENDERS.c.partner_id == bindparam("owner"), _SENDERS.c.deleted_at.is_(None))
    .order_by(_SENDERS.c.key)
)
KNOWN = Kept[dict[Hashable, ResolvedSender]](lambda _: {})


def known_senders_of(session: Session, partner_id: str) -> list[ResolvedSender]:
    """As :func:`smtp_admin.senders.routing.senders_of`, for choosing one."""
    rows = session.connection().execute(_OF_PARTNER, {"owner": partner_id}).all()
    kept = KNOWN.of(installation())
    found = [kept.get(tuple(row)) or _read(session, row, partner_id, kept) for row in rows]
    if partner_id == SYSTEM and not any(one.key == DEFAULT_KEY for one in found):
        found.insert(0, load_sender(session, SYSTEM))
    return found


def _read(
    session: Session, row: Any, partner_id: str, kept: dict[Hashable, ResolvedSender]
) -> ResolvedSender:
    saved = None
    if row.revision_id is not None:
        saved = session.get(SenderRevision, row.revision_id)
    if len(kept) >= _MOST:
        kept.clear()
    sender = session.get_one(Sender, row.id)
    kept[tuple(row)] = found = resolve_with(sender, saved, partner_id, row.key)
    return found
