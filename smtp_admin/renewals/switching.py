"""Whom reminders would mail on the day that they are switched on, told before they are."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM
from smtp_admin.renewals import supply
from smtp_admin.renewals.calendar import look_ahead
from smtp_admin.renewals.service import load_all
from smtp_admin.renewals.values import RenewalValues

#: A page is made in a moment; of very many customers it names the first.
_SECONDS = 3.0
_NAMED = 20


@dataclass(slots=True)
class Today:
    """Who gets a mail today if these settings apply from now on.

    Attributes:
        names: of the first customers, in the host's order.
        complete: whether everybody was looked at.
        problem: what the app did wrong, or ``""``.
    """

    names: list[str] = field(default_factory=list)
    count: int = 0
    complete: bool = True
    problem: str = ""

    @property
    def worth_saying(self) -> bool:
        """Whether a person should know before saving."""
        return bool(self.count or self.problem or not self.complete)


def mailed_today(engine: Engine, session: Session, partner_id: str, values: RenewalValues) -> Today:
    """Whom *values* would mail until the day ends in their time zone.

    For the system that includes the customers of every partner without settings of its own.
    """
    found = Today()
    ends = time.monotonic() + _SECONDS
    try:
        for one in _reached_by(session, partner_id):
            left = ends - time.monotonic()
            if left <= 0:
                found.complete = False
                break
            day = look_ahead(engine, one, values, days=1, seconds=left, only_reached=True)
            found.count += day.reached
            found.names += [entry.name for entry in day.entries[: _NAMED - len(found.names)]]
            found.complete = found.complete and day.complete
            found.problem = found.problem or day.problem
    except supply.HostFailedError as error:
        found.complete, found.problem = False, error.message
    return found


def seal(values: RenewalValues) -> str:
    """What a form brings back to show that its author was told about exactly these *values*."""
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def _reached_by(session: Session, partner_id: str) -> Iterator[str]:
    if partner_id != SYSTEM:
        yield partner_id
        return
    own = load_all(session)
    yield from (one for one in supply.partner_ids() if one == SYSTEM or one not in own)
