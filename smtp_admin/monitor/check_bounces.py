"""Whether the mailboxes that bounces come to are read."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import select

from smtp_admin.database import database_now, session
from smtp_admin.events.bounces.trouble import Trouble, troubles
from smtp_admin.events.models import BounceMailbox
from smtp_admin.monitor.check_senders import name_of
from smtp_admin.monitor.health import Check
from smtp_admin.sender_state.words import span_words
from smtp_admin.senders.models import Sender

#: Of those in trouble, so many are named.
_MOST_NAMED = 10
#: A worker looks four times a minute which are due, and reads each for two minutes at most.
_OVERDUE = timedelta(minutes=15)


def bounces() -> Iterator[Check]:
    """Which mailboxes fail, and whether anybody reads the others."""
    with_session = session()
    moment = database_now(with_session)
    there = (
        select(Sender, BounceMailbox.next_read_at, BounceMailbox.last_read_at)
        .join(BounceMailbox, BounceMailbox.sender_id == Sender.id)
        .where(Sender.deleted_at.is_(None))
        .order_by(Sender.partner_id, Sender.key)
    )
    rows = with_session.execute(there).all()
    found = troubles(with_session, from_the_first=True)
    bad = [(sender, found[sender.id]) for sender, _, _ in rows if sender.id in found]
    for sender, one in bad[:_MOST_NAMED]:
        yield Check(
            "bounces",
            "warning",
            f"The mailbox at {one.host} {_not_read(one, moment)}. {one.cause}",
            f"{one.remedy}",
            subject=name_of(sender),
        )
    if len(bad) > _MOST_NAMED:
        words = f"{len(bad) - _MOST_NAMED} more mailboxes are not read."
        yield Check("bounces", "warning", words, "See the page Alerts.")
    overdue = sum(next_read < moment - _OVERDUE for _, next_read, _ in rows)
    if overdue:
        words = f"Mailboxes that no worker has looked at for a while: {overdue}."
        yield Check("bounces", "warning", words, "See “workers”.")
    if not rows:
        yield Check("bounces", "ok", "No sender has a mailbox for bounces.")
    elif not bad and not overdue:
        fresh = sum(last_read is None for _, _, last_read in rows)
        words = f"Mailboxes for bounces that are read: {len(rows) - fresh}."
        yield Check("bounces", "ok", words + (f" Not read yet: {fresh}." if fresh else ""))


def _not_read(one: Trouble, moment: datetime) -> str:
    since = "was never read"
    if one.since is not None:
        since = f"has not been read for {span_words(moment - one.since)}"
    if one.failures == 1:
        return f"{since}; the last try failed"
    return f"{since}; {one.failures} tries in a row failed"
