"""Suppress an address, so that mail to it is kept back from now on, and let it have mail again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import among, changed, database_now, transaction
from smtp_admin.database_errors import begin_again
from smtp_admin.delivery.suppressed_mail import suppress_queue, suppress_waiting
from smtp_admin.installation import installation
from smtp_admin.senders.lookups import forget
from smtp_admin.steps import step
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.provider_lists.lifted import Awaited, Lifting, lifted_of, remove_later
from smtp_admin.suppression.provider_lists.table import accounts_of
from smtp_admin.suppression.reading import Found, address_hash
from smtp_admin.suppression.reasons import Reason
from smtp_admin.suppression.writing import delete_suppressions, insert_suppressions, row_of


@dataclass(frozen=True, slots=True)
class Suppressing:
    """What came of it: whether it is new, and how much waiting mail was kept back."""

    new: bool
    kept_back: int


def suppress(
    session: Session,
    partner_id: str,
    address: str,
    reason: Reason,
    *,
    category: str = "",
    detail: str = "",
    mail_id: str = "",
    by: str = "",
) -> Suppressing:
    """Send *address* no more of a partner's mail of a category; the caller commits.

    What waits for it is kept back too. If it is on the list for this reason already, what stands
    there stays, with the address, where only its hash had been kept.

    Args:
        category: ``all``, ``notices`` or the name of a type; the reason's own if left out.
        detail: what a server or a person said.
        mail_id: the public id of the mail after which it came.
        by: who did it, for people.
    """
    row = row_of(
        partner_id, address, reason, category=category, detail=detail, mail_id=mail_id, by=by
    )
    new = insert_suppressions(session, [row]) == 1
    forget(session)
    _name_again(session, [row])
    found = Found(row["category"], reason, row["detail"])
    kept = suppress_waiting(session, partner_id, address, found, database_now(session))
    return Suppressing(new, kept)


def suppress_several(session: Session, rows: Collection[dict[str, Any]]) -> int:
    """The same for *rows* of some owners, each with its address; how many are new.

    All of them are written before any mail is kept back: two who do so at once, with some of the
    same, wait for each other there, and hold nothing yet that the other wants next.
    """
    if not rows:
        return 0
    rows = sorted(rows, key=itemgetter("partner_id", "address_hash", "category", "reason"))
    new = insert_suppressions(session, rows)
    forget(session)
    _name_again(session, rows)
    moment = database_now(session)
    for row in rows:
        found = Found(row["category"], row["reason"], row["detail"])
        suppress_waiting(session, row["partner_id"], row["address"], found, moment)
    return new


def suppress_all(session: Session, partner_id: str, rows: Sequence[dict[str, Any]]) -> int:
    """Put *rows* of a list on a partner's own; how many are new. The caller commits.

    What waits for any of them is kept back too.
    """
    # In one order everywhere: two lists at once wait for each other, and never in a circle.
    rows = sorted(rows, key=itemgetter("address_hash", "category", "reason"))
    new = 0
    for start in range(0, len(rows), _STEP):
        new += insert_suppressions(session, rows[start : start + _STEP])
    forget(session)
    if new:
        suppress_queue(session, partner_id, database_now(session))
    return new


_STEP = 1000


def suppress_in_steps(
    engine: Engine, partner_id: str, rows: Sequence[dict[str, Any]], read_at: datetime
) -> int:
    """The same for a long list of a provider that need not be taken over as a whole.

    Each step is a transaction of its own: nobody else waits for all of it.

    Args:
        read_at: when that began; what was lifted here since stays so, also between two steps.

    Returns:
        How many are new.
    """
    rows = sorted(rows, key=itemgetter("address_hash", "category", "reason"))

    def add(some: Sequence[dict[str, Any]]) -> int:
        with step(engine) as session:
            awaited = Awaited(session, partner_id, read_at)
            return insert_suppressions(session, [row for row in some if not awaited.has(row)])

    new = 0
    for start in range(0, len(rows), _STEP):
        new += begin_again(partial(add, rows[start : start + _STEP]))
    if new:
        with transaction(engine) as session:
            suppress_queue(session, partner_id, database_now(session))
    return new


def _name_again(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Write addresses beside their hashes again: whoever suppresses one anew has named it."""
    named = {(row["partner_id"], row["address_hash"]): row["address"] for row in rows}
    erased = select(Suppression.id, Suppression.partner_id, Suppression.address_hash).where(
        among(session, Suppression.address_hash, sorted({hashed for _, hashed in named})),
        Suppression.address == "",
    )
    for one, *key in session.execute(erased.order_by(Suppression.id)).all():
        address = named.get((key[0], key[1]))
        if address:
            changed(
                session, update(Suppression).where(Suppression.id == one).values(address=address)
            )


def lift(
    session: Session,
    partner_id: str,
    address: str = "",
    *,
    hashed: str = "",
    categories: Collection[str] = (),
    reasons: Collection[str] = (),
) -> int:
    """Let *address* have this partner's mail again; how many rows there were. The caller commits.

    What was kept back meanwhile stays so: each such mail can be sent after all. Workers take it off
    the lists of providers too: here nobody waits for one.

    Args:
        hashed: its hash, where only that is known.
        categories: only these; else all.
        reasons: only what came for these; else all.
    """
    mine = select(Suppression).where(
        Suppression.partner_id == partner_id,
        Suppression.address_hash == (hashed or address_hash(address)),
    )
    if categories:
        mine = mine.where(Suppression.category.in_(categories))
    if reasons:
        mine = mine.where(Suppression.reason.in_(reasons))
    return lift_rows(session, partner_id, session.scalars(mine).all(), address).count


def lift_rows(
    session: Session,
    partner_id: str,
    rows: Sequence[Suppression],
    address: str = "",
    *,
    asks_now: bool = False,
) -> Lifting:
    """Take these rows off a partner's list; the caller commits.

    With them it is written down that they are to leave the lists of providers: whatever happens
    afterwards, that is not forgotten, and no import brings them back meanwhile.

    Args:
        address: of all of them, where the caller knows it.
        asks_now: the caller goes on with ``remove_at_providers``, for a person who waits.
    """
    lifted = tuple(lifted_of(rows, address))
    asked_at = None
    if lifted and installation().config.sandbox is None and accounts_of(session, partner_id):
        asked_at = remove_later(session, partner_id, lifted, asks_now=asks_now)
    count = delete_suppressions(session, [one.id for one in rows])
    return Lifting(count, lifted, asked_at)
