"""How long one mail takes: alone, and behind another partner's backlog."""

import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from benchmarks.bulk import add_senders, fill, partner_ids
from benchmarks.mail import BODY
from benchmarks.report import Section, Table, goal
from benchmarks.rounds import Tell
from benchmarks.site import Site
from benchmarks.stage import KINDS, Kind, Stage
from benchmarks.stamping import StampingServer
from smtp_admin import Message
from smtp_admin.delivery.models import Delivery
from tests.servers import Unavailable

_SAMPLES, _WARM_UP = 250, 20
_PAUSE_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0
_CONCURRENCY = 4
_MEDIAN_MS, _BEHIND_SECONDS = 50.0, 1.0
_FEW = 40
_BETWEEN_SECONDS = 0.3
_BACKLOG_PARTNERS = partner_ids(1)
#: Connections of the sender with the backlog: its default, and more than the worker has threads.
_CONNECTIONS = (2, 8)


def run(stage: Stage, backlog: int, tell: Tell) -> Section:
    """Measure both databases."""
    alone: list[list[str]] = []
    behind: list[list[str]] = []
    data: dict[str, Any] = {"backlog": backlog}
    for kind in KINDS:
        try:
            found = _alone(stage, kind)
        except Unavailable as why:
            alone.append([f"{kind}: not measured: {why}", *["–"] * 5])
            continue
        alone.append(_row_alone(kind, found))
        tell(" ".join(alone[-1]))
        data[kind] = {"alone_ms": found, "behind_seconds": {}, "entering_seconds": {}}
        for connections in _CONNECTIONS:
            found_behind = _behind(stage, kind, backlog, connections)
            behind.append(_row_behind(kind, connections, found_behind))
            tell(" ".join(behind[-1]))
            data[kind]["behind_seconds"][connections] = found_behind.waited
            data[kind]["entering_seconds"][connections] = found_behind.entering
    notes = [
        (
            "From `commit()` returning to the final dot at the mail server, on a worker process "
            f"of {_CONCURRENCY} threads that has nothing else to do, over a warm connection; "
            f"{_SAMPLES} mails, one after the other."
        ),
        (
            f"Then while another partner has {backlog:,} mails waiting, whose sender may use 2 "
            "connections (the default), and 8: more than the worker has threads. `send()` and "
            "`commit()` of the app itself, which writes to the same database, are measured too."
        ),
    ]
    tables = [
        Table(["alone", "p50", "p90", "p99", "worst", "goal for p50"], alone),
        Table(
            [
                "behind a backlog",
                "samples",
                "p50",
                "worst",
                "goal for the worst",
                "longest `send()` and `commit()`",
            ],
            behind,
        ),
    ]
    return Section(notes, tables, data)


def _row_alone(kind: Kind, found: list[float]) -> list[str]:
    cuts = statistics.quantiles(found, n=100, method="inclusive")
    numbers = [cuts[49], cuts[89], cuts[98], max(found)]
    return [
        kind,
        *(f"{number:.1f} ms" for number in numbers),
        goal(numbers[0], _MEDIAN_MS, most=True, unit=" ms"),
    ]


@dataclass
class _Behind:
    """Seconds of each mail.

    Attributes:
        waited: from committed to complete.
        entering: from ``send()`` to committed.
        complete: whether none was given up.
    """

    waited: list[float] = field(default_factory=list)
    entering: list[float] = field(default_factory=list)
    complete: bool = True


def _row_behind(kind: Kind, connections: int, found: _Behind) -> list[str]:
    name = f"{kind}, its sender has {connections} connections"
    if not found.waited:
        return [f"{name}: the backlog was gone too soon", *["–"] * 5]
    worst = max(found.waited)
    return [
        name,
        str(len(found.waited)),
        f"{statistics.median(found.waited):.2f} s",
        f"{worst:.2f} s" if found.complete else f"more than {worst:.0f} s",
        goal(worst, _BEHIND_SECONDS, most=True, unit=" s"),
        f"{max(found.entering, default=0):.2f} s",
    ]


def _alone(stage: Stage, kind: Kind) -> list[float]:
    """Milliseconds of each mail."""
    uri = stage.new_database(kind)
    with StampingServer() as server:
        site = Site(stage.new_folder(), uri, stage.redis.url)
        with site.opened():
            site.host.save_sender("acme", port=server.port)
            found = _one_by_one(site, server)
    return found[_WARM_UP:]


def _one_by_one(site: Site, server: StampingServer) -> list[float]:
    found = []
    with site.worker(_CONCURRENCY):
        for number in range(_WARM_UP + _SAMPLES):
            found.append(_one(site, server, number)[1] * 1000)
            time.sleep(_PAUSE_SECONDS)
    return found


def _behind(stage: Stage, kind: Kind, backlog: int, connections: int) -> _Behind:
    uri = stage.new_database(kind)
    with StampingServer() as server:
        site = Site(stage.new_folder(), uri, stage.redis.url)
        with site.opened():
            site.host.save_sender("acme", port=server.port)
            add_senders(site.host, _BACKLOG_PARTNERS, stage.sink.port, max_connections=connections)
            site.hold(_BACKLOG_PARTNERS)
            fill(site.host.db.engine, backlog, 1, finished=False)
            with site.worker(_CONCURRENCY):
                site.release(_BACKLOG_PARTNERS)
                time.sleep(_BETWEEN_SECONDS)
                return _samples(site, server)


def _samples(site: Site, server: StampingServer) -> _Behind:
    found = _Behind()
    for number in range(_FEW):
        try:
            entering, waited = _one(site, server, number)
        except TimeoutError:
            found.waited.append(_PATIENCE_SECONDS)
            found.complete = False
            break
        if not _backlog_left(site):
            break  # it was alone when it was sent
        found.waited.append(waited)
        found.entering.append(entering)
        time.sleep(_BETWEEN_SECONDS)
    return found


def _backlog_left(site: Site) -> bool:
    session = site.host.db.session()
    session.rollback()
    waiting = select(Delivery.id).where(
        Delivery.partner_id.in_(_BACKLOG_PARTNERS), Delivery.state == "queued"
    )
    return session.scalar(waiting.limit(1)) is not None


def _one(site: Site, server: StampingServer, number: int) -> tuple[float, float]:
    """Seconds until it was committed, and from then to complete.

    The latter at least nothing, if the worker was even faster.
    """
    recipient = f"you{number}@example.org"
    began = time.monotonic_ns()
    site.host.plugin.send_message(Message(f"x {number}", [recipient], BODY), partner_id="acme")
    site.host.db.session.commit()
    committed = time.monotonic_ns()
    arrived = server.wait_for(recipient, _PATIENCE_SECONDS)
    return (committed - began) / 1e9, max(0.0, (arrived - committed) / 1e9)
