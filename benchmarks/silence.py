"""Mail servers that say nothing must hold up nobody else."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from sqlalchemy import select

from benchmarks.bulk import add_senders, fill, partner_ids
from benchmarks.mail import BODY
from benchmarks.report import Section, Table, goal
from benchmarks.rounds import Tell
from benchmarks.site import Site, check_alive, resident_megabytes
from benchmarks.stage import KINDS, Kind, Stage
from benchmarks.stamping import StampingServer
from smtp_admin import Message
from smtp_admin.clock import now
from smtp_admin.senders.models import RevisionTest, Sender, SenderRevision
from tests.servers import Unavailable
from tests.servers.silent import SILENCES, Silence, SilentServer
from tests.worker.running import Worker

_SILENT, _MAILS_EACH = 1000, 2
_WELL = [f"well{number}" for number in range(10)]
#: Well too, and never sent before; of some the connection test succeeded.
_TESTED = [f"tested{number}" for number in range(5)]
_UNKNOWN = [f"unknown{number}" for number in range(5)]
_CONCURRENCY = 4
#: How long everything is watched, and how often a pair of mails is queued.
_SECONDS, _BETWEEN_SECONDS = 60.0, 0.5
_PATIENCE_SECONDS = 60.0
_NORMAL_SECONDS, _URGENT_SECONDS, _MOST_OPEN, _MORE_JOBS, _GROWTH_MB = 5.0, 2.0, 256, 100, 100.0
_RESET = {"name": "Sam", "reset_url": "https://app.example/r", "expires_minutes": 60}


@dataclass
class _Watched:
    """What was seen from outside."""

    normal: list[float] = field(default_factory=list)
    urgent: list[float] = field(default_factory=list)
    tested: list[float] = field(default_factory=list)
    unknown: list[float] = field(default_factory=list)
    open: int = 0
    jobs: int = 0
    memory: float = 0.0
    growth: float = 0.0


def run(stage: Stage, tell: Tell) -> Section:
    """Measure each kind of silence on each database."""
    table: list[list[str]] = []
    data: dict[str, Any] = {"partners": _SILENT, "mails_each": _MAILS_EACH}
    for kind in KINDS:
        for silence in SILENCES:
            try:
                seen = _measure(stage, kind, silence)
            except Unavailable as why:
                table.append([f"{kind}: not measured: {why}", *["–"] * 10])
                break
            table.append(_row(kind, silence, seen))
            tell(" ".join(table[-1]))
            data.setdefault(kind, {})[silence] = vars(seen)
    notes = [
        (
            f"{_SILENT:,} partners whose servers say nothing, with {_MAILS_EACH} mails each, and "
            f"{len(_WELL)} that have sent before and are well, on one worker of {_CONCURRENCY} "
            f"threads that starts with all of it. For {_SECONDS:.0f} s one of the well partners "
            f"queues a mail and one a password reset every {_BETWEEN_SECONDS} s; measured from "
            "`commit()` to the final dot. First contact is the first mail of partners whose "
            "servers are well too and have taken none before, queued with the others: the longest "
            f"of {len(_TESTED)} whose connection test succeeded, and of {len(_UNKNOWN)} that "
            "nobody knows."
        ),
        (
            "Conversations are what the system says is open to the silent server; jobs are all of "
            "RQ's in Redis; memory is the worker's resident size at its largest."
        ),
    ]
    columns = [
        "servers are silent at", "normal, p99", "goal", "urgent, p99", "goal",
        "first contact, tested", "unknown", "conversations", "jobs", "memory", "goals",
    ]  # fmt: skip
    return Section(notes, [Table(columns, table)], data)


def _row(kind: Kind, silence: Silence, seen: _Watched) -> list[str]:
    normal, urgent = _p99(seen.normal), _p99(seen.urgent)
    jobs = _SILENT + len([*_WELL, *_TESTED, *_UNKNOWN]) + _MORE_JOBS
    within = seen.open <= _MOST_OPEN and seen.jobs <= jobs and seen.growth <= _GROWTH_MB
    return [
        f"{kind}, {silence}",
        f"{normal:.2f} s",
        goal(normal, _NORMAL_SECONDS, most=True, unit=" s"),
        f"{urgent:.2f} s",
        goal(urgent, _URGENT_SECONDS, most=True, unit=" s"),
        _longest(seen.tested),
        _longest(seen.unknown),
        str(seen.open),
        str(seen.jobs),
        f"{seen.memory:.0f} MB ({seen.growth:+.0f})",
        f"≤ {_MOST_OPEN}, ≤ {jobs:,}, ≤ {_GROWTH_MB:+.0f} MB: {'met' if within else 'missed'}",
    ]


def _longest(found: Sequence[float]) -> str:
    longest = max(found)
    return f"{longest:.1f} s" if longest < _PATIENCE_SECONDS else "given up"


def _p99(found: Sequence[float]) -> float:
    return statistics.quantiles(found, n=100, method="inclusive")[98]


def _measure(stage: Stage, kind: Kind, silence: Silence) -> _Watched:
    uri = stage.new_database(kind)
    with StampingServer() as well, SilentServer(silence) as silent:
        site = Site(stage.new_folder(), uri, stage.redis.url)
        with site.opened():
            add_senders(site.host, _WELL, well.port)
            with site.worker(_CONCURRENCY) as worker:
                memory = resident_megabytes(worker)
                for partner_id in _WELL:
                    _queue(site, f"before-{partner_id}@example.org", partner_id)
                well.wait_for_all([f"before-{one}@example.org" for one in _WELL], 30)
            silent_ones = partner_ids(_SILENT)
            add_senders(site.host, silent_ones, silent.port)
            add_senders(site.host, [*_TESTED, *_UNKNOWN], well.port)
            _test(site)
            fill(site.host.db.engine, _SILENT * _MAILS_EACH, _SILENT, finished=False)
            with site.worker(_CONCURRENCY) as worker, Redis.from_url(stage.redis.url) as redis:
                return _watch(site, worker, redis, well, silent, memory)


def _watch(
    site: Site,
    worker: Worker,
    redis: Redis,
    well: StampingServer,
    silent: SilentServer,
    memory: float,
) -> _Watched:
    seen = _Watched()
    normal: dict[str, int] = {}
    urgent: dict[str, int] = {}
    tested, unknown = (_first_contacts(site, ids) for ids in (_TESTED, _UNKNOWN))
    ends, number = time.monotonic() + _SECONDS, 0
    while time.monotonic() < ends:
        check_alive(worker)
        partner_id = _WELL[number % len(_WELL)]
        recipient = f"normal{number}@example.org"
        normal[recipient] = _queue(site, recipient, partner_id)
        recipient = f"urgent{number}@example.org"
        partner_id = _WELL[(number + 5) % len(_WELL)]
        site.host.plugin.send("password_reset", to=recipient, partner_id=partner_id, context=_RESET)
        site.host.db.session.commit()
        urgent[recipient] = time.monotonic_ns()
        seen.open = max(seen.open, silent.conversations)
        seen.jobs = max(seen.jobs, sum(1 for _ in redis.scan_iter("rq:job:*", count=10_000)))
        seen.memory = max(seen.memory, resident_megabytes(worker))
        number += 1
        time.sleep(_BETWEEN_SECONDS)
    arrived = well.wait_for_all([*normal, *urgent, *tested, *unknown], _PATIENCE_SECONDS)
    for found, committed in (
        (seen.normal, normal),
        (seen.urgent, urgent),
        (seen.tested, tested),
        (seen.unknown, unknown),
    ):
        found += [
            (arrived[one] - moment) / 1e9 if one in arrived else _PATIENCE_SECONDS
            for one, moment in committed.items()
        ]
    seen.growth = seen.memory - memory
    return seen


def _first_contacts(site: Site, ids: Sequence[str]) -> dict[str, int]:
    recipients = {partner_id: f"first-{partner_id}@example.org" for partner_id in ids}
    return {recipient: _queue(site, recipient, one) for one, recipient in recipients.items()}


def _test(site: Site) -> None:
    """Write down that the test of their settings succeeded."""
    session = site.host.db.session()
    revisions = select(SenderRevision.id).join(Sender, Sender.id == SenderRevision.sender_id)
    for revision_id in session.scalars(revisions.where(Sender.partner_id.in_(_TESTED))):
        session.add(
            RevisionTest(
                revision_id=revision_id,
                place="web",
                ok=True,
                code="",
                message="",
                reply="",
                at=now(),
                tested_by="bench",
            )
        )
    session.commit()


def _queue(site: Site, recipient: str, partner_id: str) -> int:
    """Queue and commit a mail; when that was, in nanoseconds."""
    site.host.plugin.send_message(Message("x", [recipient], BODY), partner_id=partner_id)
    site.host.db.session.commit()
    return time.monotonic_ns()
