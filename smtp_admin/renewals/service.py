"""Save the renewal settings, and find those that apply."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from smtp_admin.audit.service import record_change
from smtp_admin.database import SYSTEM, changed, database_now
from smtp_admin.errors import Conflict
from smtp_admin.host import Actor
from smtp_admin.renewals.models import RenewalSettings
from smtp_admin.renewals.values import RenewalValues, clean_clock, clean_steps
from smtp_admin.translation import gettext


@dataclass(frozen=True, slots=True)
class Applied:
    """The settings that apply to a partner.

    Attributes:
        own: whether they are the partner's; else they are the system's.
        revision: of the partner's own row; 0 if it never chose.
    """

    partner_id: str
    values: RenewalValues
    own: bool
    revision: int
    saved_by: str = ""
    saved_at: datetime | None = None


def load(session: Session, partner_id: str) -> Applied:
    """What applies to *partner_id*; ``""`` for the system."""
    return load_several(session, [partner_id])[partner_id]


def load_several(session: Session, partner_ids: Collection[str]) -> dict[str, Applied]:
    """What applies to each of *partner_ids*, in one query."""
    wanted = select(RenewalSettings).where(RenewalSettings.partner_id.in_([SYSTEM, *partner_ids]))
    fresh = wanted.execution_options(populate_existing=True)
    rows = {row.partner_id: row for row in session.scalars(fresh)}
    return {one: _applied(one, rows) for one in partner_ids}


def _applied(partner_id: str, rows: Mapping[str, RenewalSettings]) -> Applied:
    mine, system = rows.get(partner_id), rows.get(SYSTEM)
    own = partner_id == SYSTEM or (mine is not None and mine.own)
    valid = mine if own else system
    values = _values(valid) if valid is not None else RenewalValues()
    if mine is None:
        return Applied(partner_id, values, own, 0)
    return Applied(partner_id, values, own, mine.revision, mine.saved_by, mine.saved_at)


def load_all(session: Session) -> Mapping[str, RenewalValues]:
    """The settings of the system and of each partner with its own, in one query."""
    rows = session.scalars(select(RenewalSettings)).all()
    found = {row.partner_id: _values(row) for row in rows if row.own or row.partner_id == SYSTEM}
    session.expunge_all()
    return {SYSTEM: RenewalValues()} | found


def save(
    session: Session,
    partner_id: str,
    values: RenewalValues,
    *,
    own: bool,
    expected_revision: int,
    actor: Actor,
) -> Applied:
    """Make *values* the settings of *partner_id*; the caller commits.

    Args:
        own: off to let the system's settings apply again; *values* are kept all the same.
        expected_revision: what the person saw while editing.

    Raises:
        Conflict: somebody else saved in the meantime; nothing was changed.
    """
    own = own or partner_id == SYSTEM
    columns = _columns(values) | {
        "own": own,
        "revision": expected_revision + 1,
        "saved_by": actor.name or actor.email,
    }
    if expected_revision == 0:
        session.add(RenewalSettings(partner_id=partner_id, **columns))
        try:
            session.flush()
        except IntegrityError as error:
            session.rollback()
            raise _too_late(load(session, partner_id)) from error
    else:
        moved = changed(
            session,
            update(RenewalSettings)
            .where(
                RenewalSettings.partner_id == partner_id,
                RenewalSettings.revision == expected_revision,
            )
            .values(**columns, saved_at=database_now(session)),
        )
        if moved != 1:
            session.rollback()
            raise _too_late(load(session, partner_id))
    state = "on" if values.enabled else "off"
    detail = f"revision {expected_revision + 1}: {state}" if own else "the system's settings apply"
    record_change(session, actor, partner_id, "renewals.saved", detail)
    session.flush()
    return load(session, partner_id)


def _too_late(current: Applied) -> Conflict:
    who = current.saved_by or gettext("Someone else")
    return Conflict(
        gettext(
            "%(who)s saved the renewal settings while you were editing them. "
            "Nothing was overwritten.",
            who=who,
        ),
        hint=gettext("Check the saved values. Save again if yours are correct."),
    )


def _columns(values: RenewalValues) -> dict[str, Any]:
    return {
        "enabled": values.enabled,
        "window_days": values.window_days,
        "steps": ", ".join(map(str, values.steps)),
        "min_hours": values.min_hours,
        "on_demand_min_hours": values.on_demand_min_hours,
        "quiet_from": f"{values.quiet_from:%H:%M}",
        "quiet_to": f"{values.quiet_to:%H:%M}",
        "time_zone": values.time_zone,
    }


def _values(row: RenewalSettings) -> RenewalValues:
    return RenewalValues(
        enabled=row.enabled,
        window_days=row.window_days,
        steps=clean_steps(row.steps),
        min_hours=row.min_hours,
        on_demand_min_hours=row.on_demand_min_hours,
        quiet_from=clean_clock(row.quiet_from),
        quiet_to=clean_clock(row.quiet_to),
        time_zone=row.time_zone,
    )
