"""Take what was lifted here off the lists of providers too: by a worker, until each said yes.

Recipients who subscribe again wait for nobody, and see nothing of it. A provider that does not
answer is asked again, ever later; one whose partner's provider is in trouble delays no other's.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now, reading, transaction
from smtp_admin.database_errors import AWAY
from smtp_admin.installation import installation
from smtp_admin.sandbox.site import may_act
from smtp_admin.suppression.models import ProviderRemoval
from smtp_admin.suppression.provider_lists.lifted import Lifted
from smtp_admin.suppression.provider_lists.removing import AtProvider, ask_providers
from smtp_admin.suppression.reading import suppressions_of

log = logging.getLogger(__name__)

#: How often a worker looks whether something waits.
LOOK_SECONDS = 10.0
#: When it is tried again; after the last time it is given up, and people are told.
_AGAIN = tuple(timedelta(minutes=one) for one in (1, 5, 30, 120, 12 * 60, 24 * 60))
#: Nobody else takes it meanwhile: all providers of a partner take ten seconds.
_LEASE = timedelta(minutes=2)
#: What is over is kept as long as an import that began before may last, and what was given up so
#: long that people see it.
_DONE_KEPT, _TOLD = timedelta(hours=1), timedelta(days=7)


def remove_waiting(engine: Engine, stopping: Callable[[], bool]) -> int:
    """Take off what is due; how many addresses. Needs an app context."""
    if installation().config.sandbox is not None or not may_act(engine):
        return 0
    _forget(engine)
    count = 0
    while not stopping() and (taken := _take(engine)):
        count += 1
        try:
            trouble = _remove(engine, taken)
        except AWAY:
            raise
        except Exception as error:  # what others lifted must not wait for it
            log.exception("removing a lifted address of partner %r failed", taken[0].partner_id)
            trouble = f"An unexpected error ({type(error).__name__}); it was logged."
        with transaction(engine) as session:
            _write(session, taken, trouble)
            if trouble:
                _let_others_go_first(session, taken[0].partner_id)
    return count


def _take(engine: Engine) -> Sequence[ProviderRemoval]:
    """What is due of one address of one partner, which no other worker takes meanwhile."""
    with transaction(engine) as session:
        moment = database_now(session)
        due = ProviderRemoval.next_try_at <= moment
        first = session.scalars(
            select(ProviderRemoval).where(due).order_by(ProviderRemoval.next_try_at).limit(1)
        ).first()
        if first is None:
            return ()
        mine = (
            due,
            ProviderRemoval.partner_id == first.partner_id,
            ProviderRemoval.address_hash == first.address_hash,
        )
        ids = session.scalars(
            select(ProviderRemoval.id).where(*mine).order_by(ProviderRemoval.id)
            .with_for_update(skip_locked=True)
        ).all()  # fmt: skip
        which = ProviderRemoval.id.in_(ids)
        changed(session, update(ProviderRemoval).where(which).values(next_try_at=moment + _LEASE))
        rows = select(ProviderRemoval).where(which).execution_options(populate_existing=True)
        found = session.scalars(rows).all()
        session.expunge_all()
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


def _write(session: Session, taken: Sequence[ProviderRemoval], trouble: str) -> None:
    moment = database_now(session)
    for one in taken:
        later = _AGAIN[one.tries] if trouble and one.tries < len(_AGAIN) else None
        # What was asked for anew meanwhile stands as it is.
        mine = (ProviderRemoval.id == one.id, ProviderRemoval.asked_at == one.asked_at)
        values = {
            "tries": one.tries + 1,
            "next_try_at": moment + later if later else None,
            "done_at": None if trouble else moment,
            "trouble": trouble[:500],
        }
        changed(session, update(ProviderRemoval).where(*mine).values(values))
        if trouble and later is None:
            log.warning("a lifted address of partner %r stays at its provider", one.partner_id)


def _let_others_go_first(session: Session, partner_id: str) -> None:
    """What else this partner has is due a little later: its provider may be away."""
    moment = database_now(session)
    mine = (ProviderRemoval.partner_id == partner_id, ProviderRemoval.next_try_at <= moment)
    changed(session, update(ProviderRemoval).where(*mine).values(next_try_at=moment + _AGAIN[0]))


def _forget(engine: Engine) -> None:
    with transaction(engine) as session:
        moment = database_now(session)
        done = ProviderRemoval.done_at < moment - _DONE_KEPT
        changed(session, delete(ProviderRemoval).where(done))
        given_up = (
            ProviderRemoval.next_try_at.is_(None), ProviderRemoval.done_at.is_(None),
            ProviderRemoval.asked_at < moment - _TOLD,
        )  # fmt: skip
        changed(session, delete(ProviderRemoval).where(*given_up))


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
