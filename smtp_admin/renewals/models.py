"""The tables of reminders: settings, the ledger of notices, and reports of runs."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime

#: A few of our customers have thousands of services.
_LONG = Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")


class RenewalSettings(Base):
    """When reminders go out: one row for the system, and one for each partner that ever chose."""

    __tablename__ = "smtp_admin_renewal_settings"

    partner_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    #: Counts up with every save, so that nobody overwrites what they did not see.
    revision: Mapped[int] = mapped_column(Integer)
    #: Whether these apply; else the system's do.
    own: Mapped[bool] = mapped_column(Boolean)
    enabled: Mapped[bool] = mapped_column(Boolean)
    window_days: Mapped[int] = mapped_column(SmallInteger)
    #: As typed and cleaned: ``14, 7, 3, 1``.
    steps: Mapped[str] = mapped_column(String(60))
    min_hours: Mapped[int] = mapped_column(Integer)
    on_demand_min_hours: Mapped[int] = mapped_column(Integer)
    #: ``HH:MM``; equal for none.
    quiet_from: Mapped[str] = mapped_column(String(5))
    quiet_to: Mapped[str] = mapped_column(String(5))
    time_zone: Mapped[str] = mapped_column(String(60))
    saved_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    saved_by: Mapped[str] = mapped_column(String(320))


class RenewalCustomer(Base):
    """What is known about one customer: the newest notice, and when the last one arrived.

    Whoever writes a notice first moves ``version`` from the number that was read: of several
    schedulers only one succeeds.
    """

    __tablename__ = "smtp_admin_renewal_customer"

    partner_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    customer_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, default=0)
    #: The key of the newest notice, ``""`` for none.
    notice: Mapped[str] = mapped_column(String(32), default="")
    #: When a server last took a notice, or refused it for good: the frequency counts from here.
    last_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: What was in the last notice that was taken, as JSON: service id → expiry.
    announced: Mapped[str] = mapped_column(_LONG, default="{}")
    #: The address that the last notice was refused for, ``""`` if it was not.
    refused_address: Mapped[str] = mapped_column(String(254), default="")
    #: What the link in the mails carries; nobody can guess it.
    token: Mapped[str] = mapped_column(String(40), unique=True)
    unsubscribed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class RenewalNotice(Base):
    """One notice, with the services that it names."""

    __tablename__ = "smtp_admin_renewal_notice"
    __table_args__ = (
        Index("ix_smtp_admin_renewal_notice_customer", "partner_id", "customer_id"),
        Index(
            "ix_smtp_admin_renewal_notice_waiting",
            "state",
            postgresql_where=text("state = 'waiting'"),
            sqlite_where=text("state = 'waiting'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(32), unique=True)
    partner_id: Mapped[str] = mapped_column(String(100))
    customer_id: Mapped[str] = mapped_column(String(100))
    #: The public id of its mail.
    mail_id: Mapped[str] = mapped_column(String(32), unique=True)
    recipient: Mapped[str] = mapped_column(String(254))
    on_demand: Mapped[bool] = mapped_column(Boolean)
    #: As JSON: service id → expiry.
    services: Mapped[str] = mapped_column(_LONG)
    #: ``waiting``, ``accepted``, ``refused`` for good, or ``dropped`` before it was sent.
    state: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


#: As the partial index says it: see :data:`smtp_admin.delivery.models.IS_QUEUED`.
IS_WAITING = RenewalNotice.state == literal_column("'waiting'")


class RenewalRun(Base):
    """The report of one run over one partner's services."""

    __tablename__ = "smtp_admin_renewal_run"
    __table_args__ = (UniqueConstraint("partner_id", "slot"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    partner_id: Mapped[str] = mapped_column(String(100))
    #: The quarter of an hour that a scheduler ran it for; NULL if a person did.
    slot: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    progress_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Whether it has something to tell: a notice, a failure, a broken record.
    eventful: Mapped[bool] = mapped_column(Boolean, default=False)
    #: Counts, reasons with examples, failures and broken records, as JSON.
    report: Mapped[str] = mapped_column(Text, default="{}")
