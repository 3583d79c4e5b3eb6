"""Everything that may happen to a sender's mail happens at once, at random."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from smtp_admin.clock import now
from smtp_admin.database import transaction
from smtp_admin.database_errors import is_contention
from smtp_admin.delivery import lanes
from smtp_admin.delivery.actions import cancel, retry
from smtp_admin.delivery.claim import Batch, claim
from smtp_admin.delivery.journal import Journal
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.maintenance.expire import expire
from smtp_admin.delivery.maintenance.rescue import rescue
from smtp_admin.delivery.maintenance.settle_unknown import settle_unknown
from smtp_admin.delivery.models import Delivery, Lane, Message
from smtp_admin.delivery.record import Result, give_back, record
from smtp_admin.errors import Conflict
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict
from tests.app import HostApp
from tests.delivery.workbench import Workbench, sender_row
from tests.endurance.history import broken_rules
from tests.endurance.points import MakeBench
from tests.endurance.sites import AnySite, counted, queue_each, states
from tests.patience import SECONDS

EACH = ["sqlite", "postgresql", "mariadb"]
ACCEPTED = Outcome(Verdict.ACCEPTED)
LOST = Outcome(Verdict.UNCERTAIN, SenderHealth.FINE, "lost", code="connection_lost")
REFUSED = Outcome(Verdict.PERMANENT, reason="no", code="recipient_refused")
BROKEN_OFF = Outcome(Verdict.RELEASED, SenderHealth.FINE, "broken off", code="connection_lost")
OUTCOMES, WEIGHTS = (ACCEPTED, LOST, REFUSED, BROKEN_OFF), (80, 5, 5, 10)

STORM_SECONDS = 1.5
#: Everything that a mail may come to is to be seen; at the very end nothing may be queued any more.
ENDS = {"queued", "sent", "dead", "cancelled"}


@pytest.mark.parametrize("database", EACH, indirect=True)
def test_in_a_storm_every_delivery_goes_its_lawful_way(site: AnySite, bench_of: MakeBench) -> None:
    """Claims, results of every kind, deaths, rescues, cancellations and retries at random."""
    with site.opened() as host:
        host.save_sender(max_connections=4)
        queue_each(host, (f"r{one}@example.org" for one in range(400)))
        bench = bench_of(host)
        storm = Storm(host, bench)
        storm.rage(STORM_SECONDS)
        bench.lose_lease()
        rescue(bench.engine, bench.redis)
        assert broken_rules(host.db.engine) == []
        left = states(host)
        assert sum(left.values()) == 400, "a delivery is gone"
        assert "sending" not in left
        assert counted(host) == left["sent"]
        assert storm.seen | set(left) >= ENDS


class Storm:
    """Threads that do to one sender's mail whatever may happen to it."""

    def __init__(self, host: HostApp, bench: Workbench) -> None:
        self._host = host
        self._bench = bench
        self._sender_id = sender_row(host).id
        session = host.db.session()
        self._ids = list(session.scalars(select(Message.public_id)))
        session.rollback()
        self._over = threading.Event()
        #: The states that some mail was in.
        self.seen: set[str] = set()

    def rage(self, seconds: float) -> None:
        """Let it rage."""
        acts = [(self._work, 0.002)] * 4 + [(self._rescue, 0.02)] * 2
        acts += [(self._kill, 0.1), (self._person, 0.02), (self._clock, 0.05)]
        with ThreadPoolExecutor(len(acts)) as threads:
            running = [
                threads.submit(self._again, act, pause, random.Random(number))  # noqa: S311
                for number, (act, pause) in enumerate(acts)
            ]
            self._over.wait(seconds)
            self.seen |= set(states(self._host))
            ends = time.monotonic() + 20 * seconds  # on a busy machine less happens in that time
            while not self.seen >= ENDS and time.monotonic() < ends:
                self.seen |= set(states(self._host))
                self._over.wait(0.1)
            self._over.set()
            for one in running:
                one.result(SECONDS)

    def _again(
        self, act: Callable[[random.Random], None], pause: float, dice: random.Random
    ) -> None:
        with self._host.app.app_context():
            while not self._over.wait(dice.uniform(0, 2 * pause)):
                try:
                    act(dice)
                except DBAPIError as error:
                    if not is_contention(error):  # of two that wait for each other one gives up
                        raise

    def _work(self, dice: random.Random) -> None:
        """A worker's time slice; one that dies leaves its lane as it is."""
        bench = self._bench
        lane = lanes.acquire(bench.engine, self._sender_id, "worker")
        if lane is None:
            return
        batch = claim(bench.engine, lane, dice.randint(1, 8))
        if batch is not None and not self._send(lane, batch, dice):
            return
        lanes.release(bench.engine, lane)

    def _send(self, lane: HeldLane, batch: Batch, dice: random.Random) -> bool:
        journal = Journal(self._bench.lines, lane.lease)
        journal.begin([one.id for one in batch.deliveries])
        left = list(batch.deliveries)
        for one in batch.deliveries[: dice.randint(0, 8)]:
            if dice.random() < 0.05:
                return False
            outcome = dice.choices(OUTCOMES, WEIGHTS)[0]
            if outcome is ACCEPTED:
                journal.accepted(one.id)
            elif outcome is not LOST:
                journal.settled(one.id)
            if dice.random() < 0.05:
                return False
            self._record(lane, Result(one, outcome))
            left.remove(one)
        give_back(self._bench.engine, lane, [one.id for one in left])
        journal.finish()
        return True

    def _record(self, lane: HeldLane, result: Result) -> None:
        config = self._host.installation.config
        record(self._bench.engine, lane, [result], config=config, revision=1, worker="worker")

    def _rescue(self, dice: random.Random) -> None:
        rescue(self._bench.engine, self._bench.redis)

    def _kill(self, dice: random.Random) -> None:
        """Any lease may run out at any time, also one whose holder is well."""
        with transaction(self._bench.engine) as session:
            slot = dice.randrange(4)
            past = now().replace(year=2020)
            session.execute(
                update(Lane)
                .where(Lane.slot == slot, Lane.lease.is_not(None))
                .values(lease_until=past)
            )

    def _person(self, dice: random.Random) -> None:
        with transaction(self._bench.engine) as session, suppress(Conflict):
            public_id = dice.choice(self._ids)
            if dice.random() < 0.5:
                cancel(session, public_id)
            else:
                retry(session, [public_id])

    def _clock(self, dice: random.Random) -> None:
        expire(self._bench.engine)
        settle_unknown(self._bench.host.app, self._bench.engine)
        with transaction(self._bench.engine) as session:
            session.execute(
                update(Delivery)
                .where(Delivery.state.in_(("uncertain", "queued")))
                .values(next_attempt_at=now().replace(year=2020))
            )
