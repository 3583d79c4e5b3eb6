"""The tables of addresses that get less mail, and of what recipients chose themselves."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime
from smtp_admin.senders.models import Sender


class Suppression(Base):
    """That a partner's mail of a category does not go to an address, for one reason.

    Each reason has a row of its own: who takes back what they did leaves alone what others did.
    """

    __tablename__ = "smtp_admin_suppression"
    __table_args__ = (
        UniqueConstraint(
            "address_hash",
            "partner_id",
            "category",
            "reason",
            name="uq_smtp_admin_suppression_reason",
        ),
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


class ProviderList(Base):
    """When a worker last imported what the provider of a sender suppresses, and how that went."""

    __tablename__ = "smtp_admin_provider_list"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sender_id: Mapped[int] = mapped_column(BigId, ForeignKey(Sender.id), unique=True)
    #: The name of the provider whose list it was.
    provider: Mapped[str] = mapped_column(String(20))
    #: One worker at a time: until then, whoever has the lease imports.
    next_import_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    lease: Mapped[str] = mapped_column(String(32), default="")
    #: The last import that took in something, and how much.
    imported_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    addresses: Mapped[int] = mapped_column(Integer, default=0)
    new: Mapped[int] = mapped_column(Integer, default=0)
    #: In a row; and whether the last time the provider said that the key may not.
    failures: Mapped[int] = mapped_column(Integer, default=0)
    refused: Mapped[bool] = mapped_column(default=False)
    #: Why the last import failed, or was not all; empty where it was.
    trouble: Mapped[str] = mapped_column(String(500), default="")


class ProviderRemoval(Base):
    """That an address which was lifted here is to leave the lists of a partner's providers too."""

    __tablename__ = "smtp_admin_provider_removal"
    __table_args__ = (
        UniqueConstraint(
            "address_hash",
            "partner_id",
            "category",
            "reason",
            name="uq_smtp_admin_provider_removal_reason",
        ),
        Index("ix_smtp_admin_provider_removal_due", "next_try_at"),
        Index("ix_smtp_admin_provider_removal_partner", "partner_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    partner_id: Mapped[str] = mapped_column(String(100))
    address_hash: Mapped[str] = mapped_column(String(32))
    address: Mapped[str] = mapped_column(String(254))
    #: Of the suppression that was lifted.
    category: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(20))
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    tries: Mapped[int] = mapped_column(SmallInteger, default=0)
    #: Not before; NULL where nothing more is tried.
    next_try_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=sql_now())
    #: When no list had it any more.
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Why the last try failed, in sentences.
    trouble: Mapped[str] = mapped_column(String(500), default="")
