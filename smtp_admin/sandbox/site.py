"""Whether this process may act for this database, or stands beside a copy of it.

Only the configured ``SMTP_ADMIN_PUBLIC_URL`` says where a process stands: a Host header is
whatever a visitor writes. It fails closed, and for the process alone: one that stands elsewhere
changes no row, so a laptop beside the production database stops nobody but itself.
"""

import time
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from smtp_admin.database import changed, reading, transaction
from smtp_admin.errors import Unavailable
from smtp_admin.installation import Kept, installation
from smtp_admin.sandbox.address import comparable
from smtp_admin.sandbox.models import Site
from smtp_admin.translation import gettext

#: How old what is known of the table may be.
LOOK_SECONDS = 5.0
_VARIABLE = "SMTP_ADMIN_PUBLIC_URL"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where this process stands, and where the database is at home.

    Attributes:
        address: this process's, as it is compared; ``""`` if none is configured.
        recorded: the database's; empty while nothing was recorded.
    """

    address: str
    recorded: tuple[str, ...]

    @property
    def acts(self) -> bool:
        """Whether this process may send and do whatever else reaches out."""
        return not self.recorded or self.address in self.recorded

    @property
    def reason(self) -> str:
        """Why it may not, in one sentence; ``""`` if it may."""
        if self.acts:
            return ""
        says = (
            gettext("says %(address)s", address=self.address)
            if self.address
            else gettext("is not set")
        )
        return gettext(
            "This process sends nothing: the database belongs to %(owners)s, and "
            "%(variable)s %(says)s here.",
            owners=" and ".join(self.recorded),
            variable=_VARIABLE,
            says=says,
        )

    @property
    def hint(self) -> str:
        """What to do about it; ``""`` if there is nothing to do."""
        if self.acts:
            return ""
        first = (
            gettext("correct %(variable)s", variable=_VARIABLE)
            if self.address
            else gettext("set %(variable)s", variable=_VARIABLE)
        )
        return gettext(
            "If this is the original, %(first)s, or after a change of domain run "
            "`flask smtp-admin sandbox release`. If it is a copy, `flask "
            "smtp-admin sandbox drop` cancels the mail that waits in it, and "
            "`flask smtp-admin sandbox release` lets it be sent from here.",
            first=first,
        )


@dataclass(slots=True)
class _Seen:
    """What was last read, and when (monotonic seconds)."""

    recorded: tuple[str, ...] | None = None
    at: float = 0.0


_SEEN = Kept[_Seen](lambda _: _Seen())


def own_address() -> str:
    """The configured address of this process, as it is compared; ``""`` for none."""
    return comparable(installation().config.public_url)


def standing(database: Engine | Connection | Session) -> Standing:
    """Where this process stands, as it was some seconds ago at most; mostly nobody is asked.

    Args:
        database: asked where what is known is too old: outside a transaction, unless it is a
            session.
    """
    seen = _SEEN.of(installation())
    recorded = seen.recorded
    if recorded is None or time.monotonic() - seen.at >= LOOK_SECONDS:
        seen.at = time.monotonic()  # meanwhile others go on with what was known
        recorded = seen.recorded = _read(database)
    return Standing(own_address(), recorded)


def may_act(database: Engine | Connection | Session) -> bool:
    """Whether this process may do what reaches out: every such duty asks this first."""
    return standing(database).acts


def require(database: Engine | Connection | Session) -> None:
    """Return if this process may act.

    Raises:
        Unavailable: it stands elsewhere than the database; says where.
    """
    found = standing(database)
    if not found.acts:
        raise Unavailable(found.reason, hint=found.hint)


def record_start(engine: Engine) -> bool:
    """Record the address of this process if the database has none yet; whether it did.

    Called when a worker starts and when the tables are made: later ones are added by a person.
    """
    address = own_address()
    if not address:
        return False
    try:
        with transaction(engine) as session:
            if session.scalar(select(Site.address).limit(1)) is not None:
                return False
            session.add(Site(address=address, first=True))
    except IntegrityError:
        return False  # another start was first
    finally:
        forget()
    return True


def add(session: Session, address: str) -> bool:
    """Let processes at *address*, as it is compared, act too; whether it is new.

    The caller commits, and then calls :func:`forget`.
    """
    if session.get(Site, address) is not None:
        return False
    session.add(Site(address=address))
    session.flush()
    return True


def remove(session: Session, address: str) -> bool:
    """Let processes at *address* act no more; whether they could. As for :func:`add`."""
    return bool(changed(session, delete(Site).where(Site.address == address)))


def forget() -> None:
    """Let this process look anew: what it knows has just changed."""
    _SEEN.forget(installation())


def _read(database: Engine | Connection | Session) -> tuple[str, ...]:
    recorded = select(Site.address).order_by(Site.recorded_at, Site.address)
    if isinstance(database, Session):
        return tuple(database.scalars(recorded))
    with reading(database) as session:
        return tuple(session.scalars(recorded))
