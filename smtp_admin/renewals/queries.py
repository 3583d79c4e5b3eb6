"""What the pages ask about runs and partners."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.host import Partner
from smtp_admin.renewals.models import RenewalRun
from smtp_admin.renewals.report import Report
from smtp_admin.renewals.service import Applied, load

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
    """A partner, or the system as ``None``, with its settings and its last run."""

    partner: Partner | None
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


def overview(session: Session, partners: list[Partner | None]) -> list[ListedPartner]:
    """Each of *partners* with its settings and its last run."""
    ids = {one.id if one else "": one for one in partners}
    newest = (
        select(func.max(RenewalRun.id))
        .where(RenewalRun.partner_id.in_(ids))
        .group_by(RenewalRun.partner_id)
    )
    last = {
        run.partner_id: _listed(run)
        for run in session.scalars(select(RenewalRun).where(RenewalRun.id.in_(newest)))
    }
    return [
        ListedPartner(partner, load(session, partner_id), last.get(partner_id))
        for partner_id, partner in ids.items()
    ]


def _listed(run: RenewalRun) -> ListedRun:
    return ListedRun(
        run.started_at, run.finished_at, run.slot is not None, Report.from_json(run.report)
    )
