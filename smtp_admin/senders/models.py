"""The tables of senders and of their settings."""

from datetime import datetime

from sqlalchemy import (
    Boolean,
    ForeignKey,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime
from smtp_admin.senders.destination import Destination
from smtp_admin.smtp.session import Security


class Sender(Base):
    """Who sends: one row per partner, and one with partner id ``''`` for the system.

    The settings themselves are the row of :class:`SenderRevision` that ``current_revision``
    names; 0 means that none were saved yet.
    """

    __tablename__ = "smtp_admin_sender"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    partner_id: Mapped[str] = mapped_column(String(100), unique=True)
    current_revision: Mapped[int] = mapped_column(Integer, default=0)
    #: While set and in the future, nothing is sent; the reason says why, for people.
    paused_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    pause_code: Mapped[str] = mapped_column(String(40), default="")
    pause_reason: Mapped[str] = mapped_column(String(500), default="")
    #: How often it paused in a row without a mail accepted in between.
    pauses: Mapped[int] = mapped_column(Integer, default=0)
    #: How often its address was refused in a row, with nothing accepted in between.
    refusals: Mapped[int] = mapped_column(Integer, default=0)
    last_accepted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class SenderRevision(Base):
    """One state of a sender's settings; never changed, only followed by the next."""

    __tablename__ = "smtp_admin_sender_revision"
    __table_args__ = (UniqueConstraint("sender_id", "number"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sender_id: Mapped[int] = mapped_column(BigId, ForeignKey(Sender.id))
    number: Mapped[int] = mapped_column(Integer)
    driver: Mapped[str] = mapped_column(String(20))
    host: Mapped[str] = mapped_column(String(255))
    port: Mapped[int] = mapped_column(Integer)
    security: Mapped[Security] = mapped_column(String(4))
    verify_tls: Mapped[bool] = mapped_column(Boolean)
    username: Mapped[str] = mapped_column(String(320))
    #: Sealed for the partner and the destination; NULL where there is no password.
    password_sealed: Mapped[str | None] = mapped_column(Text)
    password_set_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    from_email: Mapped[str] = mapped_column(String(254))
    from_name: Mapped[str] = mapped_column(String(64))
    reply_to: Mapped[str] = mapped_column(String(254))
    #: At most so many mails in any 60 minutes; NULL for no limit.
    max_per_hour: Mapped[int | None] = mapped_column(Integer)
    #: The same for any 24 hours.
    max_per_day: Mapped[int | None] = mapped_column(Integer)
    #: Connections at a time, over all workers.
    max_connections: Mapped[int] = mapped_column(SmallInteger, server_default="2")
    #: Whether the system's sender steps in while this one cannot send.
    fallback: Mapped[bool] = mapped_column(Boolean, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    created_by: Mapped[str] = mapped_column(String(320))
    #: The number of the revision whose values these are, where somebody rolled back to it.
    restores: Mapped[int | None] = mapped_column(Integer)

    @property
    def destination(self) -> Destination:
        """What the password was sealed for."""
        return Destination.of(self)


class RevisionTest(Base):
    """What the last connection test of exactly one revision found out, from one place.

    Settings that were only on the screen leave no row. There is no secret in one: a server's
    words are redacted before they come here.
    """

    __tablename__ = "smtp_admin_revision_test"

    revision_id: Mapped[int] = mapped_column(
        BigId, ForeignKey(SenderRevision.id), primary_key=True, autoincrement=False
    )
    #: ``web`` or ``worker``.
    place: Mapped[str] = mapped_column(String(10), primary_key=True)
    ok: Mapped[bool] = mapped_column(Boolean)
    #: As in the answer of the connection test; empty where it succeeded.
    code: Mapped[str] = mapped_column(String(40))
    message: Mapped[str] = mapped_column(String(500))
    reply: Mapped[str] = mapped_column(String(500))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    tested_by: Mapped[str] = mapped_column(String(320))
