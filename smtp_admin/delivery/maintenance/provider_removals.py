"""Take what was lifted here off the lists of providers too: by a worker, until each said yes.

Recipients who subscribe again wait for nobody, and see nothing of it. A provider that does not
answer is asked again, ever later. Partners take turns: neither who has much to be taken off, nor
whose provider is in trouble, delays what others have.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import ColumnElement, Delete, Engine, Update, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now, reading, transaction
from smtp_admin.database_errors import AWAY, begin_again
from smtp_admin.installation import Kept, installation
from smtp_admin.sandbox.site import may_act
from smtp_admin.steps import owner_after, step
from smtp_admin.suppression.models import ProviderRemoval
from smtp_admin.suppression.provider_lists.lifted import AT_ONCE, LEASE, ORDER, Lifted, held
from smtp_admin.suppression.provider_lists.removing import AtProvider, ask_providers
from smtp_admin.suppression.reading import suppressions_of

log = logging.getLogger(__name__)

#: How often a worker looks whether something waits.
LOOK_SECONDS = 10.0
#: When it is tried again; after the last time it is given up, and people are told.
_AGAIN = tuple(timedelta(minutes=one) for one in (1, 5, 30, 120, 12 * 60, 24 * 60))
#: Addresses of one round; then it is looked anew whether this process may go on.
MOST_AT_ONCE = 500
#: What is over is kept as long as an import that began before may last, and what was given up so
#: long that people see it.
_DONE_KEPT, _TOLD = timedelta(hours=1), timedelta(days=7)


def remove_waiting(engine: Engine, stopping: Callable[[], bool]) -> int:
    """Take off what is due; how many addresses. Needs an app context."""
    if installation().config.sandbox is not None or not may_act(engine):
        return 0
    _forget(engine)
    turn = _TURN.of(installation())
    count = 0
    while (
        count < MOST_AT_ONCE
        and not stopping()
        and (taken := begin_again(partial(_take, engine, turn)))
    ):
        count += 1
        try:
            trouble = _remove(engine, taken)
        except AWAY:
            raise
        except Exception as error:  # what others lifted must not wait for it
            log.exception("removing a lifted address of partner %r failed", taken[0].partner_id)
            trouble = f"An unexpected error ({type(error).__name__}); it was logged."
        begin_again(partial(_write, engine, taken, trouble))
        if trouble:
            _let_others_go_first(engine, taken[0].partner_id)
    return count


@dataclass(slots=True)
class _Turn:
    """Whose turn it was last, also in the round before."""

    last: str | None = None


_TURN = Kept[_Turn](lambda _: _Turn())


def _take(engine: Engine, turn: _Turn) -> Sequence[ProviderRemoval]:
    """What is due of one address of the next partner, which no other worker takes meanwhile."""
    with transaction(engine) as session:
        moment = database_now(session)
        due = ProviderRemoval.next_try_at <= moment
        owner = owner_after(session, turn.last, ProviderRemoval.partner_id, due)
        theirs = (due, ProviderRemoval.partner_id == owner)
        oldest = select(ProviderRemoval.address_hash).where(*theirs)
        oldest = oldest.order_by(ProviderRemoval.next_try_at).limit(1)
        hashed = session.scalar(oldest)
        if hashed is None:
            return ()
        which = ProviderRemoval.id.in_(
            held(session, *theirs, ProviderRemoval.address_hash == hashed)
        )
        changed(session, update(ProviderRemoval).where(which).values(next_try_at=moment + LEASE))
        rows = select(ProviderRemoval).where(which).order_by(*ORDER)
        found = session.scalars(rows).all()
        session.expunge_all()
    turn.last = owner
    return found


def _remove(engine: Engine, taken: Sequence[ProviderRemoval]) -> str:
    """Ask the providers; why it did not all go well, or nothing."""
    partner_id, address = taken[0].partner_id, taken[0].address
    with reading(engine) as session:
        again = {
            (one.category, one.reason) for one in suppressions_of(session, partner_id, address)
        }
    # Whoever changed their mind meanwhile keeps what stands at the provider.
    wanted = [one for one in taken if (one.category, one.reason) not in again]
    lifted = [Lifted(one.address, one.category, one.reason) for one in wanted]
    done: tuple[AtProvider, ...] = ()
    if lifted:
        with Session(engine) as own:
            done = ask_providers(own, partner_id, lifted)
    return " ".join(one.message for one in done if one.status not in {"removed", "absent"})


def _write(engine: Engine, taken: Sequence[ProviderRemoval], trouble: str) -> None:
    with transaction(engine) as session:
        moment = database_now(session)
        for one in taken:
            later = _later(one) if trouble else None
            # What was asked for anew meanwhile stands as it is.
            mine = (ProviderRemoval.id == one.id, ProviderRemoval.asked_at == one.asked_at)
            values = {
                "tries": one.tries + 1,
                "next_try_at": moment + later if later else None,
                "done_at": None if trouble else moment,
                "trouble": trouble[:500],
            }
            changed(session, update(ProviderRemoval).where(*mine).values(values))
    if trouble and any(_later(one) is None for one in taken):
        log.warning("a lifted address of partner %r stays at its provider", taken[0].partner_id)


def _later(one: ProviderRemoval) -> timedelta | None:
    """After how long it is tried again, if this time failed too; ``None`` for never."""
    return _AGAIN[one.tries] if one.tries < len(_AGAIN) else None


def _let_others_go_first(engine: Engine, partner_id: str) -> None:
    """What else this partner has is due a little later: its provider may be away."""
    with reading(engine) as session:
        moment = database_now(session)
    mine = (ProviderRemoval.partner_id == partner_id, ProviderRemoval.next_try_at <= moment)
    _to_all(engine, mine, update(ProviderRemoval).values(next_try_at=moment + _AGAIN[0]))


def _forget(engine: Engine) -> None:
    with reading(engine) as session:
        moment = database_now(session)
    done = ProviderRemoval.done_at < moment - _DONE_KEPT
    given_up = and_(
        ProviderRemoval.next_try_at.is_(None), ProviderRemoval.done_at.is_(None),
        ProviderRemoval.asked_at < moment - _TOLD,
    )  # fmt: skip
    _to_all(engine, (or_(done, given_up),), delete(ProviderRemoval))


def _to_all(engine: Engine, which: Sequence[ColumnElement[bool]], act: Update | Delete) -> None:
    """Do *act* to all such rows that nobody else holds just now, some at a time."""

    def act_once() -> int:
        with step(engine) as session:
            ids = held(session, *which, most=AT_ONCE)
            if ids:
                changed(session, act.where(ProviderRemoval.id.in_(ids)))
            return len(ids)

    while begin_again(act_once):
        pass


def stuck_of(session: Session, partner_id: str) -> Sequence[ProviderRemoval]:
    """What was lifted here and stands, or may stand, on a provider's list; the newest first."""
    mine = (
        ProviderRemoval.partner_id == partner_id,
        ProviderRemoval.done_at.is_(None),
        ProviderRemoval.trouble != "",
    )
    newest = select(ProviderRemoval).where(*mine).order_by(ProviderRemoval.id.desc())
    return session.scalars(newest.limit(MOST_STUCK)).all()


#: So many are shown.
MOST_STUCK = 20
