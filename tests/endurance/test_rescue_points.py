"""Those who look after a dead worker's mail die too, or find less than it had written."""

from signal import SIGKILL

import pytest

from smtp_admin.delivery import doorbell
from smtp_admin.delivery.maintenance.rescue import rescue
from tests.endurance.mortal import Fate, Mortal
from tests.endurance.points import LATER, MAILS, MakeBench, Point, after, die, ten_mails
from tests.endurance.sink import Sink
from tests.endurance.sites import (
    AnySite,
    check_all_sent,
    check_nothing_invented,
    states,
)
from tests.servers.redis_server import RedisServer
from tests.worker.running import move_due_time, until

pytestmark = pytest.mark.long

JOURNAL = "smtp_admin.delivery.journal"
RESCUE = "smtp_admin.delivery.maintenance.rescue"
SETTLE = "smtp_admin.delivery.maintenance.settle_unknown"

#: Two taken, one that nobody knows of although it was, seven untouched.
FIRST = Point("250 read, not journalled", after(2), 1, Fate(f"{JOURNAL}:Journal.accepted", call=3))
RESCUERS = {
    "lane seen": Fate(f"{RESCUE}:abandoned", "after"),
    "journal read": Fate(f"{JOURNAL}:read", "after"),
    "lane taken": Fate(f"{RESCUE}:changed", "after", call=1),
    "one of two counted": Fate(f"{RESCUE}:add_to_counter", "after", call=1),
    "everything written, nothing committed": Fate(f"{RESCUE}:changed", "after", call=4),
    "committed": Fate(f"{JOURNAL}:forget"),
    "journal forgotten": Fate(f"{JOURNAL}:forget", "after"),
}
SETTLERS = {
    "settled, not committed": Fate(f"{SETTLE}:changed", "after", call=1),
    "settled": Fate("smtp_admin.worker.process:settle_unknown", "after"),
}


@pytest.mark.parametrize("where", RESCUERS)
def test_a_rescuer_that_dies_is_followed_by_another(
    site: AnySite, sink: Sink, bench_of: MakeBench, where: str
) -> None:
    with site.opened() as host:
        bench = ten_mails(host, sink, bench_of)
        die(site, sink, bench, FIRST)
        bench.lose_lease()
        die(site, sink, bench, Point("rescue", {}, fate=RESCUERS[where]))
        check_nothing_invented(host, sink)
        rescue(bench.engine, bench.redis)
        assert states(host) == FIRST.left
        bench.tick()
        bench.tick(LATER)
        check_all_sent(host, sink, repeats=FIRST.repeats)


@pytest.mark.parametrize("where", SETTLERS)
def test_one_that_dies_over_an_unknown_outcome_repeats_it_once(
    site: AnySite, sink: Sink, bench_of: MakeBench, where: str
) -> None:
    with site.opened() as host:
        bench = ten_mails(host, sink, bench_of)
        die(site, sink, bench, FIRST)
        bench.lose_lease()
        rescue(bench.engine, bench.redis)
        move_due_time(host, "uncertain")
        die(site, sink, bench, Point("settle", {}, fate=SETTLERS[where]))
        bench.tick()
        check_all_sent(host, sink, repeats=FIRST.repeats)


def test_if_redis_dies_with_the_worker_no_more_than_its_group_is_repeated(
    sqlite_site: AnySite, sink: Sink, redis: RedisServer, bench_of: MakeBench
) -> None:
    taken = 6
    fate = Fate(f"{JOURNAL}:Journal.accepted", "after", call=taken)
    with sqlite_site.opened() as host:
        bench = ten_mails(host, sink, bench_of)
        die(sqlite_site, sink, bench, Point("", {}, fate=fate))
        redis.flush()
        bench.lose_lease()
        rescue(bench.engine, bench.redis)
        assert states(host) == {"uncertain": MAILS}
        bench.tick(LATER)
        check_all_sent(host, sink, repeats=taken)
        assert sink.repeats == taken


@pytest.mark.parametrize(
    "where",
    [
        "smtp_admin.worker.bells:BellWorker.execute_job",
        "smtp_admin.worker.process:WorkerProcess._hear",
        "smtp_admin.worker.pool:SenderThreads.offer",
    ],
)
def test_a_bell_that_dies_with_who_heard_it_is_made_up_for(
    sqlite_site: AnySite,
    sink: Sink,
    bench_of: MakeBench,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    """The job is gone from Redis, and perhaps a key says that a bell is still waiting."""
    monkeypatch.setattr(doorbell, "_BELL_SECONDS", 2)
    shorter: dict[str, float] = {"smtp_admin.delivery.doorbell:_BELL_SECONDS": 2}
    with sqlite_site.opened() as host:
        bench = ten_mails(host, sink, bench_of)
        with Mortal(sqlite_site.folder, fate=Fate(where), constants=shorter) as worker:
            assert worker.wait() == -SIGKILL, worker.output
        assert states(host) == {"queued": MAILS}
        bench.lose_lease()  # of a lane that its first sweep may just have taken
        with Mortal(sqlite_site.folder, constants=shorter):
            assert until(lambda: states(host) == {"sent": MAILS})
        bench.lose_lease()  # of a lane that was just being given back
        assert rescue(bench.engine, bench.redis) == 0
        check_all_sent(host, sink, repeats=0)
