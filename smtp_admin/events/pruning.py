"""Forget events: with the mail that they are about, but not before the same may come again."""

from datetime import timedelta

from sqlalchemy import Engine, delete, select

from smtp_admin.config import Config
from smtp_admin.database import changed, database_now, transaction
from smtp_admin.events.models import MailEvent, WebhookNonce

#: Providers tell the same again for so long.
REPEATED = timedelta(days=3)
_STEP = 1000


def prune_events(engine: Engine, config: Config) -> int:
    """Delete events and nonces that are old enough; how many events."""
    with transaction(engine) as session:
        moment = database_now(session)
        changed(session, delete(WebhookNonce).where(WebhookNonce.at < moment - REPEATED))
    keep = max(timedelta(days=config.keep_days), REPEATED)
    total = 0
    # What is about no mail of ours is kept only as long as it may be told again.
    for age, which in (
        (keep, (MailEvent.state != "waiting",)),
        (REPEATED, (MailEvent.state == "unknown",)),
    ):
        while step := _prune_some(engine, age, which):
            total += step
    return total


def _prune_some(engine: Engine, age: timedelta, which: tuple[object, ...]) -> int:
    with transaction(engine) as session:
        old = (MailEvent.received_at < database_now(session) - age, *which)
        ids = session.scalars(select(MailEvent.id).where(*old).limit(_STEP)).all()  # type: ignore[arg-type]
        if ids:
            changed(session, delete(MailEvent).where(MailEvent.id.in_(ids)))
        return len(ids)
