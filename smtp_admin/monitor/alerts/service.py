"""Look at alerts, acknowledge and mute them: what page and command share."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_, select, type_coerce, update
from sqlalchemy.orm import Session

from smtp_admin.audit.service import record_change
from smtp_admin.clock import sql_now
from smtp_admin.database import UTCDateTime, database_now
from smtp_admin.errors import Conflict, NotFound
from smtp_admin.host import Actor
from smtp_admin.identifiers import is_storable
from smtp_admin.monitor.alerts.kinds import BY_NAME, SEVERITIES, Finding
from smtp_admin.monitor.alerts.models import PREFIXES, Alert, AlertNotice, Reaction, Side
from smtp_admin.monitor.alerts.rules import no_worker
from smtp_admin.monitor.alerts.told import sentence_of
from smtp_admin.monitor.alerts.wording import whose_of
from smtp_admin.read_back import read_back
from smtp_admin.translation import gettext, joined, known, sentence

#: What may be chosen for muting, as it is written.
MUTES = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "1w": timedelta(weeks=1)}
#: Ended alerts are shown for so long.
SHOWN_FOR = timedelta(days=30)
_IS_OPEN = (Alert.opened_at.is_not(None), Alert.ended_at.is_(None))
_WORST_FIRST = (Alert.severity != "critical", Alert.opened_at)
_MOST_ENDED, _MOST_UNSEEN = 200, 50
_NONE = Reaction(None, "", None)


@dataclass(frozen=True, slots=True)
class AlertSeen:
    """One alert, for people.

    Attributes:
        id: the public one; empty for what is found now and stands in no table.
        cleared_at: since when what it tells of is over; it ends when that has lasted.
        reaction: of the side that looks.
        told: what came of telling, as sentences, the oldest first.
    """

    id: str
    kind: str
    label: str
    severity: str
    partner_id: str
    sender_id: int
    sender_key: str
    whose: str
    headline: str
    detail: str
    opened_at: datetime | None = None
    ended_at: datetime | None = None
    cleared_at: datetime | None = None
    reaction: Reaction = _NONE
    told: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.ended_at is None

    @property
    def tone(self) -> str:
        """Its colour, as a sender's state has one."""
        if not self.is_open:
            return "off"
        return "bad" if self.severity == "critical" else "warn"

    @property
    def severity_label(self) -> str:
        """How grave it is, for people."""
        return SEVERITIES.get(self.severity, self.severity)

    @property
    def title(self) -> str:
        """What stands before its headline: what it is and whose, and nothing of it twice."""
        if self.headline.startswith(self.label):
            return sentence(self.whose).rstrip(".")
        return joined((known(self.label), self.whose), ", ")

    @property
    def sentence(self) -> str:
        """Everything in one line."""
        words = known(self.label) + ": " + self.whose + ". " + self.headline + "."
        return joined((words, self.detail))

    def needs_somebody(self, moment: datetime) -> bool:
        """Whether it is open, and nobody of this side acknowledged or muted it."""
        return self.is_open and not self.reaction.keeps_quiet(moment)

    def as_json(self) -> dict[str, Any]:
        """For a script."""
        return {
            "id": self.id,
            "kind": self.kind,
            "label": self.label,
            "severity": self.severity,
            "partner_id": self.partner_id,
            "sender": self.sender_key,
            "whose": self.whose,
            "headline": self.headline,
            "message": self.detail,
            "opened_at": _time(self.opened_at),
            "ended_at": _time(self.ended_at),
            "acknowledged_at": _time(self.reaction.acknowledged_at),
            "acknowledged_by": self.reaction.acknowledged_by,
            "muted_until": _time(self.reaction.muted_until),
            "told": list(self.told),
        }


def side_of(actor: Actor) -> Side:
    """On which side *actor* is."""
    return "platform" if actor.is_admin else "owner"


def open_alerts(
    session: Session,
    partner_ids: Collection[str] | None = None,
    *,
    live: bool = False,
    side: Side = "platform",
) -> list[AlertSeen]:
    """Alerts that are open, the worst first, then the oldest.

    Args:
        partner_ids: of these partners alone; ``None`` for everybody's.
        side: who looks.
        live: also what no worker can find: that none runs. Only where everybody's are meant.
    """
    wanted = select(Alert).where(*_IS_OPEN).order_by(*_WORST_FIRST)
    found = _seen(session, wanted, partner_ids, side)
    return _with_live(found, session, live=live and partner_ids is None)


def ended_alerts(
    session: Session, partner_ids: Collection[str] | None = None, *, side: Side = "platform"
) -> list[AlertSeen]:
    """Alerts that ended in the last 30 days, the newest first."""
    since = database_now(session) - SHOWN_FOR
    wanted = select(Alert).where(Alert.ended_at > since, Alert.opened_at.is_not(None))
    return _seen(
        session, wanted.order_by(Alert.ended_at.desc()).limit(_MOST_ENDED), partner_ids, side
    )


def unseen_alerts(
    session: Session,
    partner_ids: Collection[str] | None = None,
    *,
    live: bool = False,
    side: Side = "platform",
) -> list[AlertSeen]:
    """Open alerts that nobody of this side acknowledged or muted, for a banner: one query.

    What is over already is left out, though the alert ends only when that has lasted.

    Args:
        live, side: as for :func:`open_alerts`.
    """
    muted_until = getattr(Alert, f"{PREFIXES[side]}muted_until")
    wanted = select(Alert).where(
        *_IS_OPEN,
        Alert.cleared_at.is_(None),
        getattr(Alert, f"{PREFIXES[side]}acknowledged_at").is_(None),
        or_(muted_until.is_(None), muted_until <= type_coerce(sql_now(), UTCDateTime())),
    )
    if partner_ids is not None:
        wanted = wanted.where(Alert.partner_id.in_(partner_ids))
    rows = session.scalars(wanted.order_by(*_WORST_FIRST).limit(_MOST_UNSEEN))
    return _with_live([_of_row(one, side) for one in rows], session, live=live)


def _with_live(found: list[AlertSeen], session: Session, *, live: bool) -> list[AlertSeen]:
    if live and not any(one.kind == "no_worker" for one in found):
        return [*map(_of_finding, no_worker(session)), *found]
    return found


def _seen(
    session: Session, wanted: Any, partner_ids: Collection[str] | None, side: Side
) -> list[AlertSeen]:
    if partner_ids is not None:
        wanted = wanted.where(Alert.partner_id.in_(partner_ids))
    rows = session.scalars(wanted).all()
    told: dict[int, dict[tuple[str, str], str]] = {}
    if rows:
        notices = session.scalars(
            select(AlertNotice)
            .where(AlertNotice.alert_id.in_([one.id for one in rows]), AlertNotice.outcome != "")
            .order_by(AlertNotice.id)
        )
        for one in notices:
            event = one.event.partition("-")[0]  # of mail that went out again, the last one
            words = sentence_of(one.channel, event, one.outcome)
            told.setdefault(one.alert_id, {})[one.channel, event] = words
    return [_of_row(one, side, tuple(filter(None, told.get(one.id, {}).values()))) for one in rows]


def _of_row(row: Alert, side: Side, told: tuple[str, ...] = ()) -> AlertSeen:
    kind = BY_NAME.get(row.kind)
    return AlertSeen(
        id=row.public_id,
        kind=row.kind,
        label=kind.label if kind else row.kind,
        severity=row.severity,
        partner_id=row.partner_id,
        sender_id=row.sender_id,
        sender_key=row.sender_key,
        whose=whose_of(row),
        headline=read_back(row.headline),
        detail=read_back(row.detail),
        opened_at=row.opened_at,
        ended_at=row.ended_at,
        cleared_at=row.cleared_at,
        reaction=row.reaction_of(side),
        told=told,
    )


def _of_finding(one: Finding) -> AlertSeen:
    return AlertSeen(
        id="",
        kind=one.kind,
        label=BY_NAME[one.kind].label,
        severity=one.severity,
        partner_id=one.partner_id,
        sender_id=one.sender_id,
        sender_key=one.sender_key,
        whose=one.whose,
        headline=one.headline,
        detail=one.detail,
    )


def find_alert(session: Session, public_id: str) -> Alert:
    """The alert with this public id, whosever it is.

    Raises:
        NotFound: there is none.
    """
    if not is_storable(public_id):
        raise NotFound
    row = session.scalar(
        select(Alert).where(Alert.public_id == public_id, Alert.opened_at.is_not(None))
    )
    if row is None:
        raise NotFound(gettext("There is no alert %(public_id)s.", public_id=repr(public_id[:40])))
    return row


def acknowledge(session: Session, alert: Alert, actor: Actor) -> None:
    """Write down that *actor* knows of it: it stays open and leaves the banner. Caller commits.

    The banner of *actor*'s side, that is: what a partner's admin knows, nobody at the platform
    need have seen, and the other way round.

    Raises:
        Conflict: it has ended.
    """
    by = (actor.email or actor.name or actor.id)[:320]
    _change(session, alert, actor, acknowledged_at=database_now(session), acknowledged_by=by)
    record_change(session, actor, alert.partner_id, "alert.acknowledged", _named(alert))


def mute(session: Session, alert: Alert, actor: Actor, span: timedelta) -> datetime:
    """Show and tell nothing of this incident for *span*, also if it comes again. Caller commits.

    To *actor*'s side, that is: a partner's admin silences what goes to the partner's own people,
    and the platform is told as before; and the other way round.

    Raises:
        Conflict: it has ended.
    """
    until = database_now(session) + span
    _change(session, alert, actor, muted_until=until)
    words = f"{_named(alert)}, until {until:%Y-%m-%d %H:%M} UTC"
    record_change(session, actor, alert.partner_id, "alert.muted", words)
    return until


def unmute(session: Session, alert: Alert, actor: Actor) -> None:
    """Show and tell it again to *actor*'s side; the caller commits.

    Raises:
        Conflict: it has ended.
    """
    _change(session, alert, actor, muted_until=None)
    record_change(session, actor, alert.partner_id, "alert.unmuted", _named(alert))


def _change(session: Session, alert: Alert, actor: Actor, **reaction: Any) -> None:
    """Change what *actor*'s side did about it."""
    values = {f"{PREFIXES[side_of(actor)]}{name}": one for name, one in reaction.items()}
    still_open: tuple[ColumnElement[bool], ...] = (Alert.id == alert.id, Alert.ended_at.is_(None))
    result: Any = session.execute(update(Alert).where(*still_open).values(**values))
    if not result.rowcount:
        raise Conflict(gettext("This alert has ended. Nothing was changed."))


def _named(alert: Alert) -> str:
    return f"{alert.kind}, {alert.whose}"


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
