"""What a number with a period counts, as conditions for the mails that it leads to.

Numbers of 24 hours are added up from counters, which stand for whole hours after a while. So a day
begins with a whole hour, for the numbers and for the mails alike (:func:`day_begins`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, among
from smtp_admin.delivery.gate import REDIRECTED
from smtp_admin.delivery.limits import COUNTED
from smtp_admin.delivery.models import Attempt, Delivery, in_states
from smtp_admin.delivery.tries import ACCEPTED
from smtp_admin.senders.models import Sender
from smtp_admin.transports.outcome import Verdict

DAY = timedelta(hours=24)
#: What was accepted, failed at least once, counts for a limit, or was told of by a provider.
Kind = Literal["accepted", "failed", "used", "told"]
#: What counts as a failed send; what was given back with its sender is none.
_FAILED = (Verdict.PERMANENT.value, Verdict.TEMPORARY.value, Verdict.UNCERTAIN.value)
#: What is no failure at all, for those who ask why something failed.
_NO_FAILURES = (Verdict.ACCEPTED.value, REDIRECTED)
#: So many of the newest are found: nobody reads more one by one.
_MOST_FOUND = 10_000
#: Senders that accepted mail last: of these, much is as recent as what is looked for.
_FEW = 20


def day_begins(moment: datetime) -> datetime:
    """When the 24 hours before *moment* begin: with the first whole hour in them."""
    start = moment - DAY
    hour = start.replace(minute=0, second=0, microsecond=0)
    return hour if hour == start else hour + timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Counted:
    """Mails that a number counts.

    Attributes:
        since: from then on.
        code, cause: of a failure, as its attempt was written down; ``None`` for any cause.
        told: of what a provider told: the condition, for events are kept in a room above.
    """

    kind: Kind
    since: datetime
    code: str = ""
    cause: str | None = None
    told: ColumnElement[bool] | None = None


def conditions_of(
    session: Session,
    one: Counted,
    partner_ids: Collection[str] | None,
    sender_id: int,
    *,
    by_few: bool = False,
) -> list[ColumnElement[bool]]:
    """What a delivery must be.

    Args:
        partner_ids: whose mail is asked for; ``None`` for everybody's.
        sender_id: by which sender it was sent, or tried; 0 for any.
        by_few: of what was accepted by any, that of a few senders alone, which are quickly read.
    """
    ids = looked_up(session, one, partner_ids, sender_id)
    if ids is not None:
        return [among(session, Delivery.id, ids)]
    found = [] if not sender_id else [Delivery.sender_id == sender_id]
    if one.kind == "accepted":
        found += [Delivery.finished_at >= one.since, in_states(sorted(ACCEPTED))]
        if not sender_id:  # an index leads from the senders to it
            senders = _senders(partner_ids)
            if by_few:
                latest = Sender.last_accepted_at.expression
                senders = senders.where(latest >= one.since).order_by(latest.desc()).limit(_FEW)
            # Asked for first: of senders that it has to join, MariaDB reads all mail of each.
            found.append(among(session, Delivery.sender_id, session.scalars(senders).all()))
    elif one.told is not None:
        found.append(one.told)
    return found


def looked_up(
    session: Session, one: Counted, partner_ids: Collection[str] | None, sender_id: int
) -> tuple[int, ...] | None:
    """The deliveries themselves, the newest, where another table tells of them; else ``None``."""
    if one.kind == "failed":
        # By the sender of the attempt: the mail may be with another one by now.
        wanted = _failed(one, partner_ids, sender_id).with_only_columns(Attempt.delivery_id)
        newest = wanted.distinct().order_by(Attempt.delivery_id.desc()).limit(_MOST_FOUND)
        return tuple(session.scalars(newest))
    return tuple(_used(session, one.since, sender_id)) if one.kind == "used" else None


def failed_attempts(
    session: Session,
    one: Counted,
    partner_ids: Collection[str] | None,
    sender_id: int,
    of: Sequence[ColumnElement[bool]],
) -> int:
    """How many attempts failed, of which one mail may have several; 10,001 for more.

    Args:
        of: what their deliveries must be.
    """
    some = _failed(one, partner_ids, sender_id).with_only_columns(Attempt.id)
    some = some.join(Delivery, Delivery.id == Attempt.delivery_id).where(*of)
    counted = select(func.count()).select_from(some.limit(_MOST_FOUND + 1).subquery())
    return int(session.scalar(counted) or 0)


def _failed(one: Counted, partner_ids: Collection[str] | None, sender_id: int) -> Select[Any]:
    wanted = select(Attempt).where(Attempt.at >= one.since)
    if one.code:
        wanted = wanted.where(Attempt.verdict.not_in(_NO_FAILURES), Attempt.code == one.code)
        if one.cause is not None:
            wanted = wanted.where(Attempt.cause == one.cause)
    else:
        wanted = wanted.where(Attempt.verdict.in_(_FAILED))
    if sender_id:
        return wanted.where(Attempt.sender_id == sender_id)
    if partner_ids is not None:
        return wanted.where(Attempt.sender_id.in_(_senders(partner_ids)))
    return wanted


def _used(session: Session, since: datetime, sender_id: int) -> list[int]:
    """What counts for the limit of a sender: found by two indexes, one for what is on its way."""
    mine = select(Delivery.id).where(Delivery.sender_id == sender_id)
    taken = or_(in_states(COUNTED), Delivery.uncertains > 0)
    found: set[int] = set()
    for some in (
        mine.where(Delivery.finished_at > since, taken).order_by(Delivery.finished_at.desc()),
        mine.where(Delivery.lease.is_not(None), in_states(["sending"])),
    ):
        found.update(session.scalars(some.limit(_MOST_FOUND)))
    return sorted(found)


def _senders(partner_ids: Collection[str] | None) -> Select[Any]:
    """The senders that mail of these partners goes by."""
    found = select(Sender.id)
    if partner_ids is None:
        return found
    return found.where(Sender.partner_id.in_([*partner_ids, SYSTEM]))
