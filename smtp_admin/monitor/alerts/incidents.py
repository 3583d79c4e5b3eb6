"""From what is wrong now to incidents: one alert for each, which opens once and ends once.

Whoever looks at the same time does no harm: they write one after the other, the key of an open
alert is unique, and who is to be told is written down in the same transaction.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine, case, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, among, changed, database_now, reading, transaction
from smtp_admin.installation import installation
from smtp_admin.monitor.alerts.kinds import BY_NAME, ENDS_AFTER, Finding
from smtp_admin.monitor.alerts.models import AGAIN, Alert, AlertNotice, AlertTurn, Side
from smtp_admin.monitor.alerts.rules import Look, look
from smtp_admin.monitor.kept_order import keep_order
from smtp_admin.translation import to_keep

#: How often a worker looks, and how long it is its turn.
LOOK_SECONDS = 60.0
_TURN = timedelta(seconds=50)
_DAY = timedelta(days=1)
_TURN_NAME = "look"
#: Ended alerts are kept at least so long, whatever is kept of mail.
_LEAST_DAYS = 30
#: So many ids in one statement.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Settled:
    """What a look changed, by public id."""

    opened: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()


def take_turn_and_look(engine: Engine) -> Settled:
    """Look for incidents if no other worker does just now, and at the order of senders."""
    if not _take_turn(engine):
        return Settled()
    settled = evaluate(engine, for_workers=False)
    keep_order(engine)
    return settled


def evaluate(engine: Engine, *, for_workers: bool) -> Settled:
    """Look for incidents, and open, bring up to date and end alerts; needs an app context.

    Args:
        for_workers: whether a worker runs is asked too; not where a worker asks.
    """
    with reading(engine) as session:
        found = look(session, for_workers=for_workers)
    with transaction(engine) as session:
        return settle(session, found)


def settle(session: Session, found: Look) -> Settled:
    """Make the alerts what *found* says; the caller commits."""
    # One after the other: on MariaDB several who insert the same keys would lock each other out.
    session.execute(select(AlertTurn).where(AlertTurn.name == _TURN_NAME).with_for_update())
    moment = database_now(session)
    findings = {one.incident: one for one in found.findings}
    rows = _of_open(session)
    missing = [one for key, one in findings.items() if key not in rows]
    if missing:
        _insert(session, missing, moment)
        rows |= _of_open(session, [one.incident for one in missing])
    muted = _muted(session, [one.incident for one in missing], moment)
    changes = _Changes()
    for key, row in rows.items():
        finding = findings.get(key)
        if finding is not None:
            if told := _news(row, finding):
                changes.add(row, told)
            if row.opened_at is None and moment - row.first_seen_at >= finding.lasts:
                before = muted.get(key, (row.muted_until, row.owner_muted_until))
                mutes = dict(zip(("muted_until", "owner_muted_until"), before, strict=True))
                changes.add(row, {"opened_at": moment, **mutes})
                changes.opened.append(row)
        elif row.sender_id in found.unknown:
            continue
        elif row.cleared_at is None:
            changes.add(row, {"cleared_at": moment})
        elif moment - row.cleared_at >= ENDS_AFTER and row.opened_at is not None:
            changes.add(row, {"ended_at": moment, "open_key": None})
            changes.ended.append(row)
        elif moment - row.cleared_at >= ENDS_AFTER:
            changes.never.append(row.id)  # what did not last never was an alert
    changes.write(session)
    _note(session, changes.opened, "opened", moment)
    _note(session, changes.ended, "ended", moment)
    _remind(session, [row for key, row in rows.items() if key in findings], moment)
    return Settled(
        tuple(one.public_id for one in changes.opened),
        tuple(one.public_id for one in changes.ended),
    )


@dataclass(slots=True)
class _Changes:
    """What is to be written, by the columns that change: one statement for each, for any number."""

    values: dict[tuple[str, ...], list[dict[str, Any]]] = field(default_factory=dict)
    opened: list[Alert] = field(default_factory=list)
    ended: list[Alert] = field(default_factory=list)
    never: list[int] = field(default_factory=list)

    def add(self, row: Alert, values: dict[str, Any]) -> None:
        """Change *row* so."""
        self.values.setdefault(tuple(values), []).append({"id": row.id, **values})

    def write(self, session: Session) -> None:
        """Do it."""
        for rows in self.values.values():
            session.execute(update(Alert), rows)
        for start in range(0, len(self.never), _AT_ONCE):
            some = self.never[start : start + _AT_ONCE]
            changed(session, delete(Alert).where(Alert.id.in_(some)))


def _news(row: Alert, finding: Finding) -> dict[str, Any]:
    """What is to be told otherwise than before; nothing if it is all the same."""
    now = {
        "cleared_at": None,
        "severity": finding.severity,
        "whose": finding.whose[:300],
        "headline": to_keep(finding.headline)[:200],
        "detail": to_keep(finding.detail)[:1000],
    }
    return now if any(getattr(row, name) != one for name, one in now.items()) else {}


def _of_open(session: Session, keys: Collection[str] | None = None) -> dict[str, Alert]:
    """The alerts that have not ended, locked; those of *keys* alone where they are given."""
    wanted = select(Alert).where(Alert.open_key.is_not(None)).order_by(Alert.id).with_for_update()
    if keys is not None:
        wanted = wanted.where(Alert.open_key.in_(keys))
    return {one.incident: one for one in session.scalars(wanted)}


def _insert(session: Session, findings: Sequence[Finding], moment: datetime) -> None:
    """Write incidents down that are new."""
    rows = [
        {
            "public_id": uuid4().hex,
            "kind": one.kind,
            "partner_id": one.partner_id,
            "sender_id": one.sender_id,
            "sender_key": one.sender_key,
            "incident": one.incident,
            "open_key": one.incident,
            "severity": one.severity,
            "whose": one.whose[:300],
            "headline": to_keep(one.headline)[:200],
            "detail": to_keep(one.detail)[:1000],
            "first_seen_at": moment,
        }
        for one in findings
    ]
    session.execute(insert(Alert), rows)


def _muted(
    session: Session, keys: Sequence[str], moment: datetime
) -> dict[str, tuple[datetime | None, datetime | None]]:
    """Until when incidents are muted that were there before: who muted one meant the next too.

    For the platform's people, and for the owner's.
    """
    found: dict[str, tuple[datetime | None, datetime | None]] = {}
    mutes = (Alert.muted_until, Alert.owner_muted_until)
    for start in range(0, len(keys), _AT_ONCE):
        rows = session.execute(
            select(Alert.incident, *(func.max(case((one > moment, one))) for one in mutes))
            .where(
                Alert.incident.in_(keys[start : start + _AT_ONCE]),
                or_(*(one > moment for one in mutes)),
            )
            .group_by(Alert.incident)
        )
        found |= {str(key): (platform, owner) for key, platform, owner in rows}
    return found


def _note(session: Session, alerts: Sequence[Alert], event: str, moment: datetime) -> None:
    """Write down who is to be told."""
    channels = ["signal", "mail"]
    if installation().config.alert_webhook:
        channels.append("webhook")
    rows = [
        {"alert_id": one.id, "event": event, "channel": channel, "created_at": moment,
         "next_attempt_at": moment}
        for one in alerts
        for channel in channels
    ]  # fmt: skip
    if rows:
        session.execute(insert(AlertNotice), rows)


def _remind(session: Session, rows: Sequence[Alert], moment: datetime) -> None:
    """Write down that mail goes out again, where that is a day old and a side did not react."""
    open_ones = {
        one.id: one
        for one in rows
        if BY_NAME[one.kind].daily
        and one.opened_at is not None
        and not all(one.reaction_of(side).keeps_quiet(moment) for side in _sides(one))
    }
    if not open_ones:
        return
    last = session.execute(
        select(AlertNotice.alert_id, func.max(AlertNotice.created_at))
        .where(among(session, AlertNotice.alert_id, open_ones), AlertNotice.channel == "mail")
        .group_by(AlertNotice.alert_id)
    )
    again = [open_ones[alert_id] for alert_id, at in last if moment - at >= _DAY]
    notices = [
        {"alert_id": one.id, "event": f"{AGAIN}-{(moment - one.opened_at).days}",
         "channel": "mail", "created_at": moment, "next_attempt_at": moment}
        for one in again
        if one.opened_at is not None
    ]  # fmt: skip
    if notices:
        session.execute(insert(AlertNotice), notices)


def _sides(row: Alert) -> tuple[Side, ...]:
    """Who has to do with it: of the system's own alerts no partner knows."""
    return ("platform",) if row.partner_id == SYSTEM else ("platform", "owner")


def _take_turn(engine: Engine) -> bool:
    with transaction(engine) as session:
        moment = database_now(session)
        mine = update(AlertTurn).where(AlertTurn.name == _TURN_NAME, AlertTurn.until <= moment)
        return bool(changed(session, mine.values(until=moment + _TURN)))


def prune_alerts(engine: Engine) -> int:
    """Forget alerts that ended long ago; how many."""
    keep = timedelta(days=max(installation().config.keep_days, _LEAST_DAYS))
    with transaction(engine) as session:
        old = (Alert.ended_at < database_now(session) - keep, Alert.open_key.is_(None))
        ids = session.scalars(select(Alert.id).where(*old).limit(_AT_ONCE)).all()
        if ids:
            changed(session, delete(AlertNotice).where(AlertNotice.alert_id.in_(ids)))
            changed(session, delete(Alert).where(Alert.id.in_(ids)))
        return len(ids)
