"""The statements of a claim: who sends, what is due, taking it, and loading it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import and_, any_, bindparam, func, or_, select, type_coerce, update

from smtp_admin.clock import sql_now
from smtp_admin.database import UTCDateTime, is_one_of
from smtp_admin.delivery import states
from smtp_admin.delivery.models import IS_QUEUED, TEST_TYPE, URGENT, Delivery, Lane, Message
from smtp_admin.senders.models import Sender
from smtp_admin.suppression.models import Suppression

SENDER = (
    select(Sender, type_coerce(sql_now(), UTCDateTime()).label("moment"))
    .join(Lane, Lane.sender_id == Sender.id)
    .where(Lane.id == bindparam("lane"), Lane.lease == bindparam("our_lease"))
    # The sender's row is the lock under which limits are counted; the lane's keeps a rescuer
    # from taking it for abandoned meanwhile.
    # Not the keys themselves: a host's open transaction that queued mail must hold nobody up.
    .with_for_update(of=(Sender, Lane), key_share=True)
)
_ORDER = (Delivery.priority, Delivery.next_attempt_at, Delivery.id)
_WAITS = (
    Delivery.sender_id == bindparam("lane_sender"),
    IS_QUEUED,
    Delivery.next_attempt_at <= bindparam("moment"),
    or_(Delivery.expires_at.is_(None), Delivery.expires_at > bindparam("moment")),
)
_DUE = (
    select(Delivery.id)
    .where(*_WAITS, Delivery.priority.between(bindparam("from_priority"), bindparam("to_priority")))
    .order_by(*_ORDER)
    .limit(bindparam("most"))
)
#: Test mail goes out all the same, and copies to an archive go where they always do.
SUPPRESSIBLE = and_(
    Delivery.archive.is_(False), Message.is_test.is_(False), Message.type_name != TEST_TYPE
)
#: Asked with the mail itself, so that partners without suppressions cost no further statement.
_HAS_SUPPRESSIONS = (
    select(Suppression.id)
    .where(Suppression.partner_id == Delivery.partner_id)
    .limit(1)
    .scalar_subquery()
    .is_not(None)
)
#: In the order of the fields of :class:`smtp_admin.delivery.claim.Claimed`.
_CLAIMED = (
    Delivery.id,
    Delivery.message_pk,
    Message.public_id,
    Message.type_name,
    Delivery.partner_id,
    Delivery.recipient,
    Delivery.attempts,
    Delivery.releases,
    Delivery.uncertains,
    Delivery.created_at,
    Message.content,
    Message.message_id,
    Message.from_email,
    Message.envelope_from,
    Message.sensitive,
    Message.on_uncertain,
    Delivery.expires_at,
    Delivery.archive,
    Message.notice,
    and_(SUPPRESSIBLE, _HAS_SUPPRESSIONS),
)


def _about_claimed(dialect: str, *columns: Any) -> Any:
    return (
        select(*columns)
        .join_from(Delivery, Message, Message.id == Delivery.message_pk)
        .where(is_one_of(Delivery.id, "ids", dialect))
    )


@lru_cache
def messages_of(dialect: str) -> Any:
    """Everything that sending these deliveries needs."""
    return _about_claimed(dialect, *_CLAIMED)


@lru_cache
def sizes_of(dialect: str) -> Any:
    """The size of the mail of each of these deliveries."""
    return _about_claimed(dialect, Delivery.id, Message.size)


@lru_cache
def total_size(dialect: str) -> Any:
    """What the mails of these deliveries have together."""
    return _about_claimed(dialect, func.sum(Message.size))


def _take(*conditions: Any) -> Any:
    return (
        update(Delivery)
        .where(*conditions)
        .values(state=states.check("queued", "sending"), lease=bindparam("new_lease"))
        .execution_options(synchronize_session=False)
    )


_TAKEN = (Delivery.id, Delivery.priority, Delivery.next_attempt_at)


@dataclass(frozen=True, slots=True)
class Statements:
    """How the first that are due are taken.

    PostgreSQL takes them with one statement. MariaDB cannot update through a limited subquery: the
    rows are locked first. SQLite has its one lock by then, and answers with one value: for each row
    of a result the driver lets go of the interpreter, and the lock is held until it has it again.
    """

    at_once: Any
    locked: Any
    listed: Any


def _statements(due: Any) -> Statements:
    # Materialized, because a subquery with a lock may be run again for every row, and then takes
    # more than its limit. As an array, because a planner without fresh statistics would compare
    # every waiting row with every locked one.
    locked = due.with_for_update(skip_locked=True).cte("due").prefix_with("MATERIALIZED")
    ids: Any = func.array(select(locked.c.id).scalar_subquery())
    first = due.add_columns(Delivery.priority, Delivery.next_attempt_at).subquery()
    row = func.json_array(first.c.priority, first.c.next_attempt_at, first.c.id)
    return Statements(
        at_once=_take(Delivery.id == any_(ids)).returning(*_TAKEN),
        locked=due.with_for_update(skip_locked=True),
        listed=select(func.json_group_array(row)),
    )


@lru_cache
def take_these(dialect: str) -> Any:
    """Take these deliveries, as far as they are still queued."""
    return _take(IS_QUEUED, is_one_of(Delivery.id, "ids", dialect))


OF_ALL = _statements(_DUE)
OF_PARTNER = _statements(_DUE.where(Delivery.partner_id == bindparam("only_partner")))
RETURN_THESE = (
    update(Delivery)
    .where(Delivery.id.in_(bindparam("ids", expanding=True)))
    .values(state=states.check("sending", "queued"), lease=None)
    .execution_options(synchronize_session=False)
)
FIRST_PARTNER = select(func.min(Delivery.partner_id)).where(*_WAITS, Delivery.priority > URGENT)
NEXT_PARTNER = FIRST_PARTNER.where(Delivery.partner_id > bindparam("after"))
