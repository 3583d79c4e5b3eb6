"""Mails as rows of the outbox: one INSERT for many, past the session's own bookkeeping."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import String, bindparam, insert, literal, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from smtp_admin.database import database_now, is_one_of
from smtp_admin.delivery.held import AS_USUAL, as_held
from smtp_admin.delivery.models import NORMAL, Delivery, Message
from smtp_admin.delivery.public_ids import new_public_ids

#: The tables themselves: rows go in as they are.
_MESSAGES: Any = Message.__table__
_DELIVERIES: Any = Delivery.__table__
_ONE_MESSAGE = insert(_MESSAGES)
_SOME_DELIVERIES = insert(_DELIVERIES)


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """A mail as it goes into the outbox.

    Attributes:
        content: the finished bytes (CRLF); without a From header if ``from_email`` is ``None``.
        recipients: envelope recipients, cleaned; each gets a delivery of its own.
        envelope_from: the envelope sender; ``None`` for the From address.
        sender_head: how many bytes at the front are the sender's headers.
        archive_to: gets a blind copy, unless the mail is sensitive.
        send_at: not before this time (aware); ``None`` for at once.
        expires_at: not after this time (aware).
        on_uncertain: ``resend`` or ``hold``.
        held: those of the recipients whose mail the sandbox holds.
    """

    partner_id: str
    sender_id: int
    type_name: str
    subject: str
    content: bytes
    size: int
    message_id: str
    from_email: str | None
    recipients: Sequence[str]
    priority: int = NORMAL
    sensitive: bool = False
    on_uncertain: str = "resend"
    idempotency_key: str | None = None
    send_at: datetime | None = None
    expires_at: datetime | None = None
    envelope_from: str | None = None
    sender_head: int | None = None
    archive_to: str = ""
    held: Sequence[str] = ()


def insert_mails(session: Session, mails: Sequence[OutgoingMail]) -> list[str | None]:
    """Put *mails* into the tables; the public id of each, ``None`` where its key was taken."""
    public_ids = new_public_ids(len(mails))
    holds = any(one.held for one in mails)
    if len(mails) == 1 and mails[0].idempotency_key is None and not holds:
        _insert_one(session, mails[0], public_ids[0])
        return list(public_ids)
    rows = [_message(*pair) for pair in zip(mails, public_ids, strict=True)]
    moment = database_now(session)
    for row in rows:
        row["created_at"] = moment
    dialect = session.connection().dialect.name
    keyed = any(one.idempotency_key is not None for one in mails)
    session.execute(_once(dialect) if keyed else _ONE_MESSAGE, rows)
    found = session.execute(_ids(dialect), {"public_ids": public_ids}).all()
    numbers: dict[str, int] = {row.public_id: row.id for row in found}
    usual: dict[str, Any] = {"created_at": moment, "next_attempt_at": moment}
    if holds:  # all rows of an INSERT have the same columns
        usual |= AS_USUAL
    deliveries = [
        {"message_pk": numbers[public_id]} | usual | row
        for mail, public_id in zip(mails, public_ids, strict=True)
        if public_id in numbers
        for row in _deliveries(mail)
    ]
    if deliveries:
        session.execute(_SOME_DELIVERIES, deliveries)
    return [one if one in numbers else None for one in public_ids]


def _insert_one(session: Session, mail: OutgoingMail, public_id: str) -> None:
    row = _message(mail, public_id)
    deliveries = _deliveries(mail)
    if len(deliveries) == 1 and session.connection().dialect.name == "postgresql":
        one = deliveries[0]
        values = {f"message_{name}": value for name, value in row.items()}
        values |= {f"delivery_{name}": value for name, value in one.items()}
        session.execute(_both(tuple(row), tuple(one)), values)
        return
    result: Any = session.execute(_ONE_MESSAGE, row)
    for one in deliveries:
        one["message_pk"] = result.inserted_primary_key[0]
    session.execute(_SOME_DELIVERIES, deliveries if len(deliveries) > 1 else deliveries[0])


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
        "on_uncertain": mail.on_uncertain,
        "idempotency_key": mail.idempotency_key,
    }


def _deliveries(mail: OutgoingMail) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    copies = not mail.sensitive and wants_copy(mail.archive_to, mail.recipients)
    for recipient in (*mail.recipients, *([mail.archive_to] if copies else [])):
        row: dict[str, Any] = {
            "sender_id": mail.sender_id,
            "partner_id": mail.partner_id,
            "recipient": recipient,
            "priority": mail.priority,
            "expires_at": mail.expires_at,
            "archive": len(rows) == len(mail.recipients),
        }
        if mail.send_at is not None:
            row["next_attempt_at"] = mail.send_at
        if recipient in mail.held:
            row |= as_held()
        rows.append(row)
    return rows


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
