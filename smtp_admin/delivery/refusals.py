"""What went wrong with a sender's mail lately, by kind: found by sender and time, never by mail."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.database import database_now
from smtp_admin.delivery.copies import no_foreign_copy
from smtp_admin.delivery.counted import day_begins
from smtp_admin.delivery.gate import REDIRECTED
from smtp_admin.delivery.models import Attempt, Delivery
from smtp_admin.transports.outcome import Verdict

#: So many kinds are more than a person reads.
_MOST = 20
_NO_FAILURES = (Verdict.ACCEPTED.value, REDIRECTED)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Attempts of the last 24 hours that failed in one way.

    Attributes:
        cause: the key of what is behind them; empty where that is not known.
        count: how many they are.
        at: when the last of them was.
        error: what it came to, in a sentence.
        reply: the server's own words at the last of them; empty where it said nothing.
    """

    code: str
    cause: str
    count: int
    at: datetime
    error: str
    reply: str


def refusals(
    session: Session, sender_id: int, partner_id: str | None = None
) -> tuple[Refusal, ...]:
    """How attempts by a sender failed in the last 24 hours, the newest kind first.

    Args:
        partner_id: whose mail is meant, where the sender carries that of several partners.
    """
    kinds = (
        select(func.max(Attempt.id).label("last"), func.count().label("count"))
        .where(
            Attempt.sender_id == sender_id,
            Attempt.at >= day_begins(database_now(session)),
            Attempt.verdict.not_in(_NO_FAILURES),
        )
        .group_by(Attempt.code, Attempt.cause)
    )
    if partner_id is not None:
        kinds = kinds.join(Delivery, Delivery.id == Attempt.delivery_id).where(
            Delivery.partner_id == partner_id, no_foreign_copy()
        )
    found = kinds.subquery()
    rows = session.execute(
        select(Attempt, found.c.count)
        .join(found, found.c.last == Attempt.id)
        .order_by(Attempt.id.desc())
        .limit(_MOST)
    )
    return tuple(
        Refusal(one.code, one.cause, int(count), one.at, one.error, one.reply)
        for one, count in rows
    )
