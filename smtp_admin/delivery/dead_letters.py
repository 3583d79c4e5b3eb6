"""Dead letters together: how many failed of what, since when, and in whose words."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.delivery.mail_log import MailFilter, newest_of
from smtp_admin.delivery.models import Delivery

#: So many of the newest are put into groups.
GROUPED = 2_000
_MOST_GROUPS = 10


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """Dead letters of one sender that failed alike.

    Attributes:
        since: when the first of them failed, and *last_at* the last.
        error, reply: what was written down for the last one.
    """

    sender_id: int
    code: str
    cause: str
    count: int
    since: datetime | None
    last_at: datetime | None
    error: str
    reply: str


def dead_groups(session: Session, which: MailFilter) -> list[DeadGroup]:
    """The dead letters that *which* leaves, by what they failed of, most first.

    Of the newest few thousand only: what many more have in common shows in these too. Types and
    words are not looked at.
    """
    dead = replace(which, states=("dead",), type_name="")
    columns = (
        Delivery.id,
        Delivery.sender_id,
        Delivery.last_code.label("code"),
        Delivery.last_cause.label("cause"),
        Delivery.finished_at.label("at"),
    )
    newest = newest_of(session, dead, GROUPED, *columns).subquery()
    alike = (newest.c.sender_id, newest.c.code, newest.c.cause)
    count = func.count()
    groups: list[Any] = list(
        session.execute(
            select(
                *alike, count, func.min(newest.c.at), func.max(newest.c.at), func.max(newest.c.id)
            )
            .group_by(*alike)
            .order_by(count.desc(), func.max(newest.c.id).desc())
            .limit(_MOST_GROUPS)
        )
    )
    last_ids = [row[-1] for row in groups]
    words = select(Delivery.id, Delivery.last_error, Delivery.last_reply)
    last = {row.id: row for row in session.execute(words.where(Delivery.id.in_(last_ids)))}
    found = []
    for sender_id, code, cause, number, since, last_at, last_id in groups:
        if (row := last.get(last_id)) is not None:
            found.append(
                DeadGroup(
                    sender_id, code, cause, number, since, last_at, row.last_error, row.last_reply
                )
            )
    return found
