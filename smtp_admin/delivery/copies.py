"""Copies to archives: whose they are.

A copy is mail of whoever's archive it goes to. Where a partner's mail goes by the system's sender,
that is the system: its archive is no business of the partner's admin. So the partner's numbers
leave such copies out, and so do the logs that they lead to, whoever looks. A copy to the partner's
own archive stays the partner's, also where the system's sender took it over.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM
from smtp_admin.delivery.models import Delivery, Hop
from smtp_admin.senders.models import Sender


def no_foreign_copy() -> ColumnElement[bool]:
    """Whether a delivery is more than a copy to the archive of somebody else's sender."""
    # Said outright, for inside of the other question it would ask about any delivery.
    own = select(Sender.id).where(Sender.partner_id == Delivery.partner_id).correlate(Delivery)
    taken_over = exists().where(Hop.delivery_id == Delivery.id, Hop.from_sender_id.in_(own))
    return or_(Delivery.archive.is_(False), Delivery.sender_id.in_(own), taken_over)


def counted_for(session: Session, rows: Collection[Any]) -> dict[int, str]:
    """The id of each of *rows* → the owner whose numbers count it.

    Args:
        rows: deliveries, each with ``id`` and ``partner_id``.
    """
    ids = [row.id for row in rows if row.partner_id != SYSTEM]
    foreign = select(Delivery.id).where(Delivery.id.in_(ids), ~no_foreign_copy())
    copies = set(session.scalars(foreign)) if ids else set()
    return {row.id: SYSTEM if row.id in copies else row.partner_id for row in rows}
