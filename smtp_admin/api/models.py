"""The table of API tokens."""

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime


class ApiToken(Base):
    """What a program may do, for which partner, and until when; the token itself is not kept."""

    __tablename__ = "smtp_admin_api_token"
    __table_args__ = (Index("ix_smtp_admin_api_token_partner", "partner_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    #: ``""`` for one that is the platform's, and may act for every partner.
    partner_id: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(80))
    #: SHA-256 of the token; it has 190 random bits, so nobody finds it by trying.
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    #: The names of :data:`smtp_admin.api.scopes.SCOPES`, with spaces between.
    scopes: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    created_by: Mapped[str] = mapped_column(String(320))
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: To the minute: a row that every request writes would make them wait for each other.
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_by: Mapped[str] = mapped_column(String(320), default="")
