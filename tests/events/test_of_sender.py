"""Who changes a sender's webhook or mailbox has what others left, and waits for who does already.

That the lock is needed shows on databases that let several write at a time: one holds the sender,
another begins, and only once the database says that it waits does the first commit.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, func, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import transaction
from smtp_admin.errors import Conflict
from smtp_admin.events.bounces import mailboxes
from smtp_admin.events.bounces.imap import Account
from smtp_admin.events.models import BounceMailbox, Webhook
from smtp_admin.events.of_sender import of_sender
from smtp_admin.events.webhooks import turn_on
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from smtp_admin.senders.revisions import delete_sender
from tests.app import ADMIN, HostApp
from tests.delivery.conftest import NewHost, shared_database
from tests.patience import SECONDS
from tests.test_beginning_again import until_it_waits

__all__ = ["shared_database"]

ACCOUNT = Account("imap.acme.example", 993, "ssl", "x", "secret")


def save(session: Session, sender: ResolvedSender) -> None:
    mailboxes.save(session, sender, ACCOUNT, ADMIN)


def add(session: Session, sender: ResolvedSender) -> None:
    turn_on(session, sender, "postmark", ADMIN)


CHANGES: dict[str, tuple[type[Any], Callable[[Session, ResolvedSender], None]]] = {
    "mailbox": (BounceMailbox, save), "webhook": (Webhook, add),
}  # fmt: skip


@pytest.fixture
def shared(opened: NewHost, shared_database: str) -> Iterator[HostApp]:
    """A host on a database where several write at a time."""
    host = opened(uri=shared_database)
    yield host
    host.db.session.rollback()


def meanwhile(
    host: HostApp, first: Callable[[Session], None], second: Callable[[Session, Any], None]
) -> str:
    """What *second* is told that begins before *first* commits; empty where it is done."""

    def other() -> str:
        with host.app.app_context():
            session = host.db.session()
            try:
                second(session, load_sender(session, "acme"))
                session.commit()
            except Conflict as error:
                session.rollback()
                return error.message
            return ""

    session = host.db.session()
    with ThreadPoolExecutor(1) as thread:
        first(session)
        answer = thread.submit(other)
        until_it_waits(host.db.engine)
        session.commit()
        return answer.result(SECONDS)


@pytest.mark.parametrize("name", CHANGES)
def test_the_second_of_two_that_add_one_sees_the_first(shared: HostApp, name: str) -> None:
    """There is no row yet that the second could wait at: without the sender's it would add one."""
    kind, change = CHANGES[name]
    sender = shared.save_sender()
    told = meanwhile(shared, lambda session: change(session, sender), change)
    assert bool(told) == (name == "webhook"), "a mailbox is changed, a webhook is there already"
    assert shared.db.session.scalar(select(func.count()).select_from(kind)) == 1


@pytest.mark.parametrize("name", CHANGES)
def test_who_adds_one_hears_that_the_sender_was_just_deleted(shared: HostApp, name: str) -> None:
    kind, change = CHANGES[name]
    sender = shared.save_sender()
    told = meanwhile(shared, lambda session: delete_sender(session, sender, ADMIN), change)
    assert told == "This sender no longer exists. Nothing was changed."
    assert shared.db.session.scalar(select(func.count()).select_from(kind)) == 0


@pytest.mark.parametrize("name", CHANGES)
def test_the_sender_is_locked_once(host: HostApp, name: str) -> None:
    locks = list[str]()

    def look(_connection: Any, statement: Any, *_: Any) -> None:
        locked = getattr(statement, "_for_update_arg", None) is not None
        if locked and Sender.__table__ in statement.get_final_froms():
            locks.append(str(statement))

    sender, session = host.save_sender(), host.db.session()
    event.listen(host.db.engine, "before_execute", look)
    CHANGES[name][1](session, sender)
    event.remove(host.db.engine, "before_execute", look)
    assert len(locks) == 1, locks


def test_who_changes_one_has_what_others_left(host: HostApp) -> None:
    sender = host.save_sender()
    session = host.db.session()
    add(session, sender)
    session.commit()
    read = of_sender(session, Webhook, sender.sender_id)
    assert read is not None
    assert read.bad == 0
    with transaction(host.db.engine) as other:
        other.execute(update(Webhook).values(bad=3))
    seen = of_sender(session, Webhook, sender.sender_id)
    assert seen is not None
    assert seen.bad == 0, "as this session has it"
    now_there = of_sender(session, Webhook, sender.sender_id, to_change=True)
    assert now_there is not None
    assert now_there.bad == 3
