"""A number of every sender at once, to sort by: sums alone, and no object for any of them.

What is shown of a sender is counted by ``tallies``. Here a thousand are put in order, and fifty are
looked at.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, literal_column, select, true, union_all
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, among, sum_of
from smtp_admin.delivery.copies import no_foreign_copy
from smtp_admin.delivery.counted import day_begins
from smtp_admin.delivery.models import IS_OPEN, Counter, Delivery
from smtp_admin.delivery.states import State
from smtp_admin.delivery.tallies import SPANS, systems_senders
from smtp_admin.senders.models import Sender

#: As a ``Scope``, which finds it: the owner, the sender, or both.
Whose = tuple[str | None, int | None]
#: Accepted, failed, and the seconds that those accepted took together.
Sums = tuple[int, int, float]
NOTHING: Sums = (0, 0, 0.0)
_MANY = 200
_READ_AT_ONCE = 250
#: All that is asked of it stands in there. MariaDB would rather look at each mail.
_TURNS = "FORCE INDEX (ix_smtp_admin_delivery_turns)"


def open_of_all(
    session: Session, owners: Collection[str], states: Sequence[State]
) -> dict[Whose, int]:
    """How many mails of each of *owners*, and at each of their senders, are in these states."""
    arms: list[Any] = []
    both = (Delivery.sender_id, Delivery.partner_id)
    theirs = _by_systems(session, Delivery, owners)
    for state in states:
        # The word itself, as the partial indexes have it.
        such = and_(Delivery.state == literal_column(f"'{state}'"), IS_OPEN)
        at_own = and_(Delivery.sender_id == Sender.id, Delivery.partner_id == Sender.partner_id)
        own = (
            select(Sender.id, Sender.partner_id, func.count())
            .join(Delivery, and_(at_own, such))
            .with_hint(Delivery, _TURNS, "mysql")
            .with_hint(Delivery, _TURNS, "mariadb")
            .where(Sender.partner_id != SYSTEM, _of(session, Sender.partner_id, owners))
            .group_by(Sender.id, Sender.partner_id)
        )
        carried = select(*both, func.count()).where(such, *theirs, no_foreign_copy())
        arms += [own, carried.group_by(*both)]
    found: dict[Whose, int] = {}
    for sender_id, partner_id, count in _rows(session, *arms):
        for one in _whose(sender_id, partner_id):
            found[one] = found.get(one, 0) + count
    return found


def last_day_of_all(
    session: Session, owners: Collection[str], moment: datetime
) -> dict[Whose, Sums]:
    """What each of *owners*, and each of their senders, sent in the 24 hours before *moment*."""
    recent = (Counter.span.in_(SPANS), Counter.minute >= day_begins(moment))
    sums = (sum_of(Counter.sent), sum_of(Counter.failed), func.sum(Counter.seconds))
    own = (
        select(Sender.id, Sender.partner_id, *sums)
        .join(
            Counter,
            and_(Counter.sender_id == Sender.id, Counter.partner_id == Sender.partner_id, *recent),
        )
        .where(Sender.partner_id != SYSTEM, _of(session, Sender.partner_id, owners))
        .group_by(Sender.id, Sender.partner_id)
    )
    both = (Counter.sender_id, Counter.partner_id)
    carried = select(*both, *sums).where(*recent, *_by_systems(session, Counter, owners))
    found: dict[Whose, Sums] = {}
    for sender_id, partner_id, sent, failed, seconds in _rows(
        session, own, carried.group_by(*both)
    ):
        for one in _whose(sender_id, partner_id):
            before = found.get(one, NOTHING)
            found[one] = (before[0] + sent, before[1] + failed, before[2] + seconds)
    return found


def _of(session: Session, column: Any, owners: Collection[str]) -> Any:
    """Rows of these owners; of many, everybody's: whoever asks picks out those it may see."""
    return among(session, column, owners) if len(owners) <= _MANY else true()


def _by_systems(
    session: Session, table: type[Counter] | type[Delivery], owners: Collection[str]
) -> tuple[Any, Any]:
    """What the system's senders carry for *owners*, and what never found a sender."""
    mine = _of(session, table.partner_id, owners)
    return among(session, table.sender_id, systems_senders(session)), mine


def _whose(sender_id: int, partner_id: str) -> tuple[Whose, ...]:
    return (partner_id, None), (partner_id, sender_id), (None, sender_id)


def _rows(session: Session, *arms: Any) -> Iterable[Any]:
    return session.connection().execute(union_all(*arms)).yield_per(_READ_AT_ONCE)
