"""Mail whose outcome is unknown waits longer where its provider may yet tell what became of it."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists

from smtp_admin.delivery.maintenance.settle_unknown import MAY_BE_TOLD
from smtp_admin.delivery.models import Delivery
from smtp_admin.events.models import Webhook

#: How long altogether, and how fresh the last event must be for one to be hoped for.
WAITS = timedelta(minutes=15)
_FRESH = timedelta(days=7)


def listen() -> None:
    """Let mail wait so from now on; once is enough, more do no harm."""
    if _may_be_told not in MAY_BE_TOLD:
        MAY_BE_TOLD.append(_may_be_told)


def _may_be_told(moment: datetime) -> ColumnElement[bool]:
    # When it is due is a minute after its outcome was lost.
    return and_(
        Delivery.next_attempt_at > moment - (WAITS - timedelta(minutes=1)),
        exists().where(
            Webhook.sender_id == Delivery.sender_id, Webhook.last_event_at > moment - _FRESH
        ),
    )
