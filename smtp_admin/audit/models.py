"""The table of what was done."""

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime


class Audit(Base):
    """Who did what to which partner's sender; also what the limits on tests are counted from."""

    __tablename__ = "smtp_admin_audit"
    __table_args__ = (
        Index("ix_smtp_admin_audit_actor", "actor_id", "action", "at"),
        Index("ix_smtp_admin_audit_partner", "partner_id", "action", "at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    actor_id: Mapped[str] = mapped_column(String(100))
    actor_email: Mapped[str] = mapped_column(String(320))
    partner_id: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(40))
    detail: Mapped[str] = mapped_column(String(500))
