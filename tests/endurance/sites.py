"""A site on any database, and what must hold there after whatever happened."""

from collections import Counter as Tally
from collections.abc import Iterable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from redis import Redis
from sqlalchemy import func, select, update

from smtp_admin.clock import now
from smtp_admin.delivery.models import Counter, Delivery, Lane, Message
from tests.app import HostApp
from tests.delivery.workbench import letter
from tests.endurance.history import broken_rules, remember
from tests.endurance.sink import Sink
from tests.worker.running import APP, Site, until

__all__ = [
    "AnySite",
    "check_all_sent",
    "check_nothing_invented",
    "counted",
    "lose_leases",
    "queue_each",
    "states",
    "wait_for_last_words",
]

#: Every duty comes round twenty times as often: a sweep meets more, and nobody waits for it.
HASTE = """
from smtp_admin.worker import process

process.SWEEP_SECONDS = 0.5
"""


class AnySite(Site):
    """A host app on the database *uri*, which remembers every change of a state."""

    def __init__(self, folder: Path, redis_url: str, uri: str, **more: Any) -> None:
        super().__init__(folder, redis_url, uri=uri, **more)
        (folder / "app.py").write_text(APP + HASTE)
        with self.opened() as host:
            remember(host.db.engine)


def queue_each(host: HostApp, recipients: Iterable[str], partner_id: str = "acme") -> None:
    """Queue one mail for each, with a Message-ID of its own, and commit once."""
    for recipient in recipients:
        host.plugin.send_message(letter(recipient), partner_id=partner_id)
    host.db.session.commit()


def states(host: HostApp) -> dict[str, int]:
    """How many deliveries are in each state now."""
    session = host.db.session()
    session.rollback()
    rows = session.execute(select(Delivery.state, func.count()).group_by(Delivery.state)).all()
    session.rollback()
    return {str(state): int(count) for state, count in rows}


def lose_leases(host: HostApp) -> int:
    """Let every lease have run out; how many there were.

    Honest only while every holder is dead: it saves the wait of 45 seconds and nothing else.
    """
    session = host.db.session()
    session.rollback()
    past = now() - timedelta(minutes=5)
    held = session.execute(update(Lane).where(Lane.lease.is_not(None)).values(lease_until=past))
    session.commit()
    return int(held.rowcount)  # type: ignore[attr-defined]  # an UPDATE has one


def counted(host: HostApp) -> int:
    """How many mails the counters say were sent."""
    session = host.db.session()
    session.rollback()
    return int(session.scalar(select(func.coalesce(func.sum(Counter.sent), 0))) or 0)


def wait_for_last_words(redis: Redis, before: int) -> None:
    """Wait until Redis has read all that a dead worker wrote, to its last connection's end.

    Args:
        before: how many clients there were before that worker started.
    """
    assert until(lambda: len(redis.client_list()) <= before)


def check_nothing_invented(host: HostApp, *sinks: Sink) -> None:
    """What is recorded as sent is where it was sent to."""
    session = host.db.session()
    session.rollback()
    recorded = session.execute(
        select(Message.message_id, Delivery.recipient)
        .join(Delivery, Delivery.message_pk == Message.id)
        .where(Delivery.state == "sent")
    ).all()
    session.rollback()
    arrived = {key for sink in sinks for key in sink.copies}
    assert {(row[0], row[1]) for row in recorded} <= arrived


def check_all_sent(host: HostApp, *sinks: Sink, repeats: int) -> None:
    """Everything arrived and is recorded, once; at most *repeats* came twice, and as they were."""
    session = host.db.session()
    session.rollback()
    assert broken_rules(host.db.engine) == []
    assert states(host) == {"sent": sum(states(host).values())}
    rows = session.execute(
        select(Message.message_id, Delivery.recipient, Message.content).join(
            Delivery, Delivery.message_pk == Message.id
        )
    ).all()
    digests = {(row[0], row[1]): sha256(row[2]).hexdigest() for row in rows}
    copies: Tally[tuple[str, str]] = Tally()
    for sink in sinks:
        copies += sink.copies
        for one in sink.accepted:
            assert one.digest == digests[one.message_id, one.recipient], "other bytes than stored"
    assert set(copies) == set(digests), "a mail is missing, or nobody wrote it"
    assert sum(copies.values()) - len(copies) <= repeats
    assert counted(host) == len(rows)
    assert set(session.scalars(select(Lane.lease))) == {None}
    assert set(session.scalars(select(Delivery.lease))) == {None}
    assert set(session.scalars(select(Delivery.attempts))) <= {0}, "a message paid for a worker"
    session.rollback()
