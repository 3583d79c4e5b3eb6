"""One heartbeat for all leases of a worker."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from smtp_admin.clock import now
from smtp_admin.database import transaction
from smtp_admin.delivery import lanes
from smtp_admin.delivery.leases import KeptLease, Leases
from smtp_admin.delivery.models import Lane
from tests.app import HostApp
from tests.delivery.workbench import Workbench, sender_row
from tests.patience import SECONDS

MakeBench = Callable[..., Workbench]
PARTNERS = ("acme", "globex", "initech")


def held(
    host: HostApp, bench: Workbench, leases: Leases, stack: ExitStack, since: float
) -> list[KeptLease]:
    """A lane of each partner, kept."""
    found = []
    for partner_id in PARTNERS:
        host.save_sender(partner_id)
        sender_id = sender_row(host, partner_id).id
        host.db.session.rollback()
        lane = lanes.acquire(bench.engine, sender_id, "test")
        assert lane is not None
        found.append(stack.enter_context(leases.kept(lane, since)))
    return found


def test_all_are_renewed_together_and_what_is_lost_is_known(
    each: HostApp, bench_of: MakeBench
) -> None:
    bench = bench_of(each)
    leases = Leases(bench.engine)
    with ExitStack() as stack:
        kept = held(each, bench, leases, stack, time.monotonic() - lanes.LEASE_SECONDS)
        assert [one.ran_out for one in kept] == [True] * 3
        with transaction(bench.engine) as session:
            past = now() - timedelta(minutes=5)
            session.execute(update(Lane).values(lease_until=past))
            gone = update(Lane).where(Lane.id == kept[1].lane.lane_id)
            session.execute(gone.values(lease="somebody else's"))
        leases.beat()
        assert [one.ran_out for one in kept] == [False, True, False]
        with transaction(bench.engine) as session:
            ends = session.scalars(select(Lane.lease_until).order_by(Lane.id)).all()
            taken = [one is not None and one > now() for one in ends]
        assert sum(taken) == 2
    leases.close()


def test_a_lane_that_somebody_has_locked_keeps_no_other_from_being_renewed(
    each: HostApp, bench_of: MakeBench
) -> None:
    """A claim that waits for a row of the host's would else end all leases of the worker."""
    bench = bench_of(each)
    if bench.engine.dialect.name == "sqlite":
        return  # there a lock is for all, and short
    leases = Leases(bench.engine)
    with ExitStack() as stack:
        kept = held(each, bench, leases, stack, time.monotonic() - lanes.LEASE_SECONDS + 5)
        with transaction(bench.engine) as session:
            mine = select(Lane.id).where(Lane.id == kept[0].lane.lane_id)
            session.scalar(mine.with_for_update())
            began = time.monotonic()
            leases.beat()
            assert time.monotonic() - began < SECONDS, "MariaDB waits for a lock for 50 seconds"
        time.sleep(max(0.0, 5.1 - (time.monotonic() - began)))
        assert [one.ran_out for one in kept] == [True, False, False], "it was not renewed, nor lost"
        leases.beat()
        assert [one.ran_out for one in kept] == [False] * 3
    leases.close()


def test_a_heartbeat_that_could_not_start_is_begun_with_the_next_lane(
    each: HostApp, bench_of: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is out of threads for a moment, as TasksMax makes it."""
    bench = bench_of(each)
    leases = Leases(bench.engine)
    lane = lanes.HeldLane(1, 1, "a lease")

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError), leases.kept(lane, time.monotonic()):
            pass
    with leases.kept(lane, time.monotonic()):
        names = [one.name for one in threading.enumerate()]
        assert "lease heartbeat" in names
