"""Mail that was queued since some time, found by where the mail of that time begins.

No index has the times of all mail: its ids do, because they are given in turn.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from smtp_admin.delivery.models import Delivery, Message

#: Public ids are made by web machines, whose clocks may be off, and a while before their rows.
_APART = timedelta(hours=1)
#: A copy has the public id of its mail, but a row that is younger than its time.
_COPIES_PASSED = 20


def queued_since(
    session: Session, moment: datetime, *, along_mails: bool
) -> list[ColumnElement[bool]]:
    """What a delivery must be that was queued since *moment* (aware).

    It has a place in its table that what is older comes before: so a log is read from there on,
    forwards and backwards.

    Args:
        along_mails: whether it is read along the table of mails. One place is named, not both:
            PostgreSQL would take each for a reason of its own, and expect next to nothing.
    """
    earlier = _mail_before(session, moment - _APART)
    place = Delivery.message_pk > earlier
    if not along_mails:
        # A copy to an archive may be added as late as its mail is first sent.
        last = select(func.max(Delivery.id)).where(
            Delivery.message_pk == earlier, Delivery.archive.is_(False)
        )
        place = Delivery.id > (session.scalar(last) or 0)
    return [Delivery.created_at >= moment, place]


def _mail_before(session: Session, moment: datetime) -> int:
    """The last mail whose public id was made before *moment*: it begins with its time.

    0 where there is none, or where it cannot be told: then all there is has to be looked at.
    """
    start = f"{max(0, int(moment.timestamp() * 1000)):012x}"
    last = select(Message.id, Message.copy_of).where(Message.public_id < start)
    rows = session.execute(last.order_by(Message.public_id.desc()).limit(_COPIES_PASSED))
    return next((one for one, copy_of in rows if copy_of is None), 0)
