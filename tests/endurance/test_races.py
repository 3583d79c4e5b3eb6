"""Rescuers and a holder that is just finishing, all at the same deliveries at once."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.exc import DBAPIError

from smtp_admin.database_errors import is_contention
from smtp_admin.delivery import lanes
from smtp_admin.delivery.claim import Batch, claim
from smtp_admin.delivery.journal import Journal, read
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.maintenance.rescue import rescue
from smtp_admin.delivery.models import Delivery
from smtp_admin.delivery.record import Result, record
from smtp_admin.transports.outcome import Outcome, Verdict
from tests.delivery.workbench import Workbench, sender_row
from tests.endurance.history import broken_rules
from tests.endurance.points import MakeBench
from tests.endurance.sites import AnySite, counted, queue_each, states
from tests.patience import SECONDS
from tests.worker.running import until

ROUNDS = 6
MAILS = 20
ACCEPTED = Outcome(Verdict.ACCEPTED)


def holding(bench: Workbench, size: int = MAILS) -> tuple[HeldLane, Batch]:
    """A worker that has claimed something."""
    lane = lanes.acquire(bench.engine, sender_row(bench.host).id, "holder")
    assert lane is not None
    batch = claim(bench.engine, lane, size)
    assert batch is not None
    return lane, batch


def journal_all(bench: Workbench, lane: HeldLane, batch: Batch) -> None:
    """The mail server has taken all of it, and the journal knows."""
    journal = Journal(bench.lines, lane.lease)
    journal.begin([one.id for one in batch.deliveries])
    for one in batch.deliveries:
        journal.accepted(one.id)

    def arrived() -> bool:
        found = read(bench.redis, lane.lease)
        return found is not None and len(found.accepted) == len(batch.deliveries)

    assert until(arrived)


def write_down(bench: Workbench, lane: HeldLane, batch: Batch) -> None:
    """What the holder does with its results."""
    record(
        bench.engine,
        lane,
        [Result(one, ACCEPTED) for one in batch.deliveries],
        config=bench.host.installation.config,
        revision=1,
        worker="holder",
    )


def at_once(start: threading.Barrier, act: Callable[[], Any], late: float) -> None:
    """Begin when the others do, or a little later."""
    start.wait(SECONDS)
    time.sleep(late)
    persistently(act)


def persistently(act: Callable[[], Any]) -> None:
    """Do it, and again where it was ended so that another could go on.

    Of two that wait for each other MariaDB ends one. In a worker, a holder then tries to write
    once more, and a rescuer comes again.
    """
    for _ in range(5):
        try:
            act()
        except DBAPIError as error:
            if not is_contention(error):
                raise
        else:
            return
    pytest.fail("chosen each time")


def test_two_rescuers_and_the_holder_finish_at_once_and_each_mail_counts_once(
    site: AnySite, bench_of: MakeBench
) -> None:
    with site.opened() as host, ThreadPoolExecutor(3) as threads:
        host.save_sender(max_connections=1)
        bench = bench_of(host)
        for round_ in range(1, ROUNDS + 1):
            queue_each(host, (f"r{round_}.{one}@example.org" for one in range(MAILS)))
            lane, batch = holding(bench)
            journal_all(bench, lane, batch)
            bench.lose_lease()
            start = threading.Barrier(3)
            late = random.uniform(0, 0.01)  # noqa: S311 - no secret depends on it
            look_after = partial(rescue, bench.engine, bench.redis)
            finish = partial(write_down, bench, lane, batch)
            running = [
                threads.submit(at_once, start, *one)
                for one in ((look_after, 0), (look_after, 0), (finish, late))
            ]
            for one in running:
                one.result(SECONDS)
            assert states(host) == {"sent": MAILS * round_}
            assert counted(host) == MAILS * round_
        assert broken_rules(host.db.engine) == []


@contextmanager
def before_update_of(engine: Engine, table: str, act: Callable[[], Any]) -> Iterator[None]:
    """Do something once, just before the next statement that updates *table*."""
    done = threading.Event()

    def look(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith(f"UPDATE {table} ") and not done.is_set():
            done.set()
            act()

    event.listen(engine, "before_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", look)
    assert done.is_set()


def test_a_holder_that_finishes_between_a_rescuers_look_and_its_update_is_not_counted_twice(
    shared_site: AnySite, bench_of: MakeBench
) -> None:
    with shared_site.opened() as host, ThreadPoolExecutor(1) as holder:
        host.save_sender(max_connections=1)
        queue_each(host, (f"r{one}@example.org" for one in range(MAILS)))
        bench, holders = bench_of(host), bench_of(host)
        lane, batch = holding(holders)
        journal_all(bench, lane, batch)
        bench.lose_lease()
        running: list[Any] = []

        def finish() -> None:
            writing = partial(write_down, holders, lane, batch)
            running.append(holder.submit(persistently, writing))
            with suppress(TimeoutError):  # where it has to wait for the rescuer, it waits
                running[0].result(1.0)

        with before_update_of(bench.engine, "smtp_admin_delivery", finish):
            rescue(bench.engine, bench.redis)
        running[0].result(SECONDS)
        assert states(host) == {"sent": MAILS}
        assert counted(host) == MAILS
        assert broken_rules(host.db.engine) == []


def test_a_holder_that_dies_while_it_writes_down_and_a_rescuer_passes_repeats_nothing(
    shared_site: AnySite, bench_of: MakeBench
) -> None:
    """What the rescuer left to it is still known to the next rescuer."""
    with shared_site.opened() as host, ThreadPoolExecutor(1) as threads:
        host.save_sender(max_connections=1)
        queue_each(host, (f"r{one}@example.org" for one in range(MAILS)))
        bench = bench_of(host)
        lane, batch = holding(bench)
        journal_all(bench, lane, batch)
        bench.lose_lease()
        with bench.engine.connect() as holder:
            holder.execute(
                select(Delivery.id).where(Delivery.lease == lane.lease).with_for_update()
            )
            passing = threads.submit(rescue, bench.engine, bench.redis)
            with suppress(TimeoutError):
                passing.result(1.0)
            holder.rollback()
        passing.result(SECONDS)
        rescue(bench.engine, bench.redis)
        assert states(host) == {"sent": MAILS}
        assert counted(host) == MAILS
