"""The table of notices that wait to become one mail."""

from datetime import datetime
from typing import Literal

from sqlalchemy import Index, String, Text, UniqueConstraint, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime

#: ``waiting`` until its digest is queued; ``sent`` says no more than that it was. ``expired`` is
#: what could not be put into a mail for days.
ItemState = Literal["waiting", "sent", "cancelled", "expired"]

_WAITING = "state = 'waiting'"


class DigestItem(Base):
    """One notice for one recipient, as its own templates wrote it."""

    __tablename__ = "smtp_admin_digest_item"
    __table_args__ = (
        UniqueConstraint("partner_id", "idempotency_key"),
        # What is due, and what goes along with it.
        Index(
            "ix_smtp_admin_digest_item_due",
            "state",
            "due_at",
            postgresql_where=text(_WAITING),
            sqlite_where=text(_WAITING),
        ),
        Index("ix_smtp_admin_digest_item_recipient", "partner_id", "recipient_key", "state"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    partner_id: Mapped[str] = mapped_column(String(100))
    recipient: Mapped[str] = mapped_column(String(254))
    #: The address in small letters: however it was written, it is one recipient.
    recipient_key: Mapped[str] = mapped_column(String(254))
    #: What the mail calls the recipient; may be empty.
    name: Mapped[str] = mapped_column(String(200))
    type_name: Mapped[str] = mapped_column(String(64))
    language: Mapped[str] = mapped_column(String(35))
    title: Mapped[str] = mapped_column(String(500))
    text: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(String(2000))
    #: As ``send`` was told it; NULL where the routes decide.
    sender_key: Mapped[str | None] = mapped_column(String(40))
    state: Mapped[ItemState] = mapped_column(String(10), default="waiting")
    #: When it wants to be told. It goes earlier, together with one that is due before.
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    #: The public id of the mail that tells it.
    message_id: Mapped[str | None] = mapped_column(String(32))
    #: Why its mail could not be queued the last time.
    last_error: Mapped[str] = mapped_column(String(500), default="")


#: As the partial index says it, word for word.
IS_WAITING = DigestItem.state == literal_column("'waiting'")
