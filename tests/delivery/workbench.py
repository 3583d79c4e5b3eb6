"""A worker without threads and clocks: each step happens when the test says so."""

import threading
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, select, update

from smtp_admin.clock import now, shifted
from smtp_admin.database import beside_workers, host_engine, transaction, worker_engine
from smtp_admin.delivery.context import WorkerContext
from smtp_admin.delivery.engine import work_lane
from smtp_admin.delivery.journal import Lines
from smtp_admin.delivery.leases import Leases
from smtp_admin.delivery.maintenance.due import due_senders
from smtp_admin.delivery.maintenance.expire import expire
from smtp_admin.delivery.maintenance.fallback import fall_back
from smtp_admin.delivery.maintenance.rescue import rescue
from smtp_admin.delivery.maintenance.settle_unknown import settle_unknown
from smtp_admin.delivery.models import Attempt, Delivery, Hop, Lane
from smtp_admin.delivery.models import Message as Row
from smtp_admin.delivery.shared_redis import redis_client
from smtp_admin.erasure.erasing import Erased
from smtp_admin.erasure.finding import Search
from smtp_admin.erasure.working import erase
from smtp_admin.host import Actor
from smtp_admin.mail.message import Message
from smtp_admin.providers.catalogue import replies
from smtp_admin.senders.models import Sender
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.session import Dialler
from smtp_admin.transports.driver import Surroundings
from smtp_admin.transports.warm import WarmTransports
from tests.app import ADMIN, HostApp
from tests.patience import SECONDS

__all__ = [
    "IMPATIENT",
    "PATIENT",
    "Workbench",
    "attempts",
    "deliveries",
    "erase_now",
    "hops",
    "letter",
    "queue",
    "row_of",
    "rows_of",
    "sender_row",
    "step_in",
]

PATIENT = Timeouts(connect=SECONDS, command=SECONDS, final_dot=SECONDS, greeting=SECONDS)
#: For tests of a server that says nothing.
IMPATIENT = Timeouts(connect=1.0, command=1.0, final_dot=1.0, greeting=1.0)


class Workbench:
    """What one sender thread works with, and the duties of a worker's clock.

    Made inside the host's app context. The engine is a worker's own, as in a real one.
    """

    def __init__(
        self,
        host: HostApp,
        *,
        timeouts: Timeouts = PATIENT,
        redis_url: str = "",
        pool_size: int = 24,
    ) -> None:
        self.host = host
        here = host.installation
        self.engine: Engine = worker_engine(host_engine(), pool_size=pool_size)
        self.redis = redis_client(redis_url or here.config.redis_url)
        self.lines = Lines(self.redis)
        self.leases = Leases(self.engine)
        self.stopping = threading.Event()
        policy = DiallingPolicy(here.config.allowed_ports, here.config.allowed_networks)
        dialler = Dialler(policy=policy, timeouts=timeouts)
        endpoints = here.config.api_endpoints
        self._surroundings = Surroundings(dialler, replies(), endpoints=endpoints)
        self._transports = WarmTransports()
        self._suitable: dict[int, int] = {}

    def context(self) -> WorkerContext:
        """What one thread works with."""
        return WorkerContext(
            app=self.host.app,
            here=self.host.installation,
            engine=self.engine,
            leases=self.leases,
            lines=self.lines,
            surroundings=self._surroundings,
            transports=self._transports,
            worker="context",
            stopping=self.stopping,
            suitable=self._suitable,
        )

    def work(self, partner_id: str = "acme", key: str = "") -> bool:
        """Send for one sender until nothing is due; whether more may be."""
        self.host.db.session.rollback()
        return work_lane(self.context(), sender_row(self.host, partner_id, key).id)

    def tick(self, later: timedelta = timedelta()) -> None:
        """Everything that a worker does when its clock strikes, *later* than now."""
        self.host.db.session.rollback()
        with shifted(later):
            rescue(self.engine, self.redis)
            expire(self.engine)
            settle_unknown(self.host.app, self.engine)
            for sender in due_senders(self.engine):
                work_lane(self.context(), sender.sender_id)
        self.host.db.session.rollback()

    def lose_lease(self) -> None:
        """What the clock does when a worker has died."""
        with transaction(self.engine) as session:
            past = now() - timedelta(minutes=5)
            session.execute(update(Lane).where(Lane.lease.is_not(None)).values(lease_until=past))

    def close_connections(self) -> None:
        """Let go of the mail servers."""
        self._transports.close_all()

    def close(self) -> None:
        """Let go of every connection."""
        self.close_connections()
        self.leases.close()
        self.lines.close()
        self.redis.close()
        self.engine.dispose()


def step_in(host: HostApp) -> int:
    """Let others take over the mail of paused senders; how many deliveries.

    A second later than now: when a mail is due is written by a guess of the database's clock, which
    may be some milliseconds ahead of it.
    """
    host.db.session.rollback()
    with shifted(timedelta(seconds=1)):
        return fall_back(host_engine())


def erase_now(host: HostApp, search: Search, actor: Actor = ADMIN, **keywords: Any) -> Erased:
    """Erase an address as the page and the command do; what the host began is committed first."""
    host.db.session.commit()
    with beside_workers() as engine:
        done = erase(engine, actor, search, **keywords)
    host.db.session.expire_all()
    return done


def letter(*recipients: str, subject: str = "Hello", **fields: Any) -> Message:
    """A small mail."""
    fields.setdefault("body", "Good morning.")
    return Message(subject, recipients or ("you@example.org",), **fields)


def queue(host: HostApp, *recipients: str, partner_id: str = "acme", **keywords: Any) -> str:
    """Queue a small mail and commit; its public id."""
    public_id = host.plugin.send_message(letter(*recipients), partner_id=partner_id, **keywords)
    host.db.session.commit()
    return public_id


def deliveries(host: HostApp) -> list[Delivery]:
    """Every delivery, oldest first, as it is in the database now."""
    session = host.db.session()
    session.rollback()
    return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def row_of(host: HostApp, public_id: str) -> Row:
    """The message with this public id; the first one, where others took over some recipients."""
    return rows_of(host, public_id)[0]


def rows_of(host: HostApp, public_id: str) -> list[Row]:
    """The messages with this public id, the first one first."""
    session = host.db.session()
    session.rollback()
    mine = select(Row).where(Row.public_id == public_id).order_by(Row.id)
    return list(session.scalars(mine))


def hops(host: HostApp) -> list[Hop]:
    """Every hop, oldest first."""
    session = host.db.session()
    session.rollback()
    return list(session.scalars(select(Hop).order_by(Hop.id)))


def attempts(host: HostApp) -> list[Attempt]:
    """Every attempt that was written down, oldest first."""
    session = host.db.session()
    session.rollback()
    return list(session.scalars(select(Attempt).order_by(Attempt.id)))


def sender_row(host: HostApp, partner_id: str = "acme", key: str = "") -> Sender:
    """The row of a sender of a partner."""
    session = host.db.session()
    session.rollback()
    mine = select(Sender).where(Sender.partner_id == partner_id, Sender.key == key)
    found: Sender = session.scalars(mine).one()
    return found
