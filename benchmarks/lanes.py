"""One mail for each of many partners: what it costs to go from lane to lane."""

import statistics
import time
from contextlib import ExitStack
from typing import Any

from benchmarks.bulk import add_senders, partner_ids
from benchmarks.report import Section, Table, spread
from benchmarks.rounds import Tell
from benchmarks.site import Site, check_alive, processor_seconds, wait_until_idle
from benchmarks.stage import KINDS, Kind, Stage
from tests.servers import Unavailable
from tests.worker.running import Worker

_PARTNERS = 1000
_CONCURRENCY = 4


def run(stage: Stage, rounds: int, tell: Tell) -> Section:
    """Measure both databases."""
    table: list[list[str]] = []
    data: dict[str, Any] = {"partners": _PARTNERS, "rounds": rounds}
    for kind in KINDS:
        try:
            speeds, costs = _measure(stage, kind, rounds, tell)
        except Unavailable as why:
            table.append([f"{kind}: not measured: {why}", *["–"] * 4])
            continue
        cost = f"{statistics.median(costs) * 1000:.1f} ms"
        table.append([kind, *spread(speeds), cost])
        data[kind] = {"mails_a_second": speeds, "processor_seconds_a_mail": costs}
    notes = [
        (
            f"{rounds} rounds: one mail for each of {_PARTNERS:,} partners with senders of their "
            f"own, one worker of {_CONCURRENCY} threads, from committed rows to committed results. "
            "In the first, nothing is known of any of them; it is left out. Each mail costs a "
            "lease, a claim, a connection of its own to the mail server, and its result: some "
            "twelve statements in five transactions, which are three quarters of the time. Fewer "
            "of them would mean that a lane is not leased, or that a result waits."
        )
    ]
    columns = ["", "mails/s, median", "lowest", "highest", "worker's processor a mail"]
    return Section(notes, [Table(columns, table)], data)


def _measure(stage: Stage, kind: Kind, rounds: int, tell: Tell) -> tuple[list[float], list[float]]:
    ids = partner_ids(_PARTNERS)
    speeds: list[float] = []
    costs: list[float] = []
    with ExitStack() as stack:
        site = Site(stage.new_folder(), stage.new_database(kind), stage.redis.url)
        with site.opened():
            add_senders(site.host, ids, stage.sink.port)
        worker = stack.enter_context(site.worker(_CONCURRENCY))
        wait_until_idle(worker)
        for number in range(rounds + 1):
            speed, cost = _round(stage, site, worker, ids)
            tell(f"{kind}, round {number}: {speed:,.0f} mails/s, {cost * 1000:.1f} ms a mail")
            if number:
                speeds.append(speed)
                costs.append(cost)
    return speeds, costs


def _round(stage: Stage, site: Site, worker: Worker, ids: list[str]) -> tuple[float, float]:
    """Mails a second, and the worker's processor seconds a mail."""
    with site.opened():
        site.hold(ids)
        site.queue(len(ids), ids)
        before, used = stage.sink.accepted, processor_seconds(worker)
        began = time.perf_counter()
        site.release(ids)
        stage.sink.wait_for(before + len(ids), lambda: check_alive(worker))
        site.settle()
        seconds = time.perf_counter() - began
        return len(ids) / seconds, (processor_seconds(worker) - used) / len(ids)
