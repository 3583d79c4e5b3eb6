"""The link in every reminder: it ends one partner's reminders to one customer, nothing else."""

import re
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now
from smtp_admin.errors import NotFound
from smtp_admin.renewals.models import RenewalCustomer
from smtp_admin.translation import gettext

#: Stands in place of a customer's token in previews, and is nobody's.
PREVIEW = "preview"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")


@dataclass(frozen=True, slots=True)
class Subscription:
    """Whether the customer of a link gets reminders."""

    token: str
    partner_id: str
    wanted: bool


def find(session: Session, token: str) -> Subscription:
    """What the link with *token* is about.

    Raises:
        NotFound: it is no link of ours.
    """
    row = None
    if _TOKEN.fullmatch(token):
        row = session.execute(
            select(RenewalCustomer.partner_id, RenewalCustomer.unsubscribed_at).where(
                RenewalCustomer.token == token
            )
        ).first()
    if row is None:
        raise NotFound(
            gettext("This link is not valid."), hint=gettext("Use the one in the newest reminder.")
        )
    return Subscription(token, row.partner_id, row.unsubscribed_at is None)


def choose(session: Session, token: str, *, wanted: bool) -> Subscription:
    """Switch reminders on or off; the same again changes nothing. The caller commits.

    Raises:
        NotFound: it is no link of ours.
    """
    found = find(session, token)
    if found.wanted != wanted:
        changed(
            session,
            update(RenewalCustomer)
            .where(RenewalCustomer.token == token)
            .values(unsubscribed_at=None if wanted else database_now(session)),
        )
    return Subscription(token, found.partner_id, wanted)
