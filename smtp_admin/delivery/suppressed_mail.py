"""Keep back mail that waits for an address that is suppressed now."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from smtp_admin.database import among
from smtp_admin.delivery.claim_statements import SUPPRESSIBLE
from smtp_admin.delivery.models import IS_QUEUED, TEST_TYPE, Delivery, Message, address_parts
from smtp_admin.delivery.queue_ends import end_queued
from smtp_admin.delivery.suppressing import words_of
from smtp_admin.suppression.reading import Found, Suppressed
from smtp_admin.suppression.reasons import ALL, CODE, NOTICES

_AT_ONCE = 1000
_CONCERNED = (IS_QUEUED, SUPPRESSIBLE)


def suppress_waiting(
    session: Session, partner_id: str, address: str, found: Found, moment: datetime
) -> int:
    """Keep back what waits for an address that is being suppressed; how many deliveries.

    The caller commits. What is being sent just now goes out.
    """
    domain, mailbox = address_parts(address)
    which = [
        Delivery.domain == domain,
        Delivery.mailbox == mailbox,
        Delivery.partner_id == partner_id,
        *_CONCERNED,
    ]
    if found.category != ALL:
        which.append(Message.notice.is_(True))
    if found.category not in {ALL, NOTICES}:
        which.append(Message.type_name == found.category)
    waiting = select(Delivery.id).join(Message, Message.id == Delivery.message_pk).where(*which)
    ids = session.scalars(waiting).all()
    return _keep_back(session, ids, found, moment) if ids else 0


def suppress_queue(session: Session, partner_id: str, moment: datetime) -> int:
    """Keep back what of a partner's whole queue goes to suppressed addresses; how many deliveries.

    The caller commits.
    """
    last, count = 0, 0
    while True:
        mine = select(Delivery.id).where(
            Delivery.partner_id == partner_id, IS_QUEUED, Delivery.id > last
        )
        ids = session.scalars(mine.order_by(Delivery.id).limit(_AT_ONCE)).all()
        if not ids:
            return count
        count += suppress_again(session, ids, moment)
        last = ids[-1]


def suppress_again(session: Session, ids: Collection[int], moment: datetime) -> int:
    """Keep back those of *ids* that were just queued again, where a suppression holds.

    How many; the caller commits.
    """
    stopped = _stopped(session, ids, IS_QUEUED)
    return sum(_keep_back(session, some, found, moment) for found, some in stopped.items())


def suppressed_among(session: Session, ids: Sequence[int]) -> int:
    """How many of *ids* would be kept back if they were queued again now."""
    return sum(
        len(some)
        for first in range(0, len(ids), _AT_ONCE)
        for some in _stopped(session, ids[first : first + _AT_ONCE]).values()
    )


def _stopped(
    session: Session, ids: Collection[int], *more: ColumnElement[bool]
) -> dict[Found, list[int]]:
    """Those of *ids* that a suppression stops, by which one it is."""
    mine = (
        select(
            Delivery.id, Delivery.partner_id, Delivery.recipient, Message.type_name, Message.notice
        )
        .join(Message, Message.id == Delivery.message_pk)
        .where(among(session, Delivery.id, ids), SUPPRESSIBLE, *more)
    )
    rows = session.execute(mine).all()
    suppressed = Suppressed(session, [(row.partner_id, row.recipient) for row in rows])
    stopped: dict[Found, list[int]] = defaultdict(list)
    for row in rows if suppressed else ():
        found = suppressed.stops(row.partner_id, row.recipient, row.type_name, notice=row.notice)
        if found is not None:
            stopped[found].append(row.id)
    return stopped


def stopped_by(session: Session, public_id: str, partner_id: str, recipient: str) -> Found | None:
    """Which suppression a mail would be kept back by, if it was sent to this recipient now."""
    about = select(Message.type_name, Message.notice).where(
        Message.public_id == public_id, Message.is_test.is_(False), Message.type_name != TEST_TYPE
    )
    mail = session.execute(about.limit(1)).first()
    if mail is None:
        return None
    suppressed = Suppressed(session, [(partner_id, recipient)])
    return suppressed.stops(partner_id, recipient, mail.type_name, notice=mail.notice)


def _keep_back(session: Session, ids: Collection[int], found: Found, moment: datetime) -> int:
    return end_queued(session, [*ids], "suppressed", moment, CODE, words_of(found))
