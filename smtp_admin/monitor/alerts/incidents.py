"""From what is wrong now to incidents: one alert for each, which opens once and ends once.

Whoever looks at the same time does no harm: they write one after the other, the key of an open
alert is unique, and who is to be told is written down in the same transaction.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import Engine, delete, func, insert, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now, reading, transaction
from smtp_admin.installation import installation
from smtp_admin.monitor.alerts.kinds import ENDS_AFTER, Finding
from smtp_admin.monitor.alerts.models import Alert, AlertNotice, AlertTurn
from smtp_admin.monitor.alerts.rules import Look, look

#: How often a worker looks, and how long it is its turn.
LOOK_SECONDS = 60.0
_TURN = timedelta(seconds=50)
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
    """Look for incidents if no other worker does just now."""
    return evaluate(engine, for_workers=False) if _take_turn(engine) else Settled()


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
    opened, ended = [], []
    for key, row in rows.items():
        finding = findings.get(key)
        if finding is not None:
            _bring_up_to_date(row, finding)
            if row.opened_at is None and moment - row.first_seen_at >= finding.lasts:
                row.opened_at = moment
                row.muted_until = muted.get(key, row.muted_until)
                opened.append(row)
        elif row.sender_id not in found.unknown:
            row.cleared_at = row.cleared_at or moment
            if moment - row.cleared_at >= ENDS_AFTER:
                row.ended_at, row.open_key = moment, None
                ended.append(row)
    told = [one for one in ended if one.opened_at is not None]
    session.flush()
    _note(session, opened, "opened")
    _note(session, told, "ended")
    # What did not last never was an alert.
    never = [one.id for one in ended if one.opened_at is None]
    if never:
        changed(session, delete(Alert).where(Alert.id.in_(never)))
    return Settled(tuple(one.public_id for one in opened), tuple(one.public_id for one in told))


def _bring_up_to_date(row: Alert, finding: Finding) -> None:
    row.cleared_at = None
    row.severity = finding.severity
    row.whose = finding.whose[:300]
    row.headline = finding.headline[:200]
    row.detail = finding.detail[:1000]


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
            "headline": one.headline[:200],
            "detail": one.detail[:1000],
            "first_seen_at": moment,
        }
        for one in findings
    ]
    session.execute(insert(Alert), rows)


def _muted(session: Session, keys: Sequence[str], moment: datetime) -> dict[str, datetime]:
    """Until when incidents are muted that were there before: who muted one meant the next too."""
    found: dict[str, datetime] = {}
    for start in range(0, len(keys), _AT_ONCE):
        rows = session.execute(
            select(Alert.incident, func.max(Alert.muted_until))
            .where(Alert.incident.in_(keys[start : start + _AT_ONCE]), Alert.muted_until > moment)
            .group_by(Alert.incident)
        )
        found |= {str(key): until for key, until in rows if until is not None}
    return found


def _note(session: Session, alerts: Sequence[Alert], event: str) -> None:
    """Write down who is to be told."""
    channels = ["signal", "mail"]
    if installation().config.alert_webhook:
        channels.append("webhook")
    session.add_all(
        AlertNotice(alert_id=one.id, event=event, channel=channel)
        for one in alerts
        for channel in channels
    )


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
