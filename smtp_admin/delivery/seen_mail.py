"""Whose mail somebody may see, and one mail as far as they may."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.access import scope
from smtp_admin.delivery.mail_log import MailFilter, conditions
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.public_ids import is_public_id
from smtp_admin.host import Actor


def seen_by(actor: Actor) -> MailFilter:
    """All mail that *actor* may see: the one place that decides it."""
    partner_ids = scope(actor)
    return MailFilter(partner_ids, own_copies=partner_ids is not None)


def ids_of_mail(session: Session, public_id: str, which: MailFilter) -> list[int]:
    """The ids of the deliveries of one mail, as far as *which* has them, the first one first."""
    if not is_public_id(public_id):
        return []
    mine = (
        select(Delivery.id)
        .join(Message, Message.id == Delivery.message_pk)
        .where(Message.public_id == public_id, *conditions(session, which))
        .order_by(Delivery.id)
    )
    return list(session.scalars(mine))
