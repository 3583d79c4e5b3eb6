"""One connection on loopback: everybody sends the same mails to the same sink."""

import statistics

from benchmarks.contestants import Contestant, Task
from benchmarks.contestants.ours import Ours
from benchmarks.contestants.theirs import BARE, PEERS
from benchmarks.report import Section, Table, goal, spread
from benchmarks.rounds import Entry, Tell, compete
from benchmarks.stage import KINDS, Stage

_PROCESSOR_RATIO = 1.2


def run(stage: Stage, mails: int, rounds: int, tell: Tell) -> Section:
    """Measure and compare."""
    contestants: list[Contestant] = [*PEERS, *(Ours(kind) for kind in KINDS)]
    entries = compete(
        contestants, rounds, lambda count: Task(stage, stage.sink.port, 1, count), mails, tell
    )
    medians = {
        entry.contestant.name: statistics.median(entry.speeds) for entry in entries if entry.runs
    }
    base = medians.get(BARE.name)
    fastest = max((speed for name, speed in medians.items() if _is_peer(name)), default=None)
    costs = {entry.contestant.name: entry.processor for entry in entries}
    rows = [_row(entry, base, fastest, costs.get(BARE.name)) for entry in entries]
    notes = [
        (
            f"{rounds} rounds in turn, {mails:,} mails of 2 kB, one connection, loopback. "
            "Everything is queued before the clock starts, and every worker is up and waits; the "
            "clock stops when the sink has accepted everything, ours only when every result is "
            "committed too."
        ),
        "PostgreSQL waits for the disk (`fsync = on`). Slow peers send fewer mails: "
        + ", ".join(f"{one.name} {one.share:.0%}" for one in contestants if one.share < 1)
        + ".",
        (
            "The bare loop waits for the sink four times a mail, so its speed says above all how "
            "fast one process wakes another here; that changes with the load and the placement on "
            "cores."
        ),
        (
            "Processor time is that of the whole process, while everything is sent. Of ours two "
            "thirds is the thread that sends (four replies judged one by one, one write, the "
            "journal's system call), and a third the one beside it, which claims and records: the "
            "bare loop does neither. [Scaling](../docs/scaling.md#where-the-time-goes) has the "
            "shares."
        ),
        "Versions: " + "; ".join(entry.versions for entry in entries if entry.versions) + ".",
    ]
    data = {
        "mails": mails,
        "rounds": rounds,
        "processor_us_a_mail": costs,
        "mails_per_second": {entry.contestant.name: entry.speeds for entry in entries},
        "missing": {entry.contestant.name: entry.missing for entry in entries if entry.missing},
    }
    columns = ["", "mails/s, median", "lowest", "highest", "× bare smtplib", "× fastest peer",
               "processor a mail", "× bare smtplib", "goal"]  # fmt: skip
    return Section(notes, [Table(columns, rows)], data)


def _is_peer(name: str) -> bool:
    # The bare loop is no peer: it keeps nothing, so it cannot lose a mail nor repeat one.
    return name in {peer.name for peer in PEERS if peer is not BARE}


def _row(entry: Entry, base: float | None, fastest: float | None, least: float | None) -> list[str]:
    name = entry.contestant.name
    if not entry.runs:
        return [f"{name}: not measured: {entry.missing}", *["–"] * 8]
    middle = statistics.median(entry.speeds)
    ratios = [f"{middle / other:.2f}" if other else "–" for other in (base, fastest)]
    cost, share, judged = "–", "–", "–"
    if entry.processor is not None and least is not None:
        cost, share = f"{entry.processor:.0f} µs", f"{entry.processor / least:.2f}"
        if isinstance(entry.contestant, Ours):
            judged = goal(entry.processor / least, _PROCESSOR_RATIO, most=True)
    return [name, *spread(entry.speeds), *ratios, cost, share, judged]
