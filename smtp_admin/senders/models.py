"""The tables of senders, their settings, their tests, and which mail goes by which."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime
from smtp_admin.host import OPERATOR


class Sender(Base):
    """Who sends. Partner id ``''`` is the system; key ``''`` is the default sender of each.

    The settings themselves are the row of :class:`SenderRevision` that ``current_revision``
    names; 0 means that none were saved yet. A deleted sender stays as a row, for its history and
    for the mail that it sent.
    """

    __tablename__ = "smtp_admin_sender"
    __table_args__ = (UniqueConstraint("partner_id", "key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    partner_id: Mapped[str] = mapped_column(String(100))
    key: Mapped[str] = mapped_column(String(40), default="", server_default="")
    label: Mapped[str] = mapped_column(String(80), default="", server_default="")
    current_revision: Mapped[int] = mapped_column(Integer, default=0)
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: While set and in the future, nothing is sent; the reason says why, for people.
    paused_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    pause_code: Mapped[str] = mapped_column(String(40), default="")
    pause_reason: Mapped[str] = mapped_column(String(500), default="")
    #: The key of what is behind it, and the server's words; empty where there are none.
    pause_cause: Mapped[str] = mapped_column(String(60), default="", server_default="")
    pause_reply: Mapped[str] = mapped_column(String(300), default="", server_default="")
    #: How often it paused in a row without a mail accepted in between.
    pauses: Mapped[int] = mapped_column(Integer, default=0)
    #: How often its address was refused in a row, with nothing accepted in between.
    refusals: Mapped[int] = mapped_column(Integer, default=0)
    #: When somebody, or new settings, ended a pause; what was due before waited for that.
    resumed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_accepted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class SenderRevision(Base):
    """One state of a sender's settings; never changed, only followed by the next.

    What queries and limits read has columns. The other fields of the driver are one JSON document,
    and so are the secrets, sealed by name: a new driver needs no migration.
    """

    __tablename__ = "smtp_admin_sender_revision"
    __table_args__ = (
        UniqueConstraint("sender_id", "number"),
        # Whose senders use a driver that keeps mail, which every page asks.
        Index("ix_smtp_admin_sender_revision_driver", "driver", "sender_id", "number"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sender_id: Mapped[int] = mapped_column(BigId, ForeignKey(Sender.id))
    number: Mapped[int] = mapped_column(Integer)
    driver: Mapped[str] = mapped_column(String(20))
    from_email: Mapped[str] = mapped_column(String(254))
    from_name: Mapped[str] = mapped_column(String(64))
    reply_to: Mapped[str] = mapped_column(String(254))
    envelope_from: Mapped[str] = mapped_column(String(254), default="", server_default="")
    #: At most so many mails in any 60 minutes; NULL for no limit.
    max_per_hour: Mapped[int | None] = mapped_column(Integer)
    #: The same for any 24 hours.
    max_per_day: Mapped[int | None] = mapped_column(Integer)
    #: Connections at a time, over all workers.
    max_connections: Mapped[int] = mapped_column(SmallInteger, server_default="2")
    #: Field → value, of what has no column.
    fields: Mapped[dict[str, Any]] = mapped_column(JSON)
    #: Name of a secret → ``sealed`` and, as ISO text, ``set_at``.
    secrets: Mapped[dict[str, dict[str, str | None]]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    created_by: Mapped[str] = mapped_column(String(320))
    #: The number of the revision whose values these are, where somebody rolled back to it.
    restores: Mapped[int | None] = mapped_column(Integer)


class Route(Base):
    """Which sender mail of one e-mail type, or of one priority, goes by."""

    __tablename__ = "smtp_admin_route"
    __table_args__ = (UniqueConstraint("partner_id", "kind", "name"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    partner_id: Mapped[str] = mapped_column(String(100))
    #: ``type`` or ``priority``.
    kind: Mapped[str] = mapped_column(String(10))
    #: The name of the type, or ``urgent``, ``normal``, ``bulk``.
    name: Mapped[str] = mapped_column(String(64))
    sender_id: Mapped[int] = mapped_column(BigId, ForeignKey(Sender.id))


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

    @property
    def by_command(self) -> bool:
        """Whether somebody made it at the command line, where nobody is signed in."""
        return self.tested_by == OPERATOR.name
