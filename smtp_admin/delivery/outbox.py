"""Put mail into the outbox, in the caller's transaction.

Nothing is flushed or committed, and no error is used up inside the caller's transaction: the rows
are plain inserts, and a repeated idempotency key is found by ON CONFLICT. If the caller rolls
back, there was no mail.
"""

import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from smtp_admin.clock import now
from smtp_admin.config import Sandbox
from smtp_admin.delivery.doorbell import ring_after_commit
from smtp_admin.delivery.held import as_held
from smtp_admin.delivery.models import IS_OPEN, NORMAL, URGENT, Delivery, Message
from smtp_admin.errors import QueueFull
from smtp_admin.installation import installation
from smtp_admin.sandbox.rewriting import redirected, subject_for

_COUNT_IS_FRESH_SECONDS = 2.0
#: The tables themselves: rows go in as they are, past the session's own bookkeeping.
_MESSAGES: Any = Message.__table__
_DELIVERIES: Any = Delivery.__table__
_PUBLIC_ID = re.compile(r"[0-9a-f]{32}")


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
    """

    partner_id: str
    sender_id: int
    type_name: str
    subject: str
    content: bytes
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


def new_public_id() -> str:
    """An id that sorts by time and that nobody can guess, as 32 letters and digits."""
    milliseconds = int(time.time() * 1000)
    return f"{milliseconds:012x}{uuid.uuid4().hex[:20]}"


def is_public_id(text: str) -> bool:
    """Whether *text* can be the id of a mail; databases refuse some of what addresses carry."""
    return bool(_PUBLIC_ID.fullmatch(text))


def add(session: Session, mail: OutgoingMail) -> str:
    """Queue *mail* and return its public id; with a repeated idempotency key, the first one's.

    Raises:
        QueueFull: the partner has too much waiting; urgent mail is taken all the same.
    """
    sandbox = installation().config.sandbox
    if sandbox is not None:
        mail = _in_sandbox(mail, sandbox)
    # The host's own objects stay unflushed: when that happens is the host's affair.
    with session.no_autoflush:
        if mail.idempotency_key is not None:
            before = _known(session, mail.partner_id, mail.idempotency_key)
            if before is not None:
                return str(before.public_id)
        if mail.priority != URGENT:
            _check_backlog(session, mail)
        public_id = _insert(session, mail)
    ring_after_commit(session, mail.sender_id, urgent=mail.priority == URGENT)
    return public_id


def _in_sandbox(mail: OutgoingMail, sandbox: Sandbox) -> OutgoingMail:
    """*mail* as a sandbox queues it, so that also a worker without one sends it to nobody else.

    No archive gets a copy of it, for nobody gets the mail.
    """
    if not sandbox.redirect:
        return replace(mail, archive_to="")
    content, head = redirected(
        mail.content, mail.recipients, sandbox.redirect, mail.sender_head or 0
    )
    return replace(
        mail,
        content=content,
        sender_head=None if mail.sender_head is None else head,
        subject=subject_for(mail.recipients, mail.subject),
        recipients=[sandbox.redirect],
        archive_to="",
    )


def _insert(session: Session, mail: OutgoingMail) -> str:
    public_id = new_public_id()
    row: dict[str, Any] = {
        "public_id": public_id,
        "partner_id": mail.partner_id,
        "type_name": mail.type_name,
        "subject": mail.subject[:255],
        "content": mail.content,
        "size": len(mail.content),
        "message_id": mail.message_id,
        "from_email": mail.from_email,
        "envelope_from": mail.envelope_from,
        "sender_head": mail.sender_head,
        "sensitive": mail.sensitive,
        "on_uncertain": mail.on_uncertain,
        "idempotency_key": mail.idempotency_key,
    }
    if mail.idempotency_key is None:
        result: Any = session.execute(insert(_MESSAGES), row)
        message_pk = result.inserted_primary_key[0]
    else:
        existing = _insert_once(session, row)
        if existing.public_id != public_id:
            return str(existing.public_id)
        message_pk = existing.id
    for rows in _held_apart(_deliveries(mail, message_pk), installation().config.sandbox):
        session.execute(insert(_DELIVERIES), rows)
    return public_id


def _held_apart(
    rows: list[dict[str, Any]], sandbox: Sandbox | None
) -> Sequence[list[dict[str, Any]]]:
    """*rows*, and in a list of their own those that the sandbox lets nobody have, marked so.

    Scheduled mail is held when its time has come, else that time would be lost.
    """
    if sandbox is None:
        return [rows]
    held, others = [], []
    for row in rows:
        if "next_attempt_at" in row or sandbox.lets_out(row["recipient"]):
            others.append(row)
        else:
            held.append(row | as_held())
    # Rows of one INSERT have the same columns.
    return [some for some in (others, held) if some]


def _deliveries(mail: OutgoingMail, message_pk: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    copies = not mail.sensitive and wants_copy(mail.archive_to, mail.recipients)
    for recipient in (*mail.recipients, *([mail.archive_to] if copies else [])):
        row: dict[str, Any] = {
            "message_pk": message_pk,
            "sender_id": mail.sender_id,
            "partner_id": mail.partner_id,
            "recipient": recipient,
            "priority": mail.priority,
            "expires_at": mail.expires_at,
            "archive": len(rows) == len(mail.recipients),
        }
        if mail.send_at is not None:
            row["next_attempt_at"] = mail.send_at
        rows.append(row)
    return rows


def wants_copy(archive_to: str, recipients: Iterable[str]) -> bool:
    """Whether an archive is to get a copy of its own: not where it is a recipient already."""
    return bool(archive_to) and archive_to.lower() not in {one.lower() for one in recipients}


def _insert_once(session: Session, row: Mapping[str, Any]) -> Any:
    dialect = session.connection().dialect.name
    table = _MESSAGES
    if dialect == "postgresql":
        session.execute(postgresql.insert(table).values(row).on_conflict_do_nothing())
    elif dialect == "sqlite":
        session.execute(sqlite.insert(table).values(row).on_conflict_do_nothing())
    else:
        statement = mysql.insert(table).values(row)
        session.execute(statement.on_duplicate_key_update(id=table.c.id))
    return _known(session, row["partner_id"], row["idempotency_key"], newest=True)


def _known(session: Session, partner_id: str, key: str, *, newest: bool = False) -> Any:
    """The mail that was queued with this key, or ``None``.

    Args:
        newest: also see what was committed after this transaction first looked at the database.
    """
    found = select(Message.id, Message.public_id).where(
        Message.partner_id == partner_id, Message.idempotency_key == key
    )
    if newest and session.connection().dialect.name in {"mysql", "mariadb"}:
        # A repeatable read would not see it; a locking one does.
        found = found.with_for_update(read=True)
    return session.execute(found).first()


def _check_backlog(session: Session, mail: OutgoingMail) -> None:
    # Soft: the number is counted at most every two seconds per process, and in between only
    # what this process adds is known. Counting at every insert would make each one slower.
    here = installation()
    cache = here.backlog
    at, count = cache.get(mail.partner_id, (0.0, 0))
    if time.monotonic() - at > _COUNT_IS_FRESH_SECONDS:
        at, count = time.monotonic(), backlog(session, mail.partner_id)
    limit = here.config.queue_limit
    if count + len(mail.recipients) > limit:
        cache[mail.partner_id] = (at, count)
        raise QueueFull(
            f"{count} mails are waiting already; {limit} is the most.",
            hint="Wait until some have gone out, or ask the platform's operator to raise "
            "SMTP_ADMIN_QUEUE_LIMIT.",
            retry_after=30,
        )
    cache[mail.partner_id] = (at, count + len(mail.recipients))


def backlog(session: Session, partner_id: str) -> int:
    """How many deliveries of *partner_id* are waiting or on their way, without archive copies."""
    waiting = (
        select(func.count())
        .select_from(Delivery)
        .where(
            Delivery.partner_id == partner_id,
            IS_OPEN,
            Delivery.state.in_(("queued", "sending")),
            Delivery.archive.is_(False),
        )
    )
    return session.scalar(waiting) or 0


def default_lifetime(priority: int) -> timedelta:
    """How long a mail of this priority may wait: 1 hour if urgent, else 72."""
    return timedelta(hours=1 if priority == URGENT else 72)


def expiry(priority: int, hours: float | None = None, send_at: datetime | None = None) -> datetime:
    """When a mail is too old to be sent; *hours* instead of its priority's.

    Args:
        send_at: when its life begins, if that is later than now.
    """
    lifetime = default_lifetime(priority) if hours is None else timedelta(hours=hours)
    return max(now(), send_at or now()) + lifetime
