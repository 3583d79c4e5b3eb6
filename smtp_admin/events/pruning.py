"""Forget events: with the mail that they are about, but not before the same may come again."""

from datetime import timedelta

from sqlalchemy import ColumnElement, Engine, delete, select

from smtp_admin.config import Config
from smtp_admin.database import changed, database_now, transaction
from smtp_admin.delivery.maintenance.retention import retentions
from smtp_admin.events.bounces.mailboxes import MAILBOXES
from smtp_admin.events.models import MailEvent, WebhookNonce

#: Providers tell the same again for so long.
REPEATED = timedelta(days=3)
_STEP = 1000


def prune_events(engine: Engine, config: Config) -> int:
    """Delete events and nonces that are old enough; how many events."""
    with transaction(engine) as session:
        MAILBOXES.forget_leftovers(session)
        moment = database_now(session)
        changed(session, delete(WebhookNonce).where(WebhookNonce.at < moment - REPEATED))
    # What is about no mail of ours is kept only as long as it may be told again.
    old: list[tuple[timedelta, tuple[ColumnElement[bool], ...]]] = [
        (REPEATED, (MailEvent.state == "unknown",))
    ]
    for one in retentions(config):
        over = (MailEvent.state != "waiting", one.concerns(MailEvent.partner_id))
        old.append((max(one.keep, REPEATED), over))
    total = 0
    for age, which in old:
        while step := _prune_some(engine, age, which):
            total += step
    return total


def _prune_some(engine: Engine, age: timedelta, which: tuple[ColumnElement[bool], ...]) -> int:
    with transaction(engine) as session:
        old = (MailEvent.received_at < database_now(session) - age, *which)
        ids = session.scalars(select(MailEvent.id).where(*old).limit(_STEP)).all()
        if ids:
            changed(session, delete(MailEvent).where(MailEvent.id.in_(ids)))
        return len(ids)
