"""How fast a host puts mail into the outbox, beside what others do in the same minutes."""

import statistics
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.contestants.queueing import OTHERS, WAKING, Others, Ours, opened
from benchmarks.enqueue_parts import measure
from benchmarks.report import Section, Table, goal, spread
from benchmarks.rounds import Tell
from benchmarks.stage import KINDS, Stage
from tests.servers import Unavailable

_NOTES = (
    (
        "{rounds} rounds in turn, one process each, no worker, 2 kB mails of plain text; ours "
        "from the call to committed, the bell included. “HTML” is the type “renewal” with text "
        "and HTML, rendered for each, by django-post_office from the same template in Django's "
        "language. Flask-Mail with RQ, Celery and BullMQ keep mail in Redis, not in the "
        "transaction of the host."
    ),
    (
        "Everybody's databases wait for the disk at each commit: SQLite with WAL and "
        "`synchronous = FULL`, PostgreSQL with `fsync` and `synchronous_commit`. "
        "django-post_office's `send` is a transaction of its own and wakes nobody; in a "
        "transaction of the host's that wakes a worker, as ours always is, it is a row of its "
        "own: Celery has a task for each mail, while one bell of ours is enough until a worker "
        "hears it. Of goals, “–” is a comparison without one, of the same work."
    ),
    (
        "Why goals are missed, by the last table. One a transaction: ours looks up the sender, so "
        "that a change of its settings counts at once, writes a mail and a delivery, and rings; "
        "`send` is one INSERT that commits itself, into one table. 100 a transaction: those are a "
        "hundred calls, each with its own INSERTs, and “rows of one mail” less “the same SQL by "
        "the driver alone” is what SQLAlchemy takes for them; `send_many` is one call with one "
        "INSERT, as `send_messages` is. HTML: more than half of a mail is Liquid, and `send_many` "
        "renders nothing. BullMQ keeps jobs in the memory of Redis, without a transaction."
    ),
)


def run(stage: Stage, mails: int, rounds: int, tell: Tell) -> Section:
    """Measure everybody in turn."""
    speeds: dict[str, list[float]] = {}
    missing: dict[str, str] = {}
    contestants: list[Others | Ours] = list(OTHERS)
    for kind in KINDS:
        try:
            contestants.append(opened(stage, kind))
        except Unavailable as why:
            missing[f"smtp_admin on {kind}"] = str(why)
    for number in range(1, rounds + 1):
        for one in contestants:
            if one.name in missing:
                continue
            try:
                found = one.speeds(stage, mails)
            except (Unavailable, RuntimeError) as why:
                if isinstance(one, Ours):
                    raise
                missing[one.name] = str(why)
                continue
            for way, speed in found.items():
                speeds.setdefault(way, []).append(speed)
                tell(f"round {number}: {way}: {speed:,.0f} mails/s")
    rows = [[way, *spread(found)] for way, found in sorted(speeds.items())]
    rows += [[f"{name}: not measured: {why}", *["–"] * 3] for name, why in missing.items()]
    table = Table(["", "mails/s, median", "lowest", "highest"], rows)
    ratios = Table(["", "ratio", "goal"], list(_ratios(speeds)))
    parts = measure([one for one in contestants if isinstance(one, Ours)])
    data = {"mails": mails, "rounds": rounds, "mails_per_second": speeds}
    notes = [one.format(rounds=rounds) for one in _NOTES]
    return Section(notes, [table, ratios, parts], data)


def _ratios(speeds: Mapping[str, Sequence[float]]) -> Iterator[list[str]]:
    """Ours by theirs, of the same round, where both were measured."""
    for kind in KINDS:
        us, them = f"smtp_admin on {kind}", f"django-post_office on {kind}"
        html = f"{us}, send_many of HTML, 500 a transaction"
        for ours, theirs, least in (
            (f"{us}, send_message, 1 a transaction", f"{them}, send", 1.5),
            (f"{us}, send_message, 1 a transaction", f"{them}, {WAKING}", None),
            (f"{us}, send_message, 100 a transaction", f"{them}, send_many", 1.0),
            (f"{us}, send_messages, 500 a transaction", f"{them}, send_many", None),
            (f"{us}, send_messages, 500 a transaction", "BullMQ, addBulk", 0.8),
            (html, f"{them}, send_many", 1.0),
            (html, f"{them}, send_many of HTML", None),
        ):
            pairs = list(zip(speeds.get(ours, ()), speeds.get(theirs, ()), strict=False))
            if pairs:
                ratio = statistics.median(mine / other for mine, other in pairs)
                aim = "–" if least is None else goal(ratio, least, most=False)
                yield [f"{ours} ÷ {theirs}", f"{ratio:.2f}", aim]
