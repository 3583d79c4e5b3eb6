"""Look after the mail of workers that died, and of outcomes that stayed unknown.

Two rescuers do no harm: every write asks again for the state and lease that it was decided on.
"""

import logging
import time
from collections import Counter as Tally
from datetime import datetime, timedelta

from redis import Redis
from sqlalchemy import ColumnElement, Engine, and_, exists, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now, reading, transaction
from smtp_admin.database_errors import is_contention
from smtp_admin.delivery import journal, states
from smtp_admin.delivery.copies import counted_for
from smtp_admin.delivery.lanes import LEASE_SECONDS, abandoned, is_over
from smtp_admin.delivery.leases import HEARTBEAT_SECONDS
from smtp_admin.delivery.models import Delivery, Lane
from smtp_admin.delivery.record import add_to_counter, name_sent
from smtp_admin.delivery.retry import UNCERTAIN_REST
from smtp_admin.delivery.sensitive import erase_sensitive
from smtp_admin.delivery.suppressed_mail import suppress_again
from smtp_admin.translation import gettext

log = logging.getLogger(__name__)


class SteadyClock:
    """Whether the database's clock goes as this machine's does.

    One that was set makes a lease look over, or far from over, also where the holder is well.
    Holders soon beat by the new time, and until then nobody may take their lanes: mail would go
    out twice.
    """

    def __init__(self) -> None:
        self._seen: tuple[datetime, float] | None = None
        self._settled_at = 0.0
        self._steady_since = time.monotonic()

    def is_steady(self, engine: Engine) -> bool:
        """Look, and compare with the look before."""
        with reading(engine) as session:
            moment = database_now(session)
        here = time.monotonic()
        if self._seen is not None:
            went = (moment - self._seen[0]).total_seconds()
            if abs(went - (here - self._seen[1])) > _JUMP_SECONDS:
                log.warning("the database's clock jumped: no lane is rescued for a moment")
                self._settled_at, self._steady_since = here + _SETTLE_SECONDS, here
        self._seen = (moment, here)
        return here >= self._settled_at

    @property
    def is_sure(self) -> bool:
        """Whether it was steady for longer than any lease lasts, as far as this process knows."""
        return time.monotonic() - self._steady_since > LEASE_SECONDS


_JUMP_SECONDS = 5.0
#: In this time every holder that is well has beaten once.
_SETTLE_SECONDS = 1.5 * HEARTBEAT_SECONDS


def rescue(engine: Engine, redis: Redis, *, ahead: bool = False) -> int:
    """Settle the deliveries of every lane whose lease ran out; how many there were.

    Args:
        ahead: of lanes too whose lease ends later than any that is given now.
    """
    with reading(engine) as session:
        dead: list[tuple[int | None, int, str]] = [
            (lane.id, lane.sender_id, lane.lease or "") for lane in abandoned(session, ahead=ahead)
        ]
        # Under a lease that no lane has: a database that lost its last moments may bring it back.
        dead += [(None, row.sender_id, row.lease) for row in session.execute(_STRAYS)]
    journals = _Journals(redis)
    count = 0
    for lane in dead:
        try:
            count += _rescue_lane(engine, journals, *lane, ahead=ahead)
        except DBAPIError as error:
            if not is_contention(error):
                raise
            log.info("a lane's mail is just being written down; it is looked at again")
    return count


class _Journals:
    """The journals, in one look: a Redis that once did not answer is not asked for the next.

    Each question would wait as long, and the worker's other duties come behind.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._answers = True

    def read(self, lease: str) -> journal.Found | None:
        """As :func:`journal.read`."""
        found = journal.read(self._redis, lease) if self._answers else None
        self._answers = found is not None
        return found

    def forget(self, lease: str) -> None:
        """As :func:`journal.forget`; what nobody forgets is gone in a week."""
        if self._answers:
            journal.forget(self._redis, lease)


#: A Redis that is busy, or starts again, has the journal soon; what it tells need not be repeated.
_REDIS_WAIT = timedelta(seconds=30)


def _take(session: Session, lane_id: int, lease: str, over: ColumnElement[bool]) -> bool:
    """Take the lane's row: that decides between two rescuers, and against its holder.

    Nobody waits for it: who has it locked may be frozen, and the other lanes come behind.

    Args:
        over: whether the lease ran out.
    """
    over = and_(Lane.id == lane_id, Lane.lease == lease, over)
    if session.scalar(select(Lane.id).where(over).with_for_update(skip_locked=True)) is None:
        return False
    freed = update(Lane).where(over)
    return bool(changed(session, freed.values(lease=None, lease_until=None, holder="", rung=False)))


_STRAYS = (
    select(Delivery.sender_id, Delivery.lease)
    .where(
        Delivery.lease.is_not(None),
        Delivery.state == "sending",
        ~exists().where(Lane.lease == Delivery.lease),
    )
    .distinct()
)


def _rescue_lane(
    engine: Engine,
    journals: _Journals,
    lane_id: int | None,
    sender_id: int,
    lease: str,
    *,
    ahead: bool,
) -> int:
    found = journals.read(lease)
    with transaction(engine) as session:
        moment = database_now(session)
        ours = (Delivery.lease == lease, Delivery.state == "sending")
        waits = not found and session.scalar(select(Delivery.id).where(*ours).limit(1))
        over = is_over(moment - _REDIS_WAIT if waits else moment, moment, ahead=ahead)
        if lane_id is not None and not _take(session, lane_id, lease, over):
            return 0
        rows = session.execute(
            select(Delivery.id, Delivery.message_pk, Delivery.partner_id, Delivery.created_at)
            .where(*ours)
            # What its holder is just writing down is left to it, or to the next look.
            .with_for_update(skip_locked=True)
        ).all()
        held = {row.id for row in rows}
        accepted = held & found.accepted if found else set()
        unknown = found.unknown(held) if found else held
        untouched = held - accepted - unknown
        if accepted and found:
            name_sent(session.connection(), found.provider_ids, lease)
            changed(
                session,
                update(Delivery)
                .where(*ours, Delivery.id.in_(accepted))
                .values(
                    state=states.check("sending", "sent"), lease=None, finished_at=moment,
                    last_code="", last_cause="", last_error="", last_reply="",
                ),
            )  # fmt: skip
            minute = moment.replace(second=0, microsecond=0)
            tallies: dict[str, Tally[str]] = {}
            owners = counted_for(session, rows)
            for row in rows:
                if row.id in accepted:
                    waited = int((moment - row.created_at) / timedelta(milliseconds=1))
                    tally = tallies.setdefault(owners[row.id], Tally())
                    tally.update(sent=1, milliseconds=waited)
            for partner_id, tally in sorted(tallies.items()):
                add_to_counter(session, sender_id, partner_id, minute, tally)
            erase_sensitive(session, {row.message_pk for row in rows if row.id in accepted})
        if untouched:
            changed(
                session,
                update(Delivery)
                .where(*ours, Delivery.id.in_(untouched))
                .values(state=states.check("sending", "queued"), lease=None),
            )
            suppress_again(session, untouched, moment)
        if unknown:
            changed(
                session,
                update(Delivery)
                .where(*ours, Delivery.id.in_(unknown))
                .values(
                    state=states.check("sending", "uncertain"),
                    lease=None,
                    uncertains=Delivery.uncertains + 1,
                    finished_at=moment,
                    next_attempt_at=moment + UNCERTAIN_REST,
                    last_code="worker_lost",
                    last_cause="",
                    last_error=gettext("The worker ended while it was sending this mail."),
                    last_reply="",
                ),
            )
        left = session.scalar(select(Delivery.id).where(*ours).limit(1))
    if left is None:  # else its holder has them locked, and may die before it commits
        journals.forget(lease)
    log.warning(
        "rescued the mail of a lost worker: %d accepted, %d untouched, %d unknown",
        len(accepted), len(untouched), len(unknown),
    )  # fmt: skip
    return len(held)
