"""The tables of addresses that get less mail, and of what recipients chose themselves."""

from datetime import datetime

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime


class Suppression(Base):
    """That a partner's mail of a category does not go to an address."""

    __tablename__ = "smtp_admin_suppression"
    __table_args__ = (
        UniqueConstraint("address_hash", "partner_id", "category"),
        Index("ix_smtp_admin_suppression_partner", "partner_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    partner_id: Mapped[str] = mapped_column(String(100))
    address_hash: Mapped[str] = mapped_column(String(32))
    #: In small letters; empty where the address was erased, and only its hash is kept.
    address: Mapped[str] = mapped_column(String(254))
    #: ``all``, ``notices``, or the name of one e-mail type.
    category: Mapped[str] = mapped_column(String(64))
    #: A key of :data:`smtp_admin.suppression.reasons.REASONS`.
    reason: Mapped[str] = mapped_column(String(20))
    #: What a server or a person said.
    detail: Mapped[str] = mapped_column(String(500), default="")
    #: The public id of the mail after which it came; empty for none.
    mail_id: Mapped[str] = mapped_column(String(32), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    created_by: Mapped[str] = mapped_column(String(320), default="")


class Preference(Base):
    """What a recipient of a partner chose on the page that mail leads to."""

    __tablename__ = "smtp_admin_preference"

    partner_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    address_hash: Mapped[str] = mapped_column(String(32), primary_key=True)
    #: Instead of the one that the app names; empty for that one.
    language: Mapped[str] = mapped_column(String(35), default="")
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
