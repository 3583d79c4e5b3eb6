"""What people did with a delivery: kept with it, so that its life tells the whole story.

A hop from a sender to the same sender, of a kind of its own. Who it was stands in the audit log,
where the same action has the same moment, and is kept nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, insert, literal, select
from sqlalchemy.orm import Session

from smtp_admin.audit.models import Audit
from smtp_admin.delivery.models import Delivery, Hop

ActKind = Literal[
    "retry", "hurry", "cancel", "discard", "arrived", "lost", "release", "undo", "corrected"
]
#: What the audit log calls each.
AUDITED: dict[ActKind, str] = {
    "retry": "mail.retried",
    "hurry": "mail.hurried",
    "cancel": "mail.cancelled",
    "discard": "mail.discarded",
    "arrived": "mail.settled",
    "lost": "mail.given_up",
    "release": "mail.released",
    "undo": "mail.undone",
    "corrected": "mail.corrected",
}
_IS_ACT = Hop.kind.in_(AUDITED)
#: Hops that are none of these: the delivery went to another sender.
IS_MOVE = ~_IS_ACT
#: Between the act and its row in the audit log, which a long one writes once.
_APART = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that was done; *by* is empty where an app did it, or it is not certain who."""

    at: datetime
    kind: ActKind
    by: str


def note(
    session: Session,
    ids: Sequence[int],
    kind: ActKind,
    moment: datetime,
    *where: ColumnElement[bool],
) -> None:
    """Keep that *kind* was done with those of *ids* for which *where* holds now."""
    if not ids:
        return
    columns = (Hop.delivery_id, Hop.at, Hop.from_sender_id, Hop.to_sender_id, Hop.reason, Hop.kind)
    rows = select(
        Delivery.id,
        literal(moment, Hop.at.type),
        Delivery.sender_id,
        Delivery.sender_id,
        literal(""),
        literal(kind),
    ).where(Delivery.id.in_(ids), *where)
    session.execute(insert(Hop).from_select([one.key for one in columns], rows))


def acts_on(session: Session, delivery_id: int, partner_id: str) -> Sequence[Act]:
    """What people did with a delivery, oldest first."""
    mine = select(Hop.at, Hop.kind).where(Hop.delivery_id == delivery_id, _IS_ACT)
    rows: Any = session.execute(mine.order_by(Hop.id))
    return [Act(at, kind, _by(session, partner_id, kind, at)) for at, kind in rows]


def _by(session: Session, partner_id: str, kind: ActKind, at: datetime) -> str:
    near = (
        select(Audit.actor_email)
        .where(
            Audit.partner_id == partner_id,
            Audit.action == AUDITED[kind],
            Audit.at.between(at - _APART, at + _APART),
        )
        .distinct()
        .limit(2)
    )
    found = session.scalars(near).all()
    return found[0] if len(found) == 1 else ""  # of two it is not known which
