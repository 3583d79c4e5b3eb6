"""A worker stands still for longer than its lease, and wakes up when others have done its work."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from queue import Queue
from signal import SIGCONT, SIGSTOP

import pytest
from sqlalchemy import update

from smtp_admin.clock import now
from smtp_admin.database import transaction
from smtp_admin.delivery import lanes
from smtp_admin.delivery.claim import claim
from smtp_admin.delivery.lanes import HeldLane, abandoned
from smtp_admin.delivery.maintenance.rescue import rescue
from smtp_admin.delivery.models import Lane
from tests.delivery.workbench import Workbench, sender_row
from tests.endurance.history import changes
from tests.endurance.mortal import Fate, Mortal
from tests.endurance.points import LATER, MAILS, PASSWORD, MakeBench, ten_mails
from tests.endurance.sink import Sink
from tests.endurance.sites import AnySite, check_all_sent, queue_each, states
from tests.patience import SECONDS
from tests.servers.scripted import ScriptedServer, Session
from tests.worker.running import move_due_time, until

CLERK = "smtp_admin.delivery.lane_database"
ENGINE = "smtp_admin.delivery.engine"
LANES = "smtp_admin.delivery.lanes"
#: Only the one that stands still has a short lease: a busy machine takes nothing from the others.
#: Its heart does not beat at all: stopped in the middle of a beat it would lock all of SQLite.
#: For the same reason it sweeps once.
SHORT = {
    f"{LANES}:LEASE_SECONDS": 1.5,
    "smtp_admin.delivery.leases:HEARTBEAT_SECONDS": 60.0,
    "smtp_admin.worker.process:SWEEP_SECONDS": 60.0,
}
BURST = ("--burst", "--concurrency", "1")

#: Seconds; after fifteen the database ends the transaction of who stands still.
WELL_BEFORE_IDLE = 12

#: A worker's other threads work as it starts: on a busy machine one of two tries meets them.
TRIES = 30

NAPS = {
    "before its first claim": Fate(f"{LANES}:acquire", "after", signal=SIGSTOP),
    "with a claim in its hands": Fate(f"{CLERK}:claim", "after", signal=SIGSTOP),
    "before its first mail": Fate(f"{CLERK}:with_sender_headers", "after", signal=SIGSTOP),
    "with results in its hands": Fate(f"{CLERK}:record", signal=SIGSTOP),
    "with a second claim in its hands": Fate(f"{CLERK}:claim", "after", call=2, signal=SIGSTOP),
    "with results in its hands while sending": Fate(f"{CLERK}:record", call=2, signal=SIGSTOP),
}


def test_a_worker_stopped_with_a_mail_in_flight_sends_nothing_more(
    site: AnySite, sink: Sink, bench_of: MakeBench
) -> None:
    """The sink takes the third mail; its 250 is read when everything is over."""
    started: Queue[Mortal] = Queue()

    def stop(server: ScriptedServer, session: Session, line: str) -> None:
        stop_outside_of_transactions(started.get(timeout=SECONDS), bench)

    with site.opened() as host:
        bench = ten_mails(host, sink, bench_of)
        sink.behave("dot", [None, None, stop, None])
        with Mortal(site.folder, *BURST, constants=SHORT) as sleeper:
            started.put(sleeper)
            assert until(lambda: len(sink.accepted) == 3), sleeper.output
            others_finish(site, bench)
            assert sink.repeats == 1, "the one in flight, whose outcome nobody knew"
            wake(sleeper, bench)
        check_all_sent(host, sink, repeats=1)


@pytest.mark.parametrize("nap", NAPS)
def test_a_worker_that_wakes_up_late_changes_nothing(
    sqlite_site: AnySite, sink: Sink, bench_of: MakeBench, nap: str
) -> None:
    with sqlite_site.opened() as host:
        bench = ten_mails(host, sink, bench_of)
        constants = (
            SHORT | {f"{ENGINE}:FIRST_BATCH": 4} if "second" in nap or "while" in nap else SHORT
        )
        tries, done = 0, False
        while not done:
            tries += 1
            assert tries <= TRIES, "each time another thread of it stood inside a transaction"
            with Mortal(sqlite_site.folder, *BURST, fate=NAPS[nap], constants=constants) as sleeper:
                assert until(lambda: sleeper.standing_still), sleeper.output
                if holds_all_of_sqlite(bench):
                    sleeper.signal(SIGCONT)
                    assert sleeper.wait() == 0, sleeper.output
                else:
                    others_finish(sqlite_site, bench)
                    wake(sleeper, bench)
                    done = True
            if not done:
                begin_again(bench)
        assert sink.repeats <= tries * (constants is not SHORT), "at most one was in flight"
        check_all_sent(host, sink, repeats=tries)


def begin_again(bench: Workbench) -> None:
    """Finish what is left, for its lease may have run out meanwhile, and queue as much again."""
    bench.lose_lease()
    bench.tick()
    bench.tick(LATER)
    queue_each(bench.host, (f"again{number}@example.org" for number in range(MAILS)))


def test_a_worker_that_stands_still_inside_a_transaction_holds_up_its_own_lane_alone(
    shared_site: AnySite, sink: Sink, bench_of: MakeBench
) -> None:
    """So does one whose machine lost its power: the database notices after hours."""
    site = shared_site
    inside = Fate("smtp_admin.delivery.claim:_load", signal=SIGSTOP)
    with site.opened() as host, ThreadPoolExecutor(1) as threads:
        bench = ten_mails(host, sink, bench_of)
        with Mortal(site.folder, *BURST, fate=inside, constants=SHORT) as sleeper:
            assert until(lambda: sleeper.standing_still), sleeper.output
            host.save_sender("globex", port=sink.port, username="user", password=PASSWORD)
            queue_each(host, ["other@example.org"], "globex")
            lane = lanes.acquire(bench.engine, sender_row(host, "globex").id, "dead")
            assert lane is not None
            assert claim(bench.engine, lane, 1) is not None
            let_run_out(bench, lane)
            assert until(lambda: ran_out(bench, 2))
            rescuing = threads.submit(rescue, bench.engine, bench.redis)
            settled = until(lambda: "uncertain" in states(host), WELL_BEFORE_IDLE)
            sleeper.signal(SIGCONT)
            rescuing.result(SECONDS)
            assert settled, "the other sender's mail had to wait"
            assert sleeper.wait() == 0


def stop_outside_of_transactions(worker: Mortal, bench: Workbench) -> None:
    """Stop it where none of its threads keeps others from writing.

    It is stopped by its mail server, which knows of one thread that waits. Another may be looking
    after what is due; on SQLite that would lock everybody out for as long as it stands still.
    """
    while True:
        worker.signal(SIGSTOP)
        assert until(lambda: worker.standing_still)
        if not holds_all_of_sqlite(bench):
            return
        worker.signal(SIGCONT)
        time.sleep(0.05)


def let_run_out(bench: Workbench, lane: HeldLane) -> None:
    """Let this one lease have run out."""
    with transaction(bench.engine) as session:
        past = now() - timedelta(minutes=5)
        session.execute(update(Lane).where(Lane.id == lane.lane_id).values(lease_until=past))


def holds_all_of_sqlite(bench: Workbench) -> bool:
    """Whether another thread of the one that was stopped stands inside a transaction.

    Then nobody else can write until it goes on, as with a process that a debugger holds.
    """
    if bench.engine.dialect.name != "sqlite":
        return False
    file = bench.engine.url.database
    assert file is not None
    # A worker's own connections would wait for half a minute.
    with closing(sqlite3.connect(file, timeout=2, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            return "locked" in str(error)
        connection.execute("ROLLBACK")
    return False


def ran_out(bench: Workbench, count: int = 1) -> bool:
    """Whether so many leases have run out."""
    with transaction(bench.engine) as session:
        return len(abandoned(session)) == count


def others_finish(site: AnySite, bench: Workbench) -> None:
    """Two other workers do all that is left, once the lease has run out by itself."""
    assert until(lambda: ran_out(bench))
    for _ in range(2):
        move_due_time(bench.host, "uncertain")
        with Mortal(site.folder, *BURST) as other:
            assert other.wait() == 0, other.output
    assert set(states(bench.host)) == {"sent"}


def wake(sleeper: Mortal, bench: Workbench) -> None:
    """Let it go on to its end: not one row of the database may change by it."""
    before = changes(bench.engine)
    sleeper.signal(SIGCONT)
    assert sleeper.wait() == 0, sleeper.output
    assert changes(bench.engine) == before
    assert "Traceback" not in sleeper.output
