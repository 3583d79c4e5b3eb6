"""A mail server that is 20 ms away: what pipelining is for."""

import smtplib
import statistics
import time

from benchmarks.contestants import Contestant, Task
from benchmarks.contestants.ours import Ours
from benchmarks.contestants.theirs import NODE
from benchmarks.proxy import distant
from benchmarks.report import Section, Table, goal, spread
from benchmarks.rounds import Entry, Tell, compete
from benchmarks.stage import KINDS, Stage

_ONE_WAY_SECONDS = 0.010
_ROUND_TRIP_MS = 2 * _ONE_WAY_SECONDS * 1000
_CONNECTIONS = 5
#: How much more than one round trip a mail may take us.
_MOST = 1.15
#: A quarter of a minute, for somebody who needs one round trip a mail on each connection.
_MAILS = 4000


def run(stage: Stage, mails: int, rounds: int, tell: Tell) -> Section:
    """Measure and compare."""
    mails = min(mails, _MAILS)
    contestants: list[Contestant] = [_Patient(), *(Ours(kind) for kind in KINDS)]
    with distant(stage.sink.port, _ONE_WAY_SECONDS) as port:
        trip = _round_trip(port) * 1000
        entries = compete(
            contestants, rounds, lambda count: Task(stage, port, _CONNECTIONS, count), mails, tell
        )
    theirs = statistics.median(entries[0].speeds) if entries[0].runs else None
    notes = [
        (
            f"{rounds} rounds in turn, {mails:,} mails of 2 kB ({NODE.name}: a quarter), "
            f"{_CONNECTIONS} connections for everybody, through a proxy that delays each direction "
            f"by {_ONE_WAY_SECONDS * 1000:g} ms (NOOP through it: {trip:.1f} ms)."
        ),
        (
            "Milliseconds a mail are per connection; “steady” leaves out the first and the last "
            "tenth of the mails, so connecting, and connections that run out of work."
        ),
    ]
    data = {
        "mails": mails,
        "rounds": rounds,
        "connections": _CONNECTIONS,
        "round_trip_ms": trip,
        "mails_per_second": {entry.contestant.name: entry.speeds for entry in entries},
        "steady_mails_per_second": {
            entry.contestant.name: [run.steady_speed for run in entry.runs] for entry in entries
        },
    }
    columns = [
        "", "mails/s, median", "lowest", "highest", "ms a mail", "steady",
        f"steady / {_ROUND_TRIP_MS:g} ms", "× nodemailer", "goal",
    ]  # fmt: skip
    rows = [_row(entry, theirs) for entry in entries]
    return Section(notes, [Table(columns, rows)], data)


def _row(entry: Entry, theirs: float | None) -> list[str]:
    name = entry.contestant.name
    if not entry.runs:
        return [f"{name}: not measured: {entry.missing}", *["–"] * 8]
    middle = statistics.median(entry.speeds)
    whole = _CONNECTIONS / middle * 1000
    steady = _CONNECTIONS / statistics.median(run.steady_speed for run in entry.runs) * 1000
    ours = isinstance(entry.contestant, Ours)
    return [
        name,
        *spread(entry.speeds),
        f"{whole:.1f}",
        f"{steady:.1f}",
        f"{steady / _ROUND_TRIP_MS:.2f}",
        f"{middle / theirs:.2f}" if theirs else "–",
        goal(whole / _ROUND_TRIP_MS, _MOST, most=True) if ours else "–",
    ]


def _round_trip(port: int) -> float:
    """Seconds that one command takes through the proxy."""
    client = smtplib.SMTP("127.0.0.1", port)
    client.ehlo()
    found = []
    for _ in range(20):
        began = time.perf_counter()
        client.noop()
        found.append(time.perf_counter() - began)
    client.quit()
    return statistics.median(found)


class _Patient:
    """nodemailer with a quarter of the mails: it needs several round trips for each."""

    name = NODE.name
    share = 0.25
    install = staticmethod(NODE.install)
    ready = staticmethod(NODE.ready)
