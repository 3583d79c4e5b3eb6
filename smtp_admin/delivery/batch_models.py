"""The table of batches: what ``send_many`` queued together, and what became of it."""

from datetime import datetime

from sqlalchemy import Boolean, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime


class Batch(Base):
    """Mails of one type that belong together."""

    __tablename__ = "smtp_admin_batch"
    __table_args__ = (UniqueConstraint("partner_id", "key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    partner_id: Mapped[str] = mapped_column(String(100))
    #: The caller's name for it, under which a run that broke off is repeated; NULL for none.
    key: Mapped[str | None] = mapped_column(String(200))
    label: Mapped[str] = mapped_column(String(200))
    type_name: Mapped[str] = mapped_column(String(64))
    #: The key of the sender that the caller named; NULL where the routes decide.
    sender_key: Mapped[str | None] = mapped_column(String(40))
    #: Recipients that it is to have, as far as that is known; those that were queued; and of
    #: these the ones that a limit for recipients kept back at once.
    total: Mapped[int] = mapped_column(Integer, default=0)
    queued: Mapped[int] = mapped_column(Integer, default=0)
    suppressed: Mapped[int] = mapped_column(Integer, default=0)
    created_by: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    cancelled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Who cancelled it, for a worker that goes on with that; empty where an app did.
    cancelled_by_id: Mapped[str] = mapped_column(String(100), default="", server_default="")
    cancelled_by: Mapped[str] = mapped_column(String(320), default="", server_default="")
    #: How its deliveries stood when a worker last counted them, as JSON (state → number), and
    #: whether none of them was under way any more.
    counts: Mapped[str] = mapped_column(Text, default="{}")
    counted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    settled: Mapped[bool] = mapped_column(Boolean, default=False, index=True)
