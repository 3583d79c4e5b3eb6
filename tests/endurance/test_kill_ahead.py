"""A worker dies while its database work for one batch runs beside the sending of another.

Ten mails, claimed four at a time: while some are under way, the next are claimed already and the
results of those before are being committed.
"""

from dataclasses import replace

import pytest

from smtp_admin.delivery.maintenance.rescue import rescue
from tests.endurance.mortal import Fate
from tests.endurance.points import LATER, MakeBench, Point, after, die, ten_mails
from tests.endurance.sink import Sink
from tests.endurance.sites import AnySite, check_all_sent, check_nothing_invented, states
from tests.servers.scripted import ScriptedServer, Session
from tests.worker.running import until

pytestmark = pytest.mark.long

CLERK = "smtp_admin.delivery.lane_database"
ENGINE = "smtp_admin.delivery.engine"
JOURNAL = "smtp_admin.delivery.journal:Journal"
RECORD = "smtp_admin.delivery.record"
#: Four at a time; the next four as soon as one is sent, and waited for however long it takes.
FOURS: dict[str, float] = {
    f"{ENGINE}:FIRST_BATCH": 4,
    f"{ENGINE}:MOST_AT_ONCE": 4,
    f"{ENGINE}:_AHEAD_SECONDS": 30.0,
}

EXACT = [
    Point("the second batch begun, before the fourth body", after(3),
          fate=Fate(f"{JOURNAL}.begin", "after", call=3)),
    Point("the first of the second batch taken", after(5),
          fate=Fate(f"{JOURNAL}.accepted", "after", call=5)),
    Point("the first of the second batch taken, not journalled", after(4), repeats=1,
          fate=Fate(f"{JOURNAL}.accepted", call=5)),
    Point("the third batch begun, before the eighth body", after(7),
          fate=Fate(f"{JOURNAL}.begin", "after", call=4)),
    Point("the third batch not begun yet, before the eighth body", after(7),
          fate=Fate(f"{JOURNAL}.begin", call=4)),
]  # fmt: skip

#: The dot that is not answered, and what the worker dies of meanwhile.
IN_FLIGHT = {
    "claiming the second batch": (2, Fate("smtp_admin.delivery.claim:_load", call=2)),
    "the second batch claimed": (2, Fate(f"{CLERK}:claim", "after", call=2)),
    "stamping the second batch": (2, Fate(f"{CLERK}:with_sender_headers", call=2)),
    "the third batch claimed": (6, Fate(f"{CLERK}:claim", "after", call=3)),
    "before the first record": (5, Fate(f"{CLERK}:record")),
    "the first record not committed": (5, Fate(f"{RECORD}:judge_sender", "after")),
    "the first record committed": (5, Fate(f"{CLERK}:record", "after")),
    "before the second record": (9, Fate(f"{CLERK}:record", call=2)),
    "the second record committed": (9, Fate(f"{CLERK}:record", "after", call=2)),
}


@pytest.mark.parametrize("point", EXACT, ids=str)
def test_a_worker_that_is_ahead_of_itself_loses_nothing(
    site: AnySite, sink: Sink, bench_of: MakeBench, point: Point
) -> None:
    with site.opened() as host:
        bench = ten_mails(host, sink, bench_of)
        die(site, sink, bench, replace(point, constants=FOURS))
        bench.lose_lease()
        rescue(bench.engine, bench.redis)
        assert states(host) == point.left
        check_nothing_invented(host, sink)
        bench.tick()
        bench.tick(LATER)
        check_all_sent(host, sink, repeats=point.repeats)
        assert sink.repeats == point.repeats


@pytest.mark.parametrize("moment", IN_FLIGHT)
def test_nor_what_is_in_flight_meanwhile(
    site: AnySite, sink: Sink, bench_of: MakeBench, moment: str
) -> None:
    """Only the mail whose dot has no answer may come twice, whatever became of the others' rows."""
    occurrence, fate = IN_FLIGHT[moment]
    released: list[bool] = []

    def hold(server: ScriptedServer, session: Session, line: str) -> None:
        until(lambda: bool(released))

    with site.opened() as host:
        bench = ten_mails(host, sink, bench_of)
        sink.behave("dot", [*[None] * (occurrence - 1), hold, None])
        die(site, sink, bench, Point(moment, {}, fate=fate, constants=FOURS))
        released.append(True)
        bench.lose_lease()
        rescue(bench.engine, bench.redis)
        assert states(host) == after(occurrence - 1)
        check_nothing_invented(host, sink)
        bench.tick()
        bench.tick(LATER)
        check_all_sent(host, sink, repeats=1)
