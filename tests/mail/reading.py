"""Read what was queued, as a receiving mail program would."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

from flask import current_app
from sqlalchemy import select

from smtp_admin.delivery.models import Delivery
from smtp_admin.delivery.models import Message as Row

__all__ = ["parsed", "queued", "recipients"]


def parsed(raw: bytes) -> EmailMessage:
    """*raw* with today's parser."""
    return message_from_bytes(raw, _class=EmailMessage, policy=SMTP)


def queued() -> list[Row]:
    """Every message in the outbox, oldest first."""
    session = current_app.extensions["sqlalchemy"].session
    return list(session.scalars(select(Row).order_by(Row.id)))


def recipients() -> list[str]:
    """Every envelope recipient in the outbox, oldest first."""
    session = current_app.extensions["sqlalchemy"].session
    return list(session.scalars(select(Delivery.recipient).order_by(Delivery.id)))
