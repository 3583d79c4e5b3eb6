"""The table of connection tests that a worker is to run."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime
from smtp_admin.senders.models import SenderRevision


class WorkerTest(Base):
    """A connection test that a worker is to run: a row for some minutes, then forgotten.

    The job in Redis carries its number only. The secrets lie here sealed until a worker takes the
    test, and no longer.
    """

    __tablename__ = "smtp_admin_worker_test"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    partner_id: Mapped[str] = mapped_column(String(100))
    #: The key of the sender whose page asked.
    sender_key: Mapped[str] = mapped_column(String(40), default="", server_default="")
    #: The revision that these settings are exactly, if they are one.
    revision_id: Mapped[int | None] = mapped_column(BigId, ForeignKey(SenderRevision.id))
    asked_by: Mapped[str] = mapped_column(String(320))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    #: Field → value, the driver among them.
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    #: Name of a secret → it, sealed for this test alone.
    secrets: Mapped[dict[str, str]] = mapped_column(JSON)
    #: ``waiting``, ``running``, ``done``, or ``failed`` with the reason in ``problem``.
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    worker: Mapped[str] = mapped_column(String(200), default="")
    taken_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    problem: Mapped[str] = mapped_column(String(500), default="")
    #: What each place found out, as JSON.
    web_result: Mapped[str | None] = mapped_column(Text)
    worker_result: Mapped[str | None] = mapped_column(Text)
