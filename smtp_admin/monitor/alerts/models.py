"""The tables of alerts, of who is still to be told of them, and of whose turn it is to look."""

from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime

#: What mail that goes out again is called, with a hyphen and how many days later it is.
AGAIN = "again"
#: Who looks at an alert: those who look after the platform, or its owner's own people. What one
#: side does about it, the other does not feel.
Side = Literal["platform", "owner"]
#: How the names of a side's columns begin.
PREFIXES: dict[Side, str] = {"platform": "", "owner": "owner_"}


class Reaction(NamedTuple):
    """What one side did about an alert."""

    acknowledged_at: datetime | None
    acknowledged_by: str
    muted_until: datetime | None

    def keeps_quiet(self, moment: datetime) -> bool:
        """Whether that side needs no banner and no reminder of it."""
        return self.acknowledged_at is not None or self.is_muted(moment)

    def is_muted(self, moment: datetime) -> bool:
        """Whether that side wants to hear nothing of it now."""
        return self.muted_until is not None and self.muted_until > moment


class Alert(Base):
    """One incident, from when it was first seen until it ended.

    It is open between ``opened_at`` and ``ended_at``; before, it has not lasted long enough yet
    to be one.
    """

    __tablename__ = "smtp_admin_alert"
    __table_args__ = (
        Index("ix_smtp_admin_alert_partner", "partner_id", "ended_at"),
        Index("ix_smtp_admin_alert_incident", "incident"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    #: Whose it is: ``''`` for the system; 0 where it is no sender's.
    partner_id: Mapped[str] = mapped_column(String(100))
    sender_id: Mapped[int] = mapped_column(BigId, default=0)
    sender_key: Mapped[str] = mapped_column(String(40), default="")
    #: A hash of what it is about: the same again is the same incident.
    incident: Mapped[str] = mapped_column(String(32))
    #: The same until it ends, so that the database lets nobody open it twice.
    open_key: Mapped[str | None] = mapped_column(String(32), unique=True)
    severity: Mapped[str] = mapped_column(String(10))
    whose: Mapped[str] = mapped_column(String(300))
    headline: Mapped[str] = mapped_column(String(200))
    detail: Mapped[str] = mapped_column(String(1000), default="")
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    opened_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Since when it is not there any more; it ends when that has lasted.
    cleared_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    acknowledged_by: Mapped[str] = mapped_column(String(320), default="")
    muted_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: The same three of the owner's own people; those above are of the platform's.
    owner_acknowledged_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    owner_acknowledged_by: Mapped[str] = mapped_column(String(320), default="", server_default="")
    owner_muted_until: Mapped[datetime | None] = mapped_column(UTCDateTime)

    def reaction_of(self, side: Side) -> Reaction:
        """What *side* did about it."""
        names = (f"{PREFIXES[side]}{one}" for one in Reaction._fields)
        return Reaction(*(getattr(self, one) for one in names))


class AlertNotice(Base):
    """That somebody is to be told of an alert; written in the transaction that opens or ends it."""

    __tablename__ = "smtp_admin_alert_notice"
    __table_args__ = (
        UniqueConstraint("alert_id", "event", "channel"),
        Index("ix_smtp_admin_alert_notice_due", "done_at", "next_attempt_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    alert_id: Mapped[int] = mapped_column(BigId, ForeignKey(Alert.id))
    #: ``opened`` or ``ended``, or ``again-3`` three days later.
    event: Mapped[str] = mapped_column(String(10))
    #: ``signal``, ``mail`` or ``webhook``.
    channel: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    #: Not before; while somebody is at it, when others may take it for dead.
    next_attempt_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: What came of it, for people.
    outcome: Mapped[str] = mapped_column(String(300), default="")


class AlertTurn(Base):
    """Who looks for incidents, until when: one worker at a time is enough."""

    __tablename__ = "smtp_admin_alert_turn"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    until: Mapped[datetime] = mapped_column(UTCDateTime)
