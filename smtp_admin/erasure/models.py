"""The table of erasures that are not over."""

from datetime import datetime

from sqlalchemy import JSON, Boolean, String
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime


class Erasure(Base):
    """An address that is being erased: a row until nothing is left to do, then forgotten."""

    __tablename__ = "smtp_admin_erasure"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    #: What is asked for, as a hash: whoever asks for the same goes on with this one.
    what: Mapped[str] = mapped_column(String(32), unique=True)
    address: Mapped[str] = mapped_column(String(254))
    #: Whose records; everybody's if it is NULL.
    partner_ids: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    texts: Mapped[bool] = mapped_column(Boolean)
    #: Place → the last row that there was when it was asked for: later mail is not touched.
    until: Mapped[dict[str, int]] = mapped_column(JSON)
    #: Place → rows that were changed so far.
    counts: Mapped[dict[str, int]] = mapped_column(JSON)
    #: What each owner's log of who did what says about it.
    audits: Mapped[list[int]] = mapped_column(JSON)
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    #: Who works on it, and from when on another may.
    lease: Mapped[str] = mapped_column(String(32), default="")
    next_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
