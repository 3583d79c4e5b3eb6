"""The business of the example app: partners resell hosting to customers, whose services expire.

Ordinary models of an ordinary app; nothing here knows of the plugin.
"""

from datetime import UTC, datetime
from decimal import Decimal

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, registry, relationship


class UTCDateTime(sa.TypeDecorator[datetime]):
    """An aware time in UTC, even on SQLite, which forgets time zones."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Store UTC."""
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Say that it is UTC."""
        return value and value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The app's own tables; the plugin keeps its tables on metadata of its own."""

    registry = registry(
        type_annotation_map={
            str: sa.String(254),
            Decimal: sa.Numeric(10, 2),
            datetime: UTCDateTime,
        }
    )


db = SQLAlchemy(model_class=Base)


class Partner(Base):
    """A reseller, whose mail is to come from the reseller's own address."""

    __tablename__ = "partner"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    domain: Mapped[str]


class PartnerAdmin(Base):
    """Who administers which partner."""

    __tablename__ = "partner_admin"
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id"), primary_key=True)
    partner_id: Mapped[str] = mapped_column(sa.ForeignKey("partner.id"), primary_key=True)


class Customer(Base):
    """Somebody who buys from a partner."""

    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[str] = mapped_column(sa.ForeignKey("partner.id"))
    name: Mapped[str]
    email: Mapped[str]
    language: Mapped[str] = mapped_column(default="en")
    time_zone: Mapped[str] = mapped_column(default="Europe/Berlin")
    balance: Mapped[Decimal] = mapped_column(default=Decimal(0))
    services: Mapped[list["Service"]] = relationship(
        order_by="Service.expires_at", back_populates="customer"
    )


class Service(Base):
    """Something that a customer pays for until it expires."""

    __tablename__ = "service"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"))
    name: Mapped[str]
    expires_at: Mapped[datetime]
    price: Mapped[Decimal]
    currency: Mapped[str] = mapped_column(default="EUR")
    customer: Mapped[Customer] = relationship(back_populates="services")


class User(Base):
    """Somebody who can sign in: administrator, partner administrator or customer."""

    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str]
    is_admin: Mapped[bool] = mapped_column(default=False)
    customer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("customer.id"))
    customer: Mapped[Customer | None] = relationship()
    partners: Mapped[list[Partner]] = relationship(secondary="partner_admin")

    @property
    def role(self) -> str:
        """What this person is here."""
        if self.is_admin:
            return "Platform administrator"
        names = ", ".join(partner.name for partner in self.partners)
        return f"Administrator of {names}" if names else "Customer"

    is_active = is_authenticated = True  # these three and get_id: what Flask-Login asks for
    is_anonymous = False

    def get_id(self) -> str:
        """What the session remembers."""
        return str(self.id)


class PasswordReset(Base):
    """One link to a new password; of its token only a hash is kept."""

    __tablename__ = "password_reset"
    token_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id"))
    expires_at: Mapped[datetime]
    user: Mapped[User] = relationship()
