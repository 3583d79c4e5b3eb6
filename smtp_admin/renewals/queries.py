"""What the pages ask about runs and partners."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.renewals.models import RenewalRun
from smtp_admin.renewals.report import Report
from smtp_admin.renewals.service import Applied, load_several

_MOST = 20


@dataclass(frozen=True, slots=True)
class ListedRun:
    """One report in a list."""

    started_at: datetime
    finished_at: datetime | None
    by_schedule: bool
    report: Report


@dataclass(frozen=True, slots=True)
class ListedPartner:
    """A partner, or the system, with its settings and its last run."""

    name: str
    applied: Applied
    last: ListedRun | None


def runs(session: Session, partner_id: str, limit: int = _MOST) -> list[ListedRun]:
    """The newest reports of *partner_id*."""
    found = session.scalars(
        select(RenewalRun)
        .where(RenewalRun.partner_id == partner_id)
        .order_by(RenewalRun.id.desc())
        .limit(limit)
    )
    return [_listed(one) for one in found]


def overview(session: Session, owners: Sequence[tuple[str, str]]) -> list[ListedPartner]:
    """Each of *owners*, ids and names, with its settings and its last run."""
    ids = dict(owners)
    newest = (
        select(func.max(RenewalRun.id))
        .where(RenewalRun.partner_id.in_(ids))
        .group_by(RenewalRun.partner_id)
    )
    last = {
        run.partner_id: _listed(run)
        for run in session.scalars(select(RenewalRun).where(RenewalRun.id.in_(newest)))
    }
    applied = load_several(session, ids)
    return [ListedPartner(name, applied[one], last.get(one)) for one, name in ids.items()]


def _listed(run: RenewalRun) -> ListedRun:
    return ListedRun(
        run.started_at, run.finished_at, run.slot is not None, Report.from_json(run.report)
    )
