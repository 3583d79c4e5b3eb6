"""The table of the addresses at which this database is at home."""

from datetime import datetime

from sqlalchemy import Boolean, String
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, UTCDateTime


class Site(Base):
    """An address of the app that may send this database's mail; a copy is run under another."""

    __tablename__ = "smtp_admin_site"

    #: Host, port and path, as :func:`smtp_admin.sandbox.address.comparable` writes them.
    address: Mapped[str] = mapped_column(String(400), primary_key=True)
    recorded_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    #: True for the one that a start recorded by itself, NULL for those that a person added: of two
    #: first starts at the same moment only one finds it free.
    first: Mapped[bool | None] = mapped_column(Boolean, unique=True)
