"""Once a day: suppress what the providers of all senders suppress by now.

Whatever one provider answers, or does not, the others are asked all the same. Nothing is open in
the database while one is called; one worker at a time asks for a sender, by a lease in SQL.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from smtp_admin.audit.service import record
from smtp_admin.database import changed, database_now, reading, transaction
from smtp_admin.database_errors import AWAY
from smtp_admin.delivery.provider_suppressions import COMMAND_SECONDS, rows_of
from smtp_admin.delivery.suppressions import suppress_in_steps
from smtp_admin.host import OPERATOR
from smtp_admin.installation import installation
from smtp_admin.sandbox.site import may_act
from smtp_admin.senders.models import Sender
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.session import Dialler
from smtp_admin.suppression.models import ProviderList
from smtp_admin.suppression.provider_lists.lifted import Awaited
from smtp_admin.suppression.provider_lists.reading import Reading, read_lists
from smtp_admin.suppression.provider_lists.table import OfSender, accounts_of

log = logging.getLogger(__name__)

#: How often a worker looks which are due.
LOOK_SECONDS = 600.0
_EVERY = timedelta(days=1)
#: After a failure it is tried sooner, then ever later; a key that may not is no failure of theirs.
_SOONEST = timedelta(hours=1)
#: An import ends well before another worker may begin one.
_LEASE = timedelta(minutes=20)


def import_lists(engine: Engine, stopping: Callable[[], bool]) -> int:
    """Import what is due; how many lists were asked for. Needs an app context."""
    config = installation().config
    if not config.import_suppressions or config.sandbox is not None or not may_act(engine):
        return 0
    count = 0
    for partner_id, one in _due(engine):
        if stopping():
            break
        lease = _take(engine, one)
        if not lease:
            continue
        count += 1
        try:
            _import(engine, partner_id, one, lease)
        except AWAY:
            raise
        except Exception as error:  # the other providers must be asked
            log.exception("importing the list of %s failed", one.account.provider)
            trouble = f"An unexpected error ({type(error).__name__}); it was logged."
            _note(engine, one, lease, Reading((), trouble=trouble), addresses=0, new=0)
    return count


def _due(engine: Engine) -> Iterator[tuple[str, OfSender]]:
    """The accounts that are due, with their owners; each is looked up when its turn comes."""
    with reading(engine) as session:
        moment = database_now(session)
        rows = session.execute(
            select(Sender.partner_id, Sender.id)
            .outerjoin(ProviderList, ProviderList.sender_id == Sender.id)
            .where(
                Sender.deleted_at.is_(None),
                or_(ProviderList.id.is_(None), ProviderList.next_import_at <= moment),
            )
            .order_by(Sender.partner_id)
        ).all()
    due: dict[str, set[int]] = defaultdict(set)
    for partner_id, sender_id in rows:
        due[partner_id].add(sender_id)
    for partner_id, senders in due.items():
        with reading(engine) as session:
            accounts = accounts_of(session, partner_id)
        for one in accounts:
            if one.sender.sender_id in senders:
                yield partner_id, one


def _take(engine: Engine, one: OfSender) -> str:
    """A lease of this sender's list; empty where another worker was faster."""
    sender_id, lease = one.sender.sender_id, uuid4().hex
    try:
        with transaction(engine) as session:
            moment = database_now(session)
            values = {"lease": lease, "next_import_at": moment + _LEASE}
            mine = select(ProviderList.id).where(ProviderList.sender_id == sender_id)
            if session.scalar(mine) is None:
                name = one.account.provider
                session.add(ProviderList(sender_id=sender_id, provider=name, **values))
                return lease
            free = (ProviderList.sender_id == sender_id, ProviderList.next_import_at <= moment)
            return (
                lease if changed(session, update(ProviderList).where(*free).values(values)) else ""
            )
    except IntegrityError:  # two looked at once, and both found none
        return ""


def _import(engine: Engine, partner_id: str, one: OfSender, lease: str) -> None:
    dialler = Dialler.from_config(installation().config)
    with reading(engine) as session:
        begun = database_now(session)
    found = read_lists(one.account, dialler, Deadline(COMMAND_SECONDS))
    with reading(engine) as session:
        awaited = Awaited(session, partner_id, begun)
    rows = [row for row in rows_of(partner_id, one.account, found) if not awaited.has(row)]
    new = suppress_in_steps(engine, partner_id, rows, begun)
    if new:
        with transaction(engine) as session:
            detail = f"{one.account.provider}: {new} new of {len(rows)}"
            record(session, OPERATOR, partner_id, "suppression.imported", detail)
    if found.trouble:
        level = logging.INFO if found.refused else logging.WARNING
        log.log(level, "a suppression list was not imported as a whole: %s", found.trouble)
    _note(engine, one, lease, found, addresses=len(rows), new=new)


def _note(
    engine: Engine, one: OfSender, lease: str, found: Reading, *, addresses: int, new: int
) -> None:
    """Write down what came of it, and when it is tried again, if the lease is still ours."""
    with transaction(engine) as session:
        moment = database_now(session)
        mine = (ProviderList.sender_id == one.sender.sender_id, ProviderList.lease == lease)
        before = session.scalar(select(ProviderList.failures).where(*mine)) or 0
        failed = bool(found.trouble) and not found.refused
        values: dict[str, Any] = {
            "lease": "",
            "provider": one.account.provider,
            "failures": before + 1 if failed else 0,
            "refused": found.refused,
            "trouble": found.trouble[:500],
            "next_import_at": moment + (_later(before) if failed else _EVERY),
        }
        if found.listed or not found.trouble:
            values |= {"imported_at": moment, "addresses": addresses, "new": new}
        changed(session, update(ProviderList).where(*mine).values(values))


def _later(failures: int) -> timedelta:
    return min(_SOONEST * (1 << min(failures, 10)), _EVERY)


def imports_of(session: Session, sender_ids: Collection[int]) -> dict[int, ProviderList]:
    """Id of a sender → what is known of the imports of its list."""
    mine = select(ProviderList).where(ProviderList.sender_id.in_(sender_ids))
    return {one.sender_id: one for one in session.scalars(mine)}
