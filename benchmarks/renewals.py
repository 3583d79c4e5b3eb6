"""Reminders for very many services: how fast a run is, and how little it holds."""

import multiprocessing
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, create_engine, text

from benchmarks.report import Section, Table, goal
from benchmarks.rounds import Tell
from benchmarks.stage import Stage
from smtp_admin import ExpiringService, Host, Partner, SMTPAdmin
from smtp_admin.database import host_engine, transaction, worker_engine
from smtp_admin.encryption import generate_key
from smtp_admin.renewals import scheduler, service
from smtp_admin.renewals.values import RenewalValues
from tests.app import ADMIN, make_app
from tests.servers import Unavailable

_PARTNER = "acme"
_CUSTOMERS_SHARE = 0.3
_GROWTH_MB = 40.0
_IDLE = "again at once: nobody is due"
_FILL = """
    INSERT INTO bench_service (id, partner_id, customer_id, expires_at)
    SELECT n, 'acme', lpad((n * 3 / 10)::text, 9, '0'),
           now() + interval '1 hour' + (n % 143) * interval '1 hour'
    FROM generate_series(0, :rows - 1) AS n
"""
#: All but one in thirty had a notice just now.
_TOLD = """
    INSERT INTO smtp_admin_renewal_customer
        (partner_id, customer_id, version, notice, last_at, announced, refused_address, token)
    SELECT 'acme', lpad(n::text, 9, '0'), 1, '', now(), '{}', '', md5(n::text)
    FROM generate_series(0, :customers) AS n WHERE n % 30 > 0
"""
_MOVE = """
    UPDATE bench_service SET expires_at = now() + (:first + id % :hours) * interval '1 hour'
"""
_TABLE = (
    """CREATE TABLE bench_service (id bigint PRIMARY KEY, partner_id text NOT NULL,
       customer_id text NOT NULL, expires_at timestamptz NOT NULL)""",
    "CREATE INDEX ON bench_service (partner_id, customer_id)",
    "CREATE INDEX ON bench_service (partner_id, expires_at)",
)


class TableHost(Host):
    """Reads services from a table, a page at a time."""

    def partners(self) -> Iterable[Partner]:
        """One."""
        return [Partner(_PARTNER, "Acme GmbH")]

    def expiring_services(self, until: datetime, partner_id: str) -> Iterable[ExpiringService]:
        """Ordered by customer, by a cursor of the server."""
        found = text(
            "SELECT id, customer_id, expires_at FROM bench_service WHERE partner_id = :partner"
            " AND expires_at <= :until ORDER BY customer_id"
        )
        with host_engine().connect().execution_options(yield_per=500) as connection:
            for row in connection.execute(found, {"partner": partner_id, "until": until}):
                yield ExpiringService(
                    partner_id=partner_id,
                    customer_id=row.customer_id,
                    service_id=str(row.id),
                    customer_email=f"{row.customer_id}@customer.example",
                    customer_name="Sam",
                    language="de",
                    time_zone="Europe/Berlin",
                    service_name=f"Hosting {row.id}",
                    expires_at=row.expires_at,
                    price="12.90",
                    currency="EUR",
                    payment_url=f"https://pay.example/{row.id}",
                    balance="3.50",
                )


@dataclass(frozen=True)
class Measured:
    """One run in a process of its own; memory in MB."""

    seconds: float
    customers: int
    services: int
    notices: int
    started_mb: float
    most_mb: float


def run(stage: Stage, rows: int, tell: Tell) -> Section:
    """Measure on PostgreSQL: some due, nobody due, few or nothing in the window, switched off."""
    try:
        uri = stage.new_database("PostgreSQL")
    except Unavailable as why:
        return Section([f"Not measured: {why}"], [], {"rows": rows})
    config = _config(uri, stage.redis.url)
    engine = create_engine(uri)
    _fill(engine, rows)
    tell(f"{rows:,} services written")
    site = make_app(uri, {name.removeprefix("SMTP_ADMIN_"): value for name, value in config.items()
                          if name.startswith("SMTP_ADMIN_")})  # fmt: skip
    with site.app.app_context():
        site.save_sender(_PARTNER, port=stage.sink.port)
        site.db.engine.dispose()
    with engine.begin() as connection:
        connection.execute(text(_TOLD), {"customers": int(rows * _CUSTOMERS_SHARE)})
    _settle(engine)
    measured: dict[str, Measured] = {}
    week = RenewalValues(enabled=True, window_days=7)
    for name, values, moved in (
        ("one in thirty is due", week, None),
        (_IDLE, week, None),
        ("spread over a year: nobody is due", week, (1, 365 * 24)),
        ("nothing within the window", week, (365 * 24, 1)),
        ("switched off", RenewalValues(), None),
    ):
        if moved:
            with engine.begin() as connection:
                connection.execute(text(_MOVE), {"first": moved[0], "hours": moved[1]})
            _settle(engine)
        with site.app.app_context():
            session = site.db.session()
            seen = service.load(session, _PARTNER).revision
            service.save(session, _PARTNER, values, own=True, expected_revision=seen, actor=ADMIN)
            session.commit()
            site.db.session.remove()
            site.db.engine.dispose()
        measured[name] = _in_a_process(config)
        tell(f"{name}: {measured[name]}")
    engine.dispose()
    return _section(rows, measured)


def _section(rows: int, measured: dict[str, Measured]) -> Section:
    table = []
    # What it takes to look at everybody; the rest of a run is writing notices.
    idle = measured[_IDLE].seconds
    for name, one in measured.items():
        growth = one.most_mb - one.started_mb
        rate = one.customers / one.seconds if one.customers else 0
        table.append(
            [
                name,
                f"{one.customers:,}",
                f"{one.notices:,}",
                f"{one.seconds:,.2f}",
                f"{rate:,.0f}" if rate else "–",
                f"{one.notices / (one.seconds - idle):,.0f}" if one.notices else "–",
                f"{growth:+.1f} MB (from {one.started_mb:.0f})",
                goal(growth, _GROWTH_MB, most=True, unit=" MB"),
            ]
        )
    notes = [
        (
            f"{rows:,} services of {int(rows * _CUSTOMERS_SHARE):,} customers of one partner on "
            "PostgreSQL, all within the days of notices in the first two runs. One run after the "
            "other, each in a process of its own, by the function "
            "that workers call. A notice is rendered as text and HTML and committed to the outbox "
            "together with the ledger; nothing is sent meanwhile. Memory is the largest resident "
            "size after any batch, against the one before the run."
        )
    ]
    columns = ["", "customers", "notices", "seconds", "customers/s", "notices/s beyond that",
               "memory", "goal"]  # fmt: skip
    data = {"rows": rows, "runs": {name: asdict(one) for name, one in measured.items()}}
    return Section(notes, [Table(columns, table)], data)


def _config(uri: str, redis_url: str) -> dict[str, Any]:
    return {
        "SECRET_KEY": "a benchmark's",
        "SQLALCHEMY_DATABASE_URI": uri,
        "SMTP_ADMIN_SECRET_KEYS": [generate_key()],
        "SMTP_ADMIN_REDIS_URL": redis_url,
        "SMTP_ADMIN_QUEUE_LIMIT": 10_000_000,
        "SMTP_ADMIN_PUBLIC_URL": "https://panel.example.com",
    }


def _fill(engine: Engine, rows: int) -> None:
    with engine.begin() as connection:
        for statement in _TABLE:
            connection.exec_driver_sql(statement)
        connection.execute(text(_FILL), {"rows": rows})
    _settle(engine)


def _settle(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def _in_a_process(config: dict[str, Any]) -> Measured:
    spawned = multiprocessing.get_context("spawn")
    here, there = spawned.Pipe()
    process = spawned.Process(target=_run, args=(config, there))
    process.start()
    there.close()
    try:
        found: Measured = here.recv()
    except EOFError as error:
        raise RuntimeError("the run died") from error
    finally:
        process.join()
    return found


def _run(config: dict[str, Any], answer: Any) -> None:
    app = Flask("benchmarks.renewals")
    app.config.update(config)
    database = SQLAlchemy(app)
    SMTPAdmin(host=TableHost()).init_app(app, database)
    with app.app_context():
        engine = worker_engine(host_engine(), pool_size=2)
        with transaction(engine) as session:
            service.load_all(session)  # the connection is there, and what it needs is loaded
        started = most = _resident_mb()

        def tell(*_: object) -> None:
            nonlocal most
            most = max(most, _resident_mb())

        began = time.perf_counter()
        reports = scheduler.run_now(engine, tell=tell)
        seconds = time.perf_counter() - began
        tell()
    report = reports.get(_PARTNER)
    answer.send(
        Measured(
            seconds,
            report.customers if report else 0,
            report.services if report else 0,
            report.due if report else 0,
            started,
            most,
        )
    )


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024
