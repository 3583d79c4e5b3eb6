"""The order of a large platform's senders, as a worker found it: once a minute, for every page.

To put a thousand senders in order, all their states have to be decided, and of each the mail
counted. The worker that looks for incidents does that anyway; it leaves the order in Redis, and a
list decides the fifty that it shows. What is lost there, or too old, is found anew by the page
itself, as on a small platform.
"""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from smtp_admin.audit.models import Audit
from smtp_admin.database import SYSTEM, about_now, reading
from smtp_admin.delivery.doorbell import queue_name, workers_now
from smtp_admin.delivery.shared_redis import RedisAway, SharedRedis, shared_redis
from smtp_admin.host import Partner
from smtp_admin.installation import Installation, Kept, installation
from smtp_admin.monitor.sender_order import SORTS, Placed, everyone, placed
from smtp_admin.repeated import host_raised
from smtp_admin.sender_state.state import KEYS

log = logging.getLogger(__name__)

#: With so many owners of senders or fewer, every page decides all of them.
FEW = 200
#: A little more than one round of the worker; what is older is not the order any more.
KEPT_SECONDS = 90
#: Redis drops it by then. One that is further from now was written by somebody else.
_FURTHEST = timedelta(seconds=2 * KEPT_SECONDS)
#: No key of a row is larger, on any database.
_LAST_ID = 2**63 - 1

#: When that was, the last line of the audit by then, and the senders by owner.
_Said = tuple[datetime, int, dict[str, Sequence[Placed]]]


@dataclass(frozen=True, slots=True)
class Order:
    """How senders stood at *moment*.

    Attributes:
        placed: by owner, the default sender first.
        changed: owners of whom something was done since, by a person or a script.
    """

    moment: datetime
    placed: Mapping[str, Sequence[Placed]]
    changed: frozenset[str] = frozenset()

    def unknown(self, owners: Collection[str]) -> set[str]:
        """Those of *owners* that are new or have changed, and have to be decided."""
        return {one for one in owners if one in self.changed or one not in self.placed}

    def with_news(self, owners: Sequence[str], news: Sequence[Placed]) -> list[Placed]:
        """The senders of *owners*, in their order: as in *news*, which has all of the unknown."""
        known = {**self.placed, **dict.fromkeys(self.changed, ()), **_by_owner(news)}
        return [one for owner in owners for one in known.get(owner, ())]


@dataclass(slots=True)
class OrderKept:
    """Where one app's workers leave the order for its web processes."""

    redis: SharedRedis
    key: str
    #: What was read last, and what it says: it is the same for a minute.
    _last: tuple[bytes, _Said | None] = (b"", None)

    def write(self, text: str) -> None:
        """Leave *text* for a while."""
        try:
            with self.redis.asked("order") as redis:
                redis.set(self.key, text, ex=KEPT_SECONDS)
        except RedisAway as away:
            if not away.noted:
                log.warning("Redis is away (%s): pages order senders themselves", away)

    def read(self) -> _Said | None:
        """What was left, if it is there."""
        try:
            with self.redis.asked("order") as redis:
                found: Any = redis.get(self.key)
        except RedisAway:
            return None
        if not isinstance(found, bytes):
            return None
        last, said = self._last
        if found != last:
            said = _read(found)
            self._last = found, said
        return said


def _kept(here: Installation) -> OrderKept:
    return OrderKept(shared_redis(here), f"{queue_name(here.db.engine)}:order")


KEPT = Kept[OrderKept](_kept)


def keep_order(engine: Engine) -> int:
    """Find the order of all senders and leave it to the pages; how many senders.

    Nothing is done on a platform with few partners. Needs an app context.
    """
    here = installation()
    try:
        partners = [*here.host.partners()]
    except Exception as error:  # noqa: BLE001 - the host's own code; pages do without
        host_raised(log, "partners", error)
        return 0
    if len(partners) <= FEW:
        return 0
    with reading(engine) as session:
        # Before all else: of what is done meanwhile, a page must see that it is newer.
        last = session.scalar(select(func.max(Audit.id))) or 0
        every = everyone(session, [None, *partners], everybody=True)
        found = placed(session, every, SORTS)
    rows = [(one.partner_id, one.key, one.state, one.ranks) for one in found]
    moment = every.looked.moment.timestamp()
    KEPT.of(here).write(json.dumps([moment, last, rows], separators=(",", ":")))
    return len(rows)


def kept_order(session: Session, owners: Sequence[Partner | None]) -> Order | None:
    """The order that a worker left; ``None`` where a page has to find it itself.

    That is so where *owners* are few, where nothing of these minutes is there, and where no worker
    runs, for that makes every state another one.
    """
    if len(owners) <= FEW:
        return None
    said = KEPT.of(installation()).read()
    if said is None or workers_now() == 0:
        return None
    moment, last, rows = said
    if abs(about_now(session) - moment) > _FURTHEST:
        return None
    changes = select(Audit.partner_id).where(Audit.id > last).distinct().limit(FEW + 1)
    changed = frozenset(session.scalars(changes))
    if len(changed) > FEW:
        return None  # of whom else is not known
    order = Order(moment, rows, changed)
    ids = [one.id if one else SYSTEM for one in owners]
    return order if len(order.unknown(ids)) <= FEW else None


def _read(text: bytes) -> _Said | None:
    """What stands there; whoever reaches Redis can write anything."""
    try:
        at, last, rows = json.loads(text)
        moment, last = datetime.fromtimestamp(at, UTC), int(last)
        found = [Placed(str(row[0]), str(row[1]), row[2], _ranks(row[3])) for row in rows]
    except (ValueError, TypeError, LookupError, OverflowError, OSError, RecursionError):
        log.warning("what Redis has as the order of senders is none; pages find it themselves")
        return None
    if not 0 <= last <= _LAST_ID or not all(one.state in KEYS for one in found):
        return None
    return moment, last, _by_owner(found)


def _by_owner(senders: Sequence[Placed]) -> dict[str, Sequence[Placed]]:
    return {owner: [*theirs] for owner, theirs in groupby(senders, key=attrgetter("partner_id"))}


def _ranks(found: Any) -> dict[str, Any]:
    urgent = [float(each) for each in found["state"]]
    return {"state": urgent, "name": 0} | {
        sort: float(found[sort]) for sort in SORTS if sort not in {"state", "name"}
    }
