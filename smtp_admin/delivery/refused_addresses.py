"""Give up addresses that a server refused for good while it took the mail: no such mailbox.

What comes back later does the same (:mod:`smtp_admin.events.reacting`). A mail server that is
itself broken, or lost the list of its users, refuses every address; so does one that was entered by
mistake. So a server is believed only where mail was accepted lately, and by the settings as they
are; and of many refusals in a row none.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from smtp_admin.database import among
from smtp_admin.delivery.claim_statements import SUPPRESSIBLE
from smtp_admin.delivery.models import Attempt, Delivery, Message, in_states
from smtp_admin.delivery.suppressions import suppress_several
from smtp_admin.delivery.tries import ACCEPTED
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.suppression.writing import row_of
from smtp_admin.transports.outcome import Verdict

#: A server that accepted a mail so lately works.
_LATELY = timedelta(days=1)
#: A server that refused more for good since then does not.
_MOST_IN_A_ROW = 20


def suppress_refused(
    session: Session, sender_id: int, told: Sequence[tuple[int, bool]], moment: datetime
) -> int:
    """Suppress the addresses of deliveries that were refused for good; how many.

    The caller commits, and has written down the attempts.

    Args:
        told: deliveries that were accepted, or refused (off), in the order of sending.
    """
    ids: set[int] = set()
    run: list[int] = []
    works = any(accepted for _, accepted in told)
    earlier = _refused_before(session, sender_id, moment) if works and not told[0][1] else 0
    for one, accepted in told:
        if not accepted:
            run.append(one)
            continue
        if earlier + len(run) <= _MOST_IN_A_ROW:
            ids.update(run)
        run, earlier = [], 0
    if run and _is_believed(session, sender_id, len(run), moment, works=works):
        ids.update(run)
    return suppress_several(session, _rows(session, ids))


def _is_believed(
    session: Session, sender_id: int, in_a_row: int, moment: datetime, *, works: bool
) -> bool:
    """Whether the server worked before so many refusals in a row, and can still be working."""
    if not works:
        accepted, saved = _last_success(session, sender_id)
        # What was accepted before the settings were saved may have been by another server.
        if accepted is None or accepted < saved or moment - accepted >= _LATELY:
            return False
        in_a_row = _refused_since(session, sender_id, accepted)
    return in_a_row <= _MOST_IN_A_ROW


def _refused_before(session: Session, sender_id: int, moment: datetime) -> int:
    """How many were refused in a row before what is written down now."""
    accepted, saved = _last_success(session, sender_id)
    since = saved if accepted is None else max(accepted, saved)
    return _refused_since(session, sender_id, since, Attempt.at < moment)


def _last_success(session: Session, sender_id: int) -> tuple[datetime | None, datetime]:
    """When mail of the sender was last accepted, and when its settings were saved."""
    row = session.execute(
        select(Sender.last_accepted_at, SenderRevision.created_at)
        .join(
            SenderRevision,
            (SenderRevision.sender_id == Sender.id)
            & (SenderRevision.number == Sender.current_revision),
        )
        .where(Sender.id == sender_id)
    ).one()
    return row.last_accepted_at, row.created_at


def _refused_since(session: Session, sender_id: int, since: datetime, *before: Any) -> int:
    """How many were refused for good since a success, as far as it matters."""
    # Of those that were written down together with it, those that were queued later came after it.
    success = (
        select(func.max(Delivery.id))
        .where(Delivery.sender_id == sender_id, Delivery.finished_at >= since)
        .where(in_states(sorted(ACCEPTED)))
        .scalar_subquery()
    )
    refused = select(Attempt.id).where(
        Attempt.sender_id == sender_id,
        Attempt.at >= since,
        or_(Attempt.at > since, Attempt.delivery_id > func.coalesce(success, 0)),
        Attempt.verdict == Verdict.PERMANENT.value,
        *before,
    )
    row = refused.limit(_MOST_IN_A_ROW + 1).subquery()
    return session.scalar(select(func.count()).select_from(row)) or 0


def _rows(session: Session, ids: set[int]) -> list[dict[str, Any]]:
    """What to write down; an address that was refused twice stands there once."""
    if not ids:
        return []
    refused = session.execute(
        select(Delivery.partner_id, Delivery.recipient, Delivery.last_reply, Message.public_id)
        .join(Message, Message.id == Delivery.message_pk)
        .where(among(session, Delivery.id, ids), Delivery.state == "dead", SUPPRESSIBLE)
        .order_by(Delivery.id)
    )
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for partner_id, address, reply, public_id in refused:
        row = row_of(partner_id, address, "bounce", detail=reply, mail_id=public_id)
        rows.setdefault((partner_id, row["address_hash"]), row)
    return [*rows.values()]
