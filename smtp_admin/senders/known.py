"""The senders of a partner for whoever queues mail: a process reads each revision once.

A revision never changes but for its secrets, which are sealed anew when a key is; so whoever needs
those asks :mod:`smtp_admin.senders.resolve`.
"""

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM
from smtp_admin.installation import Kept, installation
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, load_sender, resolve_with

#: What is kept is dropped when there is more of it.
_MOST = 500
_STATE = (
    Sender.label,
    Sender.paused_until,
    Sender.pause_code,
    Sender.pause_reason,
    Sender.refusals,
    Sender.last_accepted_at,
)
# The revision's own id and time too: a number may have been another's, in a transaction that was
# rolled back.
_SENDERS = (
    select(
        Sender.id,
        Sender.key,
        Sender.current_revision,
        SenderRevision.id.label("revision_id"),
        SenderRevision.created_at.label("saved_at"),
        *_STATE,
    )
    .outerjoin(
        SenderRevision,
        (SenderRevision.sender_id == Sender.id)
        & (SenderRevision.number == Sender.current_revision),
    )
    .where(Sender.partner_id == bindparam("owner"), Sender.deleted_at.is_(None))
    .order_by(Sender.key)
)
KNOWN = Kept[dict[Hashable, ResolvedSender]](lambda _: {})


def known_senders_of(session: Session, partner_id: str) -> list[ResolvedSender]:
    """As :func:`smtp_admin.senders.routing.senders_of`, for choosing one."""
    rows = session.execute(_SENDERS, {"owner": partner_id}).all()
    found = [_known(session, row, partner_id) for row in rows]
    if partner_id == SYSTEM and not any(one.key == DEFAULT_KEY for one in found):
        found.insert(0, load_sender(session, SYSTEM))
    return found


def _known(session: Session, row: Any, partner_id: str) -> ResolvedSender:
    kept = KNOWN.of(installation())
    name = (row.id, row.key, row.current_revision, row.revision_id, row.saved_at)
    before = kept.get(name)
    if before is None:
        saved = None
        if row.revision_id is not None:
            saved = session.get(SenderRevision, row.revision_id)
        if len(kept) >= _MOST:
            kept.clear()
        sender = session.get_one(Sender, row.id)
        before = kept[name] = resolve_with(sender, saved, partner_id, row.key)
    return replace(before, **{one.key: getattr(row, one.key) for one in _STATE})
