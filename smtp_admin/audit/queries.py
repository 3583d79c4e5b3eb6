"""What was written down, as pages, exports and commands ask for it."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from smtp_admin.audit.models import Audit


def entries(
    scope: Collection[str] | None,
    *,
    action: str = "",
    since: datetime | None = None,
    words: str = "",
) -> Select[Audit]:
    """The entries of these owners that fit, in no order.

    Args:
        scope: ids of partners; ``None`` for everybody's.
        words: a part of who it was, or of the detail.
    """
    wanted = select(Audit)
    if scope is not None:
        wanted = wanted.where(Audit.partner_id.in_(sorted(scope)))
    if action:
        wanted = wanted.where(Audit.action == action)
    if since is not None:
        wanted = wanted.where(Audit.at >= since)
    if words:
        wanted = wanted.where(
            Audit.actor_email.icontains(words, autoescape=True)
            | Audit.detail.icontains(words, autoescape=True)
            | (Audit.actor_id == words[:100])
        )
    return wanted


def as_json(one: Audit) -> dict[str, Any]:
    """An entry for a script."""
    return {
        "at": one.at.isoformat(),
        "who": one.actor_email or one.actor_id,
        "partner_id": one.partner_id,
        "action": one.action,
        "detail": one.detail,
    }
