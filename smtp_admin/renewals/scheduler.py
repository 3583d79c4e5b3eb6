"""When runs happen: one for each partner and quarter of an hour, by whichever worker is first.

The slot is a row that only one can insert. That saves work; what keeps a customer from two
notices is the ledger, however many run at once.
"""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, delete, exists, insert, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, changed, database_now, reading, transaction
from smtp_admin.installation import Installation
from smtp_admin.renewals import ledger
from smtp_admin.renewals.models import RenewalRun
from smtp_admin.renewals.report import Report
from smtp_admin.renewals.run import Run
from smtp_admin.renewals.service import load_all
from smtp_admin.renewals.supply import partner_ids
from smtp_admin.renewals.values import RenewalValues
from smtp_admin.sandbox import site

log = logging.getLogger(__name__)

#: How often a worker looks whether a run is due, and how often one is.
LOOK_SECONDS = 60.0
SLOT_SECONDS = 900
#: How often a run notes down how far it is.
_NOTE_SECONDS = 2.0
#: A run that has not moved for so long has died; the next slot does not wait for it.
_SILENCE = timedelta(minutes=2)
#: Notices are kept at least so long, whatever is kept of mail.
_LEAST_DAYS = 30
_RUNS: Any = RenewalRun.__table__

Tell = Callable[[str, Report], object]


def run_slot(engine: Engine, here: Installation, stopped: Callable[[], bool] = bool) -> int:
    """Settle what arrived, and run what nobody has run in this quarter of an hour.

    Returns how many partners were run. Cheap while there is nothing to do: called every minute.
    """
    if not site.may_act(engine):
        return 0
    moment = _settle(engine)
    slot = int(moment.timestamp()) // SLOT_SECONDS
    if here.renewals_seen == slot:
        return 0
    count = 0
    for partner_id, values in _switched_on(engine):
        if stopped():
            return count
        run_id = _take(engine, partner_id, slot, moment)
        if run_id:
            _run(engine, partner_id, values, run_id, stopped, _nobody)
            count += 1
    _prune(engine, moment, here.config.keep_days)
    here.renewals_seen = slot
    return count


def run_now(
    engine: Engine,
    only: str | None = None,
    tell: Tell | None = None,
    stopped: Callable[[], bool] = bool,
) -> dict[str, Report]:
    """Run at once, for one partner or all that have reminders on; the reports, by partner.

    Raises:
        Unavailable: this process may not act for the database.
    """
    site.require(engine)
    _settle(engine)
    reports: dict[str, Report] = {}
    for partner_id, values in _switched_on(engine, only):
        if stopped():
            break
        run_id = _begin(engine, partner_id)
        reports[partner_id] = _run(engine, partner_id, values, run_id, stopped, tell or _nobody)
    return reports


def look(engine: Engine, only: str | None = None, tell: Tell | None = None) -> dict[str, Report]:
    """What a run would do now, without doing it."""
    if site.may_act(engine):
        _settle(engine)
    told = tell or _nobody
    return {
        partner_id: Run(
            engine,
            partner_id,
            values,
            only_look=True,
            tell=lambda report, of=partner_id: told(of, report),  # type: ignore[misc]  # a default
        ).go()
        for partner_id, values in _switched_on(engine, only)
    }


def _nobody(*_: object) -> None:
    """Ignore the call."""


def _settle(engine: Engine) -> datetime:
    while True:
        with transaction(engine) as session:
            count = ledger.settle(session)
            moment = database_now(session)
        if not count:
            return moment


def _switched_on(engine: Engine, only: str | None = None) -> Iterator[tuple[str, RenewalValues]]:
    with reading(engine) as session:
        saved = load_all(session)
    if not any(values.enabled for values in saved.values()):
        return
    for partner_id in partner_ids() if only is None else (only,):
        values = saved.get(partner_id, saved[SYSTEM])
        if values.enabled:
            yield partner_id, values


def _take(engine: Engine, partner_id: str, slot: int, moment: datetime) -> int:
    """The number of the run of this slot if it is ours, else 0."""
    with transaction(engine) as session:
        under_way = exists().where(
            RenewalRun.partner_id == partner_id,
            RenewalRun.finished_at.is_(None),
            RenewalRun.progress_at > moment - _SILENCE,
        )
        return 0 if session.scalar(select(under_way)) else _insert_once(session, partner_id, slot)


def _insert_once(session: Session, partner_id: str, slot: int) -> int:
    row = {"partner_id": partner_id, "slot": slot}
    dialect = session.connection().dialect.name
    if dialect in {"postgresql", "sqlite"}:
        dialects_insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
        statement = dialects_insert(_RUNS).values(row).on_conflict_do_nothing()
        return session.scalar(statement.returning(_RUNS.c.id)) or 0
    result: Any = session.execute(mysql.insert(_RUNS).values(row).prefix_with("IGNORE"))
    return int(result.inserted_primary_key[0]) if result.rowcount == 1 else 0


def _begin(engine: Engine, partner_id: str) -> int:
    with transaction(engine) as session:
        result: Any = session.execute(insert(_RUNS).values(partner_id=partner_id))
        return int(result.inserted_primary_key[0])


def _run(
    engine: Engine,
    partner_id: str,
    values: RenewalValues,
    run_id: int,
    stopped: Callable[[], bool],
    tell: Tell,
) -> Report:
    noted_at = time.monotonic()

    def progress(report: Report) -> None:
        nonlocal noted_at
        if time.monotonic() - noted_at >= _NOTE_SECONDS:
            noted_at = time.monotonic()
            _note(engine, run_id, report)
        tell(partner_id, report)

    run = Run(engine, partner_id, values, tell=progress, stopped=stopped)
    try:
        report = run.go()
    except DBAPIError as error:
        run.report.failed += 1
        run.report.ended = f"The database failed ({type(error.orig).__name__})."
        _finish(engine, partner_id, run_id, run.report)
        raise
    _finish(engine, partner_id, run_id, report)
    if report.eventful:
        log.info("renewals of %r: %d notices, %d failed", partner_id, report.due, report.failed)
    return report


def _note(engine: Engine, run_id: int, report: Report) -> None:
    with transaction(engine) as session:
        changed(
            session,
            update(RenewalRun)
            .where(RenewalRun.id == run_id)
            .values(progress_at=database_now(session), report=report.as_json()),
        )


def _finish(engine: Engine, partner_id: str, run_id: int, report: Report) -> None:
    with transaction(engine) as session:
        moment = database_now(session)
        changed(
            session,
            update(RenewalRun)
            .where(RenewalRun.id == run_id)
            .values(
                progress_at=moment,
                finished_at=moment,
                eventful=report.eventful,
                report=report.as_json(),
            ),
        )
        # Of runs that had nothing to tell, the last one is enough.
        changed(
            session,
            delete(RenewalRun).where(
                RenewalRun.partner_id == partner_id,
                RenewalRun.finished_at.is_not(None),
                RenewalRun.eventful.is_(False),
                RenewalRun.id < run_id,
            ),
        )


def _prune(engine: Engine, moment: datetime, keep_days: int) -> None:
    with transaction(engine) as session:
        ledger.prune(
            session,
            moment - timedelta(days=keep_days),
            moment - timedelta(days=max(keep_days, _LEAST_DAYS)),
        )
