"""A worker dies at one exact step; what becomes of each mail, and which may come twice.

Ten mails wait, and are claimed as one batch. Dots are answered at once, so that every step has
one right result.
"""

import pytest

from smtp_admin.delivery.maintenance.rescue import rescue
from tests.endurance.mortal import Fate
from tests.endurance.points import LATER, MAILS, MakeBench, Point, after, die, ten_mails
from tests.endurance.sink import Sink
from tests.endurance.sites import AnySite, check_all_sent, check_nothing_invented, states
from tests.servers.scripted import Reply

CLERK = "smtp_admin.delivery.lane_database"
ENGINE = "smtp_admin.delivery.engine"
JOURNAL = "smtp_admin.delivery.journal:Journal"
LANES = "smtp_admin.delivery.lanes"
RECORD = "smtp_admin.delivery.record"
TRANSPORT = "smtp_admin.transports.smtp.transport:SMTPTransport"
ACCEPTED = f"{JOURNAL}.accepted"
#: The first writes are EHLO, AUTH, an envelope, and then bodies, each with the next envelope.
WRITE = "smtp_admin.smtp.wire:Wire.write"

UNTOUCHED = {"queued": MAILS}
ALL_SENT = {"sent": MAILS}
#: Four, and nothing is claimed ahead: that has a file of its own.
BATCH_OF_FOUR: dict[str, float] = {
    f"{ENGINE}:FIRST_BATCH": 4,
    f"{ENGINE}:_AHEAD": 1.0,
}

IN_THE_DATABASE = [
    Point("lane acquired", UNTOUCHED, fate=Fate(f"{LANES}:acquire", "after")),
    Point("claim not committed", UNTOUCHED, fate=Fate("smtp_admin.delivery.claim:_load")),
    Point("claim committed", UNTOUCHED, fate=Fate(f"{CLERK}:claim", "after")),
    Point("250 read, not journalled", after(2), repeats=1, fate=Fate(ACCEPTED, call=3)),
    Point("250 journalled", after(3), fate=Fate(ACCEPTED, "after", call=3)),
    Point("before the record", ALL_SENT, fate=Fate(f"{CLERK}:record")),
    Point("record not committed", ALL_SENT, fate=Fate(f"{RECORD}:judge_sender", "after")),
    Point("record committed", ALL_SENT, fate=Fate(f"{CLERK}:record", "after")),
    Point(
        "first of three records not committed",
        after(4, unknown=0),
        fate=Fate(f"{RECORD}:_count"),
        constants=BATCH_OF_FOUR,
    ),
    Point(
        "first of three records committed",
        after(4, unknown=0),
        fate=Fate(f"{CLERK}:record", "after"),
        constants=BATCH_OF_FOUR,
    ),
    Point(
        "second of three records not committed",
        after(8, unknown=0),
        fate=Fate(f"{RECORD}:judge_sender", call=2),
        constants=BATCH_OF_FOUR | {f"{ENGINE}:MOST_AT_ONCE": 4},
    ),
    Point(
        "one refused for now, nothing recorded",
        {"sent": 9, "queued": 1},
        fate=Fate(f"{CLERK}:record"),
        script={"rcpt": [None, Reply("450 4.2.0 busy"), None]},
    ),
    Point(
        "the sender paused, before the rest is given back",
        after(2),
        fate=Fate(f"{CLERK}:give_back"),
        script={"rcpt": [None, None, Reply("450 4.7.1 rate limit"), None]},
    ),
    Point(
        "second claim committed",
        {"sent": 4, "queued": 6},
        fate=Fate(f"{CLERK}:claim", "after", call=2),
        constants=BATCH_OF_FOUR,
    ),
    Point(
        "second batch begun",
        after(4),
        fate=Fate(f"{JOURNAL}.begin", "after", call=3),
        constants=BATCH_OF_FOUR,
    ),
    Point("before the lane is released", ALL_SENT, fate=Fate(f"{LANES}:release")),
    Point("after the lane is released", ALL_SENT, fate=Fate(f"{LANES}:release", "after")),
]

ON_THE_WAY = [
    Point("with_sender_headers", UNTOUCHED, fate=Fate(f"{CLERK}:with_sender_headers", "after")),
    Point("journal opened", UNTOUCHED, fate=Fate(f"{JOURNAL}.begin", "after")),
    Point("journal begun", after(0), fate=Fate(f"{JOURNAL}.begin", "after", call=2)),
    Point("logged in", after(0), fate=Fate(f"{TRANSPORT}._ready", "after")),
    Point("half of an envelope written", after(0), fate=Fate(WRITE, "halfway", call=3)),
    Point("half of the third body written", after(2), fate=Fate(WRITE, "halfway", call=6)),
    Point("last 250 not journalled", after(9), repeats=1, fate=Fate(ACCEPTED, call=10)),
    Point("last 250 journalled", ALL_SENT, fate=Fate(ACCEPTED, "after", call=10)),
    Point("before the journal is finished", ALL_SENT, fate=Fate(f"{JOURNAL}.finish")),
    Point("after the journal is finished", ALL_SENT, fate=Fate(f"{JOURNAL}.finish", "after")),
    Point("greeting", after(0), stage=("greeting", 1)),
    Point("EHLO", after(0), stage=("ehlo", 1)),
    Point("AUTH", after(0), stage=("auth", 1)),
    Point("first MAIL", after(0), stage=("mail", 1)),
    Point("third MAIL", after(2), stage=("mail", 3)),
    Point("third RCPT", after(2), stage=("rcpt", 3)),
    Point("third DATA", after(2), stage=("data", 3)),
    Point("third body, which arrives whole", after(2), repeats=1, stage=("body", 3)),
    Point("third final dot, taken", after(2), repeats=1, stage=("dot", 3)),
    Point(
        "third final dot, not taken",
        after(2),
        stage=("dot", 3),
        answer=b"451 4.3.0 not now\r\n",
    ),
    Point("last final dot", after(9), repeats=1, stage=("dot", 10)),
    Point("QUIT", ALL_SENT, stage=("quit", 1)),
]


@pytest.mark.parametrize("point", IN_THE_DATABASE, ids=str)
def test_a_worker_that_dies_there_loses_nothing(
    site: AnySite, sink: Sink, bench_of: MakeBench, point: Point
) -> None:
    play(site, sink, bench_of, point)


@pytest.mark.parametrize("point", ON_THE_WAY, ids=str)
def test_nor_does_one_that_dies_where_no_database_looks(
    sqlite_site: AnySite, sink: Sink, bench_of: MakeBench, point: Point
) -> None:
    play(sqlite_site, sink, bench_of, point)


def play(site: AnySite, sink: Sink, bench_of: MakeBench, point: Point) -> None:
    with site.opened() as host:
        bench = ten_mails(host, sink, bench_of)
        for stage, steps in point.script.items():
            sink.behave(stage, steps)
        die(site, sink, bench, point)
        check_nothing_invented(host, sink)
        bench.lose_lease()
        rescue(bench.engine, bench.redis)
        assert states(host) == point.left
        check_nothing_invented(host, sink)
        bench.tick()
        bench.tick(LATER)
        check_all_sent(host, sink, repeats=point.repeats)
        assert sink.repeats == point.repeats
