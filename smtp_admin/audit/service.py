"""Write down who did what, and refuse what somebody does too often."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.audit.models import Audit
from smtp_admin.config import Rate
from smtp_admin.database import database_now
from smtp_admin.errors import RateLimited
from smtp_admin.host import Actor


def record(session: Session, actor: Actor, partner_id: str, action: str, detail: str = "") -> None:
    """Write down who did what; the caller commits."""
    session.add(
        Audit(
            actor_id=actor.id,
            actor_email=actor.email,
            partner_id=partner_id,
            action=action,
            detail=detail[:500],
        )
    )


def check_rate(session: Session, actor: Actor, action: str | Sequence[str], rate: Rate) -> None:
    """Return if *actor* may do *action*, or one of several that share a limit, once more.

    Counted from the audit log, by the database's clock, so that several web processes share one
    count.

    Raises:
        RateLimited: it knows when it will be possible again.
    """
    moment = database_now(session)
    since = moment - timedelta(seconds=rate.seconds)
    actions = [action] if isinstance(action, str) else action
    mine = (Audit.actor_id == actor.id, Audit.action.in_(actions), Audit.at > since)
    if (session.scalar(select(func.count()).where(*mine)) or 0) < rate.count:
        return
    oldest = session.scalar(
        select(Audit.at).where(*mine).order_by(Audit.at.desc()).offset(rate.count - 1).limit(1)
    )
    wait = rate.seconds if oldest is None else (oldest - since).total_seconds()
    raise RateLimited(
        f"That was more than {rate}. Wait a little and try again.",
        retry_after=max(1, int(wait) + 1),
    )
