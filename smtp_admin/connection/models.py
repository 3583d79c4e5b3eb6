"""The table of connection tests that a worker is to run."""

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime
from smtp_admin.senders.destination import Destination
from smtp_admin.senders.models import SenderRevision
from smtp_admin.smtp.session import Security


class WorkerTest(Base):
    """A connection test that a worker is to run: a row for some minutes, then forgotten.

    The job in Redis carries its number only. The password lies here sealed until a worker takes
    the test, and no longer.
    """

    __tablename__ = "smtp_admin_worker_test"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    partner_id: Mapped[str] = mapped_column(String(100))
    #: The revision that these settings are exactly, if they are one.
    revision_id: Mapped[int | None] = mapped_column(BigId, ForeignKey(SenderRevision.id))
    asked_by: Mapped[str] = mapped_column(String(320))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    driver: Mapped[str] = mapped_column(String(20))
    host: Mapped[str] = mapped_column(String(255))
    port: Mapped[int] = mapped_column(Integer)
    security: Mapped[Security] = mapped_column(String(4))
    verify_tls: Mapped[bool] = mapped_column(Boolean)
    username: Mapped[str] = mapped_column(String(320))
    from_email: Mapped[str] = mapped_column(String(254))
    password_sealed: Mapped[str | None] = mapped_column(Text)
    #: ``waiting``, ``running``, ``done``, or ``failed`` with the reason in ``problem``.
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    worker: Mapped[str] = mapped_column(String(200), default="")
    taken_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    problem: Mapped[str] = mapped_column(String(500), default="")
    #: What each place found out, as JSON.
    web_result: Mapped[str | None] = mapped_column(Text)
    worker_result: Mapped[str | None] = mapped_column(Text)

    @property
    def destination(self) -> Destination:
        """What the password was sealed for."""
        return Destination.of(self)
