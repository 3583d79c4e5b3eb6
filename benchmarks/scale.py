"""A database full of finished mail and partners must not slow down what is new."""

import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from benchmarks.bulk import add_senders, fill, partner_ids
from benchmarks.report import Section, Table, goal, spread
from benchmarks.rounds import Tell
from benchmarks.site import Site, check_alive, resident_megabytes
from benchmarks.stage import KINDS, Kind, Stage
from tests.servers import Unavailable
from tests.worker.running import Worker

_SMALL_ROWS, _SMALL_PARTNERS = 10_000, 10
_PARTNERS = 1000
#: Whose mail is measured: the same few, however many there are.
_SENDING = partner_ids(_SMALL_PARTNERS)
_CONCURRENCY = 4
#: When memory is first looked at, and when the duties of a worker's first moments are over.
_STARTED_SECONDS, _QUIET_SECONDS = 2.0, 10.0
_RATIO, _GROWTH_MB = 0.80, 40.0


@dataclass
class _Place:
    """One database with its worker."""

    site: Site
    worker: Worker
    partners: int
    rss_before: float
    rss_after: float = 0.0
    speeds: list[float] = field(default_factory=list)
    #: The same for one mail of each partner.
    wide: float = 0.0


def run(stage: Stage, mails: int, rounds: int, rows: int, tell: Tell) -> Section:
    """Measure both databases at both sizes."""
    table: list[list[str]] = []
    data: dict[str, Any] = {"mails": mails, "rounds": rounds, "rows": rows}
    for kind in KINDS:
        try:
            small, large = _measure(stage, kind, mails, rounds, rows, tell)
        except Unavailable as why:
            table.append([f"{kind}: not measured: {why}", *["–"] * 8])
            continue
        ratio = statistics.median(large.speeds) / statistics.median(small.speeds)
        for place, count in ((small, _SMALL_ROWS), (large, rows)):
            growth = place.rss_after - place.rss_before
            table.append(
                [
                    f"{kind}, {count:,} rows, {place.partners:,} partners",
                    *spread(place.speeds),
                    f"{ratio:.2f}" if place is large else "1.00",
                    goal(ratio, _RATIO, most=False) if place is large else "–",
                    f"{place.wide:,.0f}",
                    f"{growth:+.1f} MB (from {place.rss_before:.0f})",
                    goal(growth, _GROWTH_MB, most=True, unit=" MB"),
                ]
            )
        data[kind] = {
            "small": small.speeds,
            "large": large.speeds,
            "ratio": ratio,
            "one_for_each_partner": {"small": small.wide, "large": large.wide},
            "rss_mb": {
                name: [place.rss_before, place.rss_after]
                for name, place in (("small", small), ("large", large))
            },
        }
    notes = [
        (
            f"{rounds} rounds in turn: {mails:,} mails of {len(_SENDING)} partners with senders of "
            f"their own, one worker of {_CONCURRENCY} threads, from committed rows to committed "
            "results, beside finished mail (2 kB each, one in a hundred dead). Then, once, one "
            "mail for each partner: mostly the cost of going from lane to lane."
        ),
        (
            "Memory is the worker's resident size, from two seconds after its start to the end of "
            "all rounds."
        ),
    ]
    columns = [
        "", "mails/s, median", "lowest", "highest", "ratio", "goal", "one each, mails/s",
        "worker's growth", "goal",
    ]  # fmt: skip
    return Section(notes, [Table(columns, table)], data)


def _measure(
    stage: Stage, kind: Kind, mails: int, rounds: int, rows: int, tell: Tell
) -> tuple[_Place, _Place]:
    with ExitStack() as stack:
        small, large = (
            _build(stack, stage, kind, count, partners, tell)
            for count, partners in ((_SMALL_ROWS, _SMALL_PARTNERS), (rows, _PARTNERS))
        )
        for number in range(1, rounds + 1):
            for place in (small, large):
                place.speeds.append(_send(stage, place, mails, _SENDING))
                tell(
                    f"round {number}: {kind}, {place.partners} partners: "
                    f"{place.speeds[-1]:,.0f} mails/s"
                )
        for place in (small, large):
            place.wide = _send(stage, place, place.partners, partner_ids(place.partners))
            tell(f"{kind}, {place.partners} partners: one each, {place.wide:,.0f} mails/s")
            place.rss_after = resident_megabytes(place.worker)
    return small, large


def _build(
    stack: ExitStack, stage: Stage, kind: Kind, rows: int, partners: int, tell: Tell
) -> _Place:
    began = time.monotonic()
    site = Site(stage.new_folder(), stage.new_database(kind), stage.redis.url)
    with site.opened():
        add_senders(site.host, partner_ids(partners), stage.sink.port)
        fill(site.host.db.engine, rows, partners, finished=True)
    tell(f"{kind}: {rows:,} rows written in {time.monotonic() - began:.0f} s")
    worker = stack.enter_context(site.worker(_CONCURRENCY))
    time.sleep(_STARTED_SECONDS)
    place = _Place(site, worker, partners, resident_megabytes(worker))
    time.sleep(_QUIET_SECONDS)
    return place


def _send(stage: Stage, place: _Place, count: int, ids: list[str]) -> float:
    """Mails per second."""
    with place.site.opened():
        place.site.hold(ids)
        place.site.queue(count, ids)
        before = stage.sink.accepted
        began = time.perf_counter()
        place.site.release(ids)
        stage.sink.wait_for(before + count, lambda: check_alive(place.worker))
        place.site.settle()
        return count / (time.perf_counter() - began)
