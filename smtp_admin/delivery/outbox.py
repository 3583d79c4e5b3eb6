"""Put mail into the outbox, in the caller's transaction.

Nothing is flushed or committed, and no error is used up inside the caller's transaction: the rows
are plain inserts, and a repeated idempotency key is found by ON CONFLICT. If the caller rolls
back, there was no mail.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.delivery.backlog import check_backlog
from smtp_admin.delivery.doorbell import ring_after_commit
from smtp_admin.delivery.models import URGENT, Message
from smtp_admin.delivery.outgoing import OutgoingMail
from smtp_admin.delivery.rows import Inserted, insert_mails
from smtp_admin.delivery.sandboxed import in_sandbox
from smtp_admin.installation import installation

#: Whose idempotency key it is, and the key.
_Key = tuple[str, str]


def add(session: Session, mail: OutgoingMail) -> str:
    """Queue *mail* and return its public id; with a repeated idempotency key, the first one's.

    Raises:
        QueueFull: the partner has too much waiting; urgent mail is taken all the same.
    """
    return put(session, [mail])[0].public_id


def add_all(session: Session, mails: Sequence[OutgoingMail]) -> list[str]:
    """Queue *mails*, all or none; the public id of each, as :func:`add` gives it.

    Raises:
        QueueFull: as :func:`add`.
    """
    return [one.public_id for one in put(session, mails)]


def put(session: Session, mails: Sequence[OutgoingMail]) -> list[Inserted]:
    """The same, with what became of each: one whose key is taken is not new.

    Raises:
        QueueFull: as :func:`add`.
    """
    sandbox = installation().config.sandbox
    if sandbox is not None:
        mails = [in_sandbox(one, sandbox) for one in mails]
    # The host's own objects stay unflushed: when that happens is the host's affair.
    with session.no_autoflush:
        keys = [_key(one) for one in mails]
        known = _known(session, [key for key in keys if key])
        fresh = _first_of_each(mails, keys, known)
        found = [Inserted(known.get(key, "") if key else "", new=False) for key in keys]
        if fresh:
            check_backlog(session, [mails[number] for number in fresh])
            made = insert_mails(session, [mails[number] for number in fresh])
            for number, one in zip(fresh, made, strict=True):
                if one.new:
                    found[number] = one
        if not all(one.public_id for one in found):
            # Another transaction was faster, or the key is twice among these.
            known = _known(session, [key for key in keys if key], newest=True)
            found = [
                one if one.public_id else Inserted(known[key or ("", "")], new=False)
                for one, key in zip(found, keys, strict=True)
            ]
    for sender_id, urgent in {(one.sender_id, one.priority == URGENT) for one in mails}:
        ring_after_commit(session, sender_id, urgent=urgent)
    return found


def add_of_batch(session: Session, mails: Sequence[OutgoingMail]) -> list[Inserted]:
    """Queue *mails* of batches, each with one recipient: those whose batch has them not yet.

    The limit of the queue is for other mail; a batch has one of its own.
    """
    sandbox = installation().config.sandbox
    if sandbox is not None:
        mails = [in_sandbox(one, sandbox) for one in mails]
    with session.no_autoflush:
        made = insert_mails(session, mails)
    for sender_id in {one.sender_id for one in mails}:
        ring_after_commit(session, sender_id)
    return made


def known_id(session: Session, partner_id: str, idempotency_key: str) -> str | None:
    """The public id of the mail that this partner queued with this key, if there is one."""
    return _known(session, [(partner_id, idempotency_key)]).get((partner_id, idempotency_key))


def _key(mail: OutgoingMail) -> _Key | None:
    return None if mail.idempotency_key is None else (mail.partner_id, mail.idempotency_key)


def _first_of_each(
    mails: Sequence[OutgoingMail], keys: Sequence[_Key | None], known: Iterable[_Key]
) -> list[int]:
    """The positions of those that are not there yet."""
    seen: set[_Key | None] = set(known)
    found = []
    for number in range(len(mails)):
        if keys[number] is None or keys[number] not in seen:
            found.append(number)
            seen.add(keys[number])
    return found


def _known(session: Session, keys: Sequence[_Key], *, newest: bool = False) -> dict[_Key, str]:
    """The mails that were queued with these keys.

    Args:
        newest: also see what was committed after this transaction first looked at the database.
    """
    found: dict[_Key, str] = {}
    for partner_id in {key[0] for key in keys}:
        mine = [key for owner, key in keys if owner == partner_id]
        statement = select(Message.idempotency_key, Message.public_id).where(
            Message.partner_id == partner_id, Message.idempotency_key.in_(mine)
        )
        if newest and session.connection().dialect.name in {"mysql", "mariadb"}:
            # A repeatable read would not see it; a locking one does.
            statement = statement.with_for_update(read=True)
        found |= {(partner_id, str(key)): name for key, name in session.execute(statement)}
    return found


def default_lifetime(priority: int) -> timedelta:
    """How long a mail of this priority may wait: 1 hour if urgent, else 72."""
    return timedelta(hours=1 if priority == URGENT else 72)


def expiry(
    begins: datetime,
    priority: int,
    hours: float | None = None,
    send_at: datetime | None = None,
) -> datetime:
    """When a mail is too old to be sent; *hours* instead of its priority's.

    Args:
        begins: when it is queued, by the database's clock, which ends its life.
        send_at: when its life begins, if that is later.
    """
    lifetime = default_lifetime(priority) if hours is None else timedelta(hours=hours)
    return (begins if send_at is None else max(begins, send_at)) + lifetime
