"""Mails as rows of the outbox: one INSERT for many, past the session's own bookkeeping."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import String, bindparam, insert, literal, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from smtp_admin.database import database_now, is_one_of
from smtp_admin.delivery.held import AS_USUAL, as_held
from smtp_admin.delivery.models import Delivery, Message, address_parts
from smtp_admin.delivery.outgoing import OutgoingMail
from smtp_admin.delivery.public_ids import new_public_ids
from smtp_admin.delivery.recipient_limits import NOT_LIMITED, Allowed
from smtp_admin.delivery.suppressing import kept_back_by, suppressed_of
from smtp_admin.suppression.reading import Suppressed

#: The tables themselves: rows go in as they are.
_MESSAGES: Any = Message.__table__
_DELIVERIES: Any = Delivery.__table__
_ONE_MESSAGE = insert(_MESSAGES)
_SOME_DELIVERIES = insert(_DELIVERIES)


class Inserted(NamedTuple):
    """What became of a mail.

    Attributes:
        new: it is in the tables now; else its idempotency key is taken, or its batch has its
            recipient already.
        kept_back: a limit or a suppression lets none of its recipients have it.
    """

    public_id: str
    new: bool = True
    kept_back: bool = False


def insert_mails(session: Session, mails: Sequence[OutgoingMail]) -> list[Inserted]:
    """Put *mails* into the tables, those that are not there yet."""
    new = new_public_ids(len(mails))
    public_ids = [one.public_id or name for one, name in zip(mails, new, strict=True)]
    allowed = Allowed(session, mails)
    suppressed = suppressed_of(session, mails)
    judged = bool(allowed or suppressed)
    once = any(one.idempotency_key is not None or one.batch_id is not None for one in mails)
    holds = any(one.held for one in mails)
    if len(mails) == 1 and not (once or judged or holds):
        _insert_one(session, mails[0], public_ids[0])
        return [Inserted(public_ids[0])]
    moment = database_now(session)
    connection = session.connection()
    dialect = connection.dialect.name
    deliveries = [_deliveries(one) for one in mails]
    if judged:
        deliveries = [
            _judged(allowed, suppressed, *pair, moment)
            for pair in zip(mails, deliveries, strict=True)
        ]
    kept_back = [all(row.get("finished_at") for row in rows) for rows in deliveries]
    rows = [_message(*pair) for pair in zip(mails, public_ids, strict=True)]
    for row, over in zip(rows, kept_back, strict=True):
        row["created_at"] = moment
        if over and row["sensitive"]:
            row["content"] = b""
    connection.execute(_once(dialect) if once else _ONE_MESSAGE, rows)
    found = connection.execute(_ids(dialect), {"public_ids": public_ids}).all()
    numbers: dict[str, int] = {row.public_id: row.id for row in found}
    # All rows of an INSERT have the same columns.
    usual = {"next_attempt_at": moment} | (AS_USUAL if holds else {})
    ready = [
        usual | row | {"message_pk": numbers[name], "created_at": moment}
        for name, some in zip(public_ids, deliveries, strict=True)
        if name in numbers
        for row in some
    ]
    if ready:
        connection.execute(_SOME_DELIVERIES, ready)
    return [
        Inserted(name, name in numbers, over)
        for name, over in zip(public_ids, kept_back, strict=True)
    ]


def _insert_one(session: Session, mail: OutgoingMail, public_id: str) -> None:
    row = _message(mail, public_id)
    deliveries = _deliveries(mail)
    connection = session.connection()
    if len(deliveries) == 1 and connection.dialect.name == "postgresql":
        one = deliveries[0]
        values = {f"message_{name}": value for name, value in row.items()}
        values |= {f"delivery_{name}": value for name, value in one.items()}
        connection.execute(_both(tuple(row), tuple(one)), values)
        return
    result: Any = connection.execute(_ONE_MESSAGE, row)
    for one in deliveries:
        one["message_pk"] = result.inserted_primary_key[0]
    connection.execute(_SOME_DELIVERIES, deliveries if len(deliveries) > 1 else deliveries[0])


@lru_cache
def _both(message: tuple[str, ...], delivery: tuple[str, ...]) -> Any:
    """An INSERT of a mail with these columns, and of its delivery with those."""
    columns = _MESSAGES.c
    values = {name: bindparam(f"message_{name}", type_=columns[name].type) for name in message}
    made = insert(_MESSAGES).values(values).returning(columns.id).cte("made")
    columns = _DELIVERIES.c
    chosen: dict[str, Any] = {"message_pk": made.c.id}
    for column in columns:
        if column.name in delivery:
            chosen[column.name] = bindparam(f"delivery_{column.name}", type_=column.type)
        elif column.default is not None and column.default.is_scalar:
            chosen[column.name] = literal(column.default.arg, column.type)
    return insert(_DELIVERIES).from_select(list(chosen), select(*chosen.values()))


def _message(mail: OutgoingMail, public_id: str) -> dict[str, Any]:
    return {
        "public_id": public_id,
        "partner_id": mail.partner_id,
        "type_name": mail.type_name,
        "subject": mail.subject[:255],
        "content": mail.content,
        "size": mail.size,
        "message_id": mail.message_id,
        "from_email": mail.from_email,
        "envelope_from": mail.envelope_from,
        "sender_head": mail.sender_head,
        "sensitive": mail.sensitive,
        "notice": mail.notice,
        "is_test": mail.is_test,
        "on_uncertain": mail.on_uncertain,
        "idempotency_key": mail.idempotency_key,
        "batch_id": mail.batch_id,
        "batch_recipient": mail.batch_recipient,
    }


def _deliveries(mail: OutgoingMail) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    copies = not mail.sensitive and wants_copy(mail.archive_to, mail.recipients)
    for recipient in (*mail.recipients, *([mail.archive_to] if copies else [])):
        domain, mailbox = address_parts(recipient)
        row: dict[str, Any] = {
            "sender_id": mail.sender_id,
            "partner_id": mail.partner_id,
            "recipient": recipient,
            "domain": domain,
            "mailbox": mailbox,
            "priority": mail.priority,
            "expires_at": mail.expires_at,
            "archive": len(rows) == len(mail.recipients),
            "batch_id": mail.batch_id,
        }
        if mail.send_at is not None:
            row["next_attempt_at"] = mail.send_at
        if recipient in mail.held:
            row |= as_held()
        rows.append(row)
    return rows


def _judged(
    allowed: Allowed,
    suppressed: Suppressed,
    mail: OutgoingMail,
    rows: list[dict[str, Any]],
    moment: datetime,
) -> list[dict[str, Any]]:
    """*rows* with what suppressions and limits make of them; all have the same columns then."""
    own = []
    for row in rows[: len(mail.recipients)]:
        # What is suppressed counts against no limit.
        stopped = kept_back_by(suppressed, mail, row["recipient"], moment)
        judged = stopped or allowed.columns(mail, row["recipient"], moment)
        # What the sandbox holds stays held; what is kept back is over.
        own.append(judged | row if judged["finished_at"] is None else row | judged)
    if all(row["finished_at"] for row in own):
        return own
    return own + [NOT_LIMITED | row for row in rows[len(mail.recipients) :]]


def wants_copy(archive_to: str, recipients: Iterable[str]) -> bool:
    """Whether an archive is to get a copy of its own: not where it is a recipient already."""
    return bool(archive_to) and archive_to.lower() not in {one.lower() for one in recipients}


@lru_cache
def _once(dialect: str) -> Any:
    """An INSERT that leaves out what is there already."""
    if dialect == "postgresql":
        return postgresql.insert(_MESSAGES).on_conflict_do_nothing()
    if dialect == "sqlite":
        return sqlite.insert(_MESSAGES).on_conflict_do_nothing()
    return mysql.insert(_MESSAGES).on_duplicate_key_update(id=_MESSAGES.c.id)


@lru_cache
def _ids(dialect: str) -> Any:
    mine = is_one_of(_MESSAGES.c.public_id, "public_ids", dialect, String)
    return select(_MESSAGES.c.id, _MESSAGES.c.public_id).where(mine)
