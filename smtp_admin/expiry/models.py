"""The table of the certificates that mail servers showed, the last one of each sender's server."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime
from smtp_admin.senders.models import Sender


class ServerCertificate(Base):
    """What the mail server of one sender showed when somebody last talked to it."""

    __tablename__ = "smtp_admin_server_certificate"

    sender_id: Mapped[int] = mapped_column(
        BigId, ForeignKey(Sender.id), primary_key=True, autoincrement=False
    )
    #: Which server it was, as a setup names it; that of other settings says nothing.
    place: Mapped[str] = mapped_column(String(300))
    subject: Mapped[str] = mapped_column(String(200), default="")
    begins: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ends: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
