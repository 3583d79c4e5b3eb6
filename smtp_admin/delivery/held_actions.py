"""What a person does with mail that waits in a sandbox, or in a copy of the database.

In small steps, each in a transaction of its own: nobody waits for them, and what is broken off is
simply begun again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now, reading
from smtp_admin.delivery import states
from smtp_admin.delivery.doorbell import listen, ring_after_commit
from smtp_admin.delivery.held import AS_USUAL, IS_HELD
from smtp_admin.delivery.models import IS_OPEN, IS_QUEUED, Delivery, Lane
from smtp_admin.delivery.sensitive import erase_sensitive
from smtp_admin.sandbox_rule import Sandbox
from smtp_admin.steps import step
from smtp_admin.translation import gettext

#: The code of what was dropped.
DROPPED = "sandbox_dropped"
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Counts:
    """What waits.

    Attributes:
        waiting: deliveries that are queued, held ones too.
        held: those that the sandbox holds.
        under_way: those that may have arrived: being sent, or with an unknown outcome.
    """

    waiting: int
    held: int
    under_way: int


def counts(session: Session) -> Counts:
    """How much waits, and how much of it is held."""
    by_state = select(Delivery.state, func.count()).where(IS_OPEN).group_by(Delivery.state)
    rows = {str(state): int(count) for state, count in session.execute(by_state)}
    held = session.scalar(select(func.count()).select_from(Delivery).where(IS_HELD)) or 0
    under_way = rows.get("sending", 0) + rows.get("uncertain", 0)
    return Counts(rows.get("queued", 0), held, under_way)


def release(engine: Engine, sandbox: Sandbox | None) -> int:
    """Queue held mail again, as far as *sandbox* lets it out; how many deliveries."""
    released = 0
    for found in _in_steps(engine, IS_HELD):
        ids = [row.id for row in found if sandbox is None or sandbox.lets_out(row.recipient)]
        with step(engine) as session:
            listen(session)
            released += changed(
                session,
                update(Delivery)
                .where(Delivery.id.in_(ids), IS_HELD)
                .values(next_attempt_at=database_now(session), **AS_USUAL),
            )
            for sender_id in {row.sender_id for row in found}:
                ring_after_commit(session, sender_id)
    return released


def drop_held(engine: Engine) -> int:
    """Cancel what is held; how many deliveries."""
    return _cancel(engine, IS_HELD, gettext("It was held by the sandbox, and cancelled."))


def drop_everything(engine: Engine) -> int:
    """Cancel all that waits in a copied database, and give up what may have arrived; how many.

    What somebody still holds is left alone: then this is no copy, or it was not that long ago.
    """
    words = gettext("It was cancelled, because it waited in a copy of the database.")
    return _cancel(engine, IS_QUEUED, words) + _give_up(engine, words)


def _cancel(engine: Engine, which: ColumnElement[bool], words: str) -> int:
    dropped = 0
    for found in _in_steps(engine, which):
        with step(engine) as session:
            dropped += changed(
                session,
                update(Delivery)
                .where(Delivery.id.in_([row.id for row in found]), which)
                .values(
                    state=states.check("queued", "cancelled"),
                    finished_at=database_now(session),
                    last_code=DROPPED,
                    last_error=words,
                ),
            )
            erase_sensitive(session, {row.message_pk for row in found})
    return dropped


def _give_up(engine: Engine, words: str) -> int:
    """End what may have arrived, and what a worker of the original was just sending."""
    with reading(engine) as session:
        moment = database_now(session)
    nobodys = ~exists().where(Lane.lease == Delivery.lease, Lane.lease_until >= moment)
    unknown = and_(
        IS_OPEN,
        or_(Delivery.state == "uncertain", and_(Delivery.state == "sending", nobodys)),
    )
    states.check("sending", "dead")
    given_up = 0
    for found in _in_steps(engine, unknown):
        with step(engine) as session:
            given_up += changed(
                session,
                update(Delivery)
                .where(Delivery.id.in_([row.id for row in found]), unknown)
                .values(
                    state=states.check("uncertain", "dead"),
                    lease=None,
                    finished_at=func.coalesce(Delivery.finished_at, moment),
                    last_code=DROPPED,
                    last_error=words,
                ),
            )
    return given_up


def _in_steps(engine: Engine, which: ColumnElement[bool]) -> Iterator[list[Any]]:
    after = 0
    while True:
        with reading(engine) as session:
            found = list(
                session.execute(
                    select(Delivery.id, Delivery.message_pk, Delivery.sender_id, Delivery.recipient)
                    .where(which, Delivery.id > after)
                    .order_by(Delivery.id)
                    .limit(_AT_ONCE)
                )
            )
        if not found:
            return
        yield found
        after = found[-1].id
