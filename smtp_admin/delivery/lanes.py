"""Who may send for a sender: a lease in SQL with a heartbeat.

The lease, not RQ, keeps two workers from one lane: RQ may run a job twice, and a killed parent
leaves its child running. All times are the database's.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    bindparam,
    func,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.orm import Session

from smtp_admin.clock import sql_now
from smtp_admin.database import UTCDateTime, changed, database_now, transaction
from smtp_admin.delivery.models import Lane
from smtp_admin.senders.models import Sender, SenderRevision

#: Without a heartbeat for so long, a lane is up for rescue.
LEASE_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class HeldLane:
    """A lane that this thread holds.

    Attributes:
        others: whether the sender had another lane free when this one was taken.
    """

    lane_id: int
    sender_id: int
    lease: str
    others: bool = False


def acquire(database: Engine | Connection, sender_id: int, holder: str) -> HeldLane | None:
    """Take a free lane of *sender_id*, or ``None`` if all that it may have are taken.

    A lane whose lease ran out is not free: :mod:`.rescue` must first look after its mail.
    """
    lease = uuid.uuid4().hex
    for _ in range(2):
        with transaction(database) as session:
            connection = session.connection()
            free = connection.execute(_FREE, {"of": sender_id}).all()
            for lane_id, moment in free:
                values = {
                    "which": lane_id,
                    "new_lease": lease,
                    "until": moment + timedelta(seconds=LEASE_SECONDS),
                    "by": holder[:100],
                }
                if connection.execute(_TAKE, values).rowcount:
                    return HeldLane(lane_id, sender_id, lease, others=lane_id != free[-1][0])
            # Its holder may be just finishing, and must not miss what this bell was rung for.
            told = connection.execute(_RING, {"of": sender_id}).rowcount
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
    select(Lane.id, type_coerce(sql_now(), UTCDateTime()))
    .where(
        Lane.sender_id == bindparam("of"),
        Lane.lease.is_(None),
        Lane.slot < func.coalesce(_CONNECTIONS, 1),
    )
    .order_by(Lane.slot)
)
_TAKE = (
    update(Lane)
    .where(Lane.id == bindparam("which"), Lane.lease.is_(None))
    .values(lease=bindparam("new_lease"), lease_until=bindparam("until"), holder=bindparam("by"))
)
_RING = (
    update(Lane).where(Lane.sender_id == bindparam("of"), Lane.lease.is_not(None)).values(rung=True)
)
_OURS = (Lane.id == bindparam("which"), Lane.lease == bindparam("our_lease"))
_FREED: dict[str, Any] = {"lease": None, "lease_until": None, "holder": "", "rung": False}
_RELEASE = update(Lane).where(*_OURS, ~Lane.rung).values(_FREED)
_RELEASE_RUNG = update(Lane).where(*_OURS).values(_FREED)


def beat(session: Session, held: Collection[HeldLane]) -> tuple[set[str], set[str]]:
    """Hold on to the lanes that are *held*; the leases that were renewed, and those that are lost.

    Nothing may be written under one that is lost. A lane that somebody has locked just now, mostly
    its own claim, is in neither: it must not keep the others waiting.
    """
    leases = {one.lease for one in held}
    ours = (Lane.id.in_([one.lane_id for one in held]), Lane.lease.in_(leases))
    if session.connection().dialect.name == "sqlite":
        changed(session, update(Lane).where(*ours).values(lease_until=_until(session)))
        found = {str(lease) for lease in session.scalars(select(Lane.lease).where(*ours))}
        return found, leases - found
    free = select(Lane.id, Lane.lease).where(*ours).with_for_update(skip_locked=True)
    renewed = {lane_id: str(lease) for lane_id, lease in session.execute(free)}
    until = update(Lane).where(Lane.id.in_(renewed)).values(lease_until=_until(session))
    changed(session, until)
    if len(renewed) == len(leases):
        return leases, set()
    found = {str(lease) for lease in session.scalars(select(Lane.lease).where(*ours))}
    return set(renewed.values()), leases - found


def release(database: Engine | Connection, lane: HeldLane) -> bool:
    """Give *lane* back, with nothing under way on it; whether a bell came in the meantime."""
    ours = {"which": lane.lane_id, "our_lease": lane.lease}
    with transaction(database) as session:
        connection = session.connection()
        if connection.execute(_RELEASE, ours).rowcount:
            return False
        # A bell came, perhaps just now; or the lane is not ours any more.
        return connection.execute(_RELEASE_RUNG, ours).rowcount > 0


def abandoned(session: Session, *, ahead: bool = False) -> list[Lane]:
    """The lanes whose holder has stopped beating.

    Args:
        ahead: those too whose lease ends later than any that is given now.
    """
    moment = database_now(session)
    return list(
        session.scalars(
            select(Lane).where(Lane.lease.is_not(None), is_over(moment, moment, ahead=ahead))
        )
    )


def is_over(ended: datetime, moment: datetime, *, ahead: bool) -> ColumnElement[bool]:
    """Whether a lease ran out before *ended*, or with *ahead* cannot be one of now.

    A clock that was set back leaves leases that end hours from now. Holders that are well renew
    them by the new time at once; who died meanwhile would hold the lane until then.
    """
    over = or_(Lane.lease_until.is_(None), Lane.lease_until < ended)
    furthest = moment + timedelta(seconds=LEASE_SECONDS + _SLACK_SECONDS)
    return or_(over, Lane.lease_until > furthest) if ahead else over


#: How far the clocks of two connections to one database may be apart.
_SLACK_SECONDS = 5.0


def _until(session: Session) -> Any:
    return database_now(session) + timedelta(seconds=LEASE_SECONDS)
