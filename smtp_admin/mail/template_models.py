"""The tables of templates that partners write, and of what their mail looks like."""

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime

#: Letters of four bytes: more than a text of theirs holds.
_LONG = Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")


class EmailTemplate(Base):
    """That somebody has written a template of their own; ``''`` for the system's."""

    __tablename__ = "smtp_admin_email_template"
    __table_args__ = (UniqueConstraint("partner_id", "type_name", "language"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    partner_id: Mapped[str] = mapped_column(String(100))
    type_name: Mapped[str] = mapped_column(String(60))
    language: Mapped[str] = mapped_column(String(35))
    #: The newest one; counts up with every save, so that nobody overwrites what they did not see.
    revision: Mapped[int] = mapped_column(Integer)
    #: Off where somebody went back to the shipped one.
    active: Mapped[bool] = mapped_column(Boolean)


class EmailTemplateRevision(Base):
    """What a template said from some time on; never changed."""

    __tablename__ = "smtp_admin_email_template_revision"

    template_id: Mapped[int] = mapped_column(
        ForeignKey("smtp_admin_email_template.id"), primary_key=True
    )
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    subject: Mapped[str] = mapped_column(String(1000))
    text: Mapped[str] = mapped_column(_LONG)
    html: Mapped[str] = mapped_column(_LONG)
    #: ``saved`` or ``reset``.
    what: Mapped[str] = mapped_column(String(10))
    saved_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    saved_by: Mapped[str] = mapped_column(String(320))


class Branding(Base):
    """What the mail of a partner looks like; ``''`` for the system's, and for those without."""

    __tablename__ = "smtp_admin_branding"

    partner_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    revision: Mapped[int] = mapped_column(Integer)
    #: ``#rrggbb``, or empty for the usual one.
    colour: Mapped[str] = mapped_column(String(7))
    logo_url: Mapped[str] = mapped_column(String(500))
    footer: Mapped[str] = mapped_column(String(500))
    saved_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    saved_by: Mapped[str] = mapped_column(String(320))
