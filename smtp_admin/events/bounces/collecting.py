"""Read bounce mailboxes, as a worker's duty: one worker at a time for each, by a lease in SQL.

Nothing is open in the database while a mail server is talked to. What a mail says, and that it was
read, is one transaction; so a worker that dies reads that mail again or not at all.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now, transaction
from smtp_admin.errors import InvalidInput, SecretError
from smtp_admin.events.bounces.imap import Account, Mailbox
from smtp_admin.events.bounces.ingesting import call_for_events, take_in
from smtp_admin.events.bounces.mailboxes import Due, account_of
from smtp_admin.events.bounces.signing_in import open_for
from smtp_admin.events.models import BounceMailbox
from smtp_admin.installation import installation
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import ResolvedSender, resolve
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.report import Report

log = logging.getLogger(__name__)

#: How often a worker looks which mailboxes are due.
LOOK_SECONDS = 15.0
_EVERY = timedelta(minutes=1)
#: A reading ends well before another worker may begin one.
_READING_SECONDS = 120.0
_LEASE = timedelta(minutes=5)
_LONGEST_PAUSE = timedelta(hours=1)


#: After so long whoever is due by then is asked for anew.
_LOOK_ENDS_SECONDS = 60.0
#: Owner → when a mailbox of theirs was read last by this process, by its monotonic clock.
_turns: dict[str, float] = {}


def collect(engine: Engine, stopping: Callable[[], bool]) -> int:
    """Read the mailboxes that are due; how many mails were read. Needs an app context.

    Owners take turns: of one with many, at servers that are slow on purpose, nobody waits for more
    than one.
    """
    total, ends = 0, time.monotonic() + _LOOK_ENDS_SECONDS
    with transaction(engine) as session:
        due = _due(session)
    while due and not stopping():
        one = min(due, key=lambda each: _turns.get(each.partner_id, 0.0))
        due.remove(one)
        _turns[one.partner_id] = time.monotonic()
        total += _collect(engine, one, stopping)
        if time.monotonic() >= ends:
            break
    return total


def _due(session: Session) -> list[Due]:
    rows = session.execute(
        select(BounceMailbox.id, Sender.id, Sender.partner_id)
        .join(Sender, Sender.id == BounceMailbox.sender_id)
        .where(
            BounceMailbox.next_read_at <= database_now(session),
            Sender.deleted_at.is_(None),  # its mailbox goes with it
        )
        .order_by(BounceMailbox.next_read_at)
    )
    return [Due(*row) for row in rows]


def _collect(engine: Engine, due: Due, stopping: Callable[[], bool]) -> int:
    lease = uuid4().hex
    try:
        taken = _take(engine, due, lease)
    except SecretError as error:
        _note_failure(engine, due, lease, "auth", error.code, error.message)
        return 0
    if taken is None:
        return 0
    sender, account, validity, last_uid = taken
    mails = events = 0
    overall = Deadline(_READING_SECONDS)
    try:
        mailbox = open_for(engine, installation(), sender, account, overall, Report())
        try:
            if mailbox.validity != validity:
                last_uid = 0  # the server has numbered its mails anew
            for uid in mailbox.after(last_uid):
                if stopping() or overall.passed:
                    break
                kept = _take_mail(engine, due, lease, mailbox, uid)
                if kept is None:
                    return mails  # another has the lease by now
                mails, events = mails + 1, events + kept
                if kept:
                    mailbox.mark(uid)
        finally:
            mailbox.close()
    except SMTPFailure as failure:
        _note_failure(engine, due, lease, failure.step, failure.code, failure.message)
    except (SecretError, InvalidInput) as error:
        _note_failure(engine, due, lease, "token", error.code, error.message)
    else:
        _write(engine, due, lease, lambda now: _after_success(now))
    if events:
        call_for_events()
    return mails


def _take(engine: Engine, due: Due, lease: str) -> tuple[ResolvedSender, Account, int, int] | None:
    """The mailbox, which is ours to read now; ``None`` where another was faster."""
    with transaction(engine) as session:
        moment = database_now(session)
        mine = (BounceMailbox.id == due.id, BounceMailbox.next_read_at <= moment)
        values = {"lease": lease, "next_read_at": moment + _LEASE}
        if not changed(session, update(BounceMailbox).where(*mine).values(values)):
            return None
        row = session.get_one(BounceMailbox, due.id)
        seen = row.validity, row.last_uid
        session.expunge(row)
        owner = session.get_one(Sender, due.sender_id)
        sender = resolve(session, owner, owner.partner_id, owner.key)
    return sender, account_of(row, due.partner_id), *seen


def _take_mail(engine: Engine, due: Due, lease: str, mailbox: Mailbox, uid: int) -> int | None:
    """Keep what one mail says and that it was read; how many events, ``None`` without the lease."""
    content = mailbox.content(uid)
    with transaction(engine) as session:
        values: dict[str, Any] = {"validity": mailbox.validity, "last_uid": uid}
        values["mails"] = BounceMailbox.mails + 1
        mine = (BounceMailbox.id == due.id, BounceMailbox.lease == lease)
        if not changed(session, update(BounceMailbox).where(*mine).values(values)):
            return None
        if content is None:  # somebody deleted it meanwhile
            return 0
        taken = take_in(session, due.partner_id, content)
        if taken.events:
            more = {"events": BounceMailbox.events + taken.events}
            changed(session, update(BounceMailbox).where(*mine).values(more))
        return taken.events


def _after_success(moment: datetime) -> dict[str, Any]:
    return {
        "next_read_at": moment + _EVERY, "last_read_at": moment, "failures": 0,
        "failed_step": "", "failed_code": "", "failed_words": "",
    }  # fmt: skip


def _note_failure(engine: Engine, due: Due, lease: str, step: str, code: str, words: str) -> None:
    log.warning("the bounce mailbox of sender %s was not read: %s at %s", due.sender_id, code, step)
    with transaction(engine) as session:
        failures = session.scalar(select(BounceMailbox.failures).where(BounceMailbox.id == due.id))
    # Wrong logins in a row lock an account.
    refused = step == "auth" or code == "token_refused"
    pause = _LONGEST_PAUSE if refused else _EVERY * 2 ** min(failures or 0, 6)
    _write(
        engine, due, lease,
        lambda moment: {
            "next_read_at": moment + min(pause, _LONGEST_PAUSE),
            "failures": BounceMailbox.failures + 1, "failed_step": step[:20],
            "failed_code": code[:40], "failed_words": words[:500],
        },
    )  # fmt: skip


def _write(
    engine: Engine, due: Due, lease: str, values: Callable[[datetime], dict[str, Any]]
) -> None:
    """Give the lease back, with what came of it, if it is still ours."""
    with transaction(engine) as session:
        mine = (BounceMailbox.id == due.id, BounceMailbox.lease == lease)
        what = {"lease": "", **values(database_now(session))}
        changed(session, update(BounceMailbox).where(*mine).values(what))
