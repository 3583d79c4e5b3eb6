"""Who may send for a sender: a lease in SQL with a heartbeat.

The lease, not RQ, keeps two workers from one lane: RQ may run a job twice, and a killed parent
leaves its child running. All times are the database's.
"""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now, transaction
from smtp_admin.delivery.models import Lane
from smtp_admin.settings.models import Sender, SenderRevision

#: Without a heartbeat for so long, a lane is up for rescue.
LEASE_SECONDS = 45.0
HEARTBEAT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class HeldLane:
    """A lane that this thread holds."""

    lane_id: int
    sender_id: int
    lease: str


def acquire(engine: Engine, sender_id: int, holder: str) -> HeldLane | None:
    """Take a free lane of *sender_id*, or ``None`` if all that it may have are taken.

    A lane whose lease ran out is not free: :mod:`.rescue` must first look after its mail.
    """
    lease = uuid.uuid4().hex
    for _ in range(2):
        with transaction(engine) as session:
            for lane_id in session.scalars(_FREE, {"of": sender_id}).all():
                taken = changed(
                    session,
                    update(Lane)
                    .where(Lane.id == lane_id, Lane.lease.is_(None))
                    .values(lease=lease, lease_until=_until(session), holder=holder[:100]),
                )
                if taken:
                    return HeldLane(lane_id, sender_id, lease)
            # Its holder may be just finishing, and must not miss what this bell was rung for.
            told = changed(
                session,
                update(Lane)
                .where(Lane.sender_id == sender_id, Lane.lease.is_not(None))
                .values(rung=True),
            )
        if told:
            return None
    return None


_CONNECTIONS = (
    select(SenderRevision.max_connections)
    .join(Sender, Sender.id == SenderRevision.sender_id)
    .where(Sender.id == Lane.sender_id, SenderRevision.number == Sender.current_revision)
    .correlate(Lane)
    .scalar_subquery()
)
#: The lanes of a sender that nobody holds and that its number of connections allows. A sender
#: that lives in the environment alone has no revision, and one connection.
_FREE = (
    select(Lane.id)
    .where(
        Lane.sender_id == bindparam("of"),
        Lane.lease.is_(None),
        Lane.slot < func.coalesce(_CONNECTIONS, 1),
    )
    .order_by(Lane.slot)
)


def beat(session: Session, lane: HeldLane) -> bool:
    """Hold on to *lane*; ``False`` if it is no longer ours, and nothing may be written."""
    return bool(
        changed(
            session,
            update(Lane)
            .where(Lane.id == lane.lane_id, Lane.lease == lane.lease)
            .values(lease_until=_until(session)),
        )
    )


def release(database: Engine | Connection, lane: HeldLane) -> bool:
    """Give *lane* back, with nothing under way on it; whether a bell came in the meantime."""
    with transaction(database) as session:
        ours = (Lane.id == lane.lane_id, Lane.lease == lane.lease)
        rung = session.scalar(select(Lane.rung).where(*ours).with_for_update())
        changed(
            session,
            update(Lane).where(*ours).values(lease=None, lease_until=None, holder="", rung=False),
        )
    return bool(rung)


def abandoned(session: Session) -> list[Lane]:
    """The lanes whose holder has stopped beating."""
    moment = database_now(session)
    return list(
        session.scalars(
            select(Lane).where(
                Lane.lease.is_not(None),
                or_(Lane.lease_until.is_(None), Lane.lease_until < moment),
            )
        )
    )


def _until(session: Session) -> Any:
    return database_now(session) + timedelta(seconds=LEASE_SECONDS)
