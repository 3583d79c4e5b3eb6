"""Keep events until a worker applies them, each once however often it is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from smtp_admin.database import database_now
from smtp_admin.events.event import Event
from smtp_admin.events.models import MailEvent

#: Rows of one statement.
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Origin:
    """By which way events came, and whose mail they may be about.

    Attributes:
        name: the same event may come by each way once.
        partner_id: the owner of the sender; only mail that its senders sent is touched.
    """

    name: str
    partner_id: str
    sender_id: int


def keep(session: Session, origin: Origin, events: Sequence[Event]) -> None:
    """Write down those of *events* that are new; the caller commits, and calls a worker."""
    if not events:
        return
    moment = database_now(session)
    unique = {one.identity: one for one in events}
    # In one order everywhere, for who inserts a key waits for whoever was first with it.
    rows = [_row(origin, unique[identity], moment) for identity in sorted(unique)]
    statement = _insert(session.get_bind().dialect.name)
    for start in range(0, len(rows), _AT_ONCE):
        session.execute(statement, rows[start : start + _AT_ONCE])


def _row(origin: Origin, one: Event, moment: Any) -> dict[str, Any]:
    return {
        "origin": origin.name,
        "identity": one.identity,
        "partner_id": origin.partner_id,
        "sender_id": origin.sender_id,
        "kind": one.kind,
        "bounce": one.bounce,
        "recipient": one.recipient[:254],
        "message_id": one.message_id[:255],
        "provider_id": one.provider_id[:255],
        "code": one.code[:12],
        # As a delivery report has it (RFC 3464 section 2.3.6).
        "words": one.words.removeprefix("smtp;").strip()[:500],
        "at": one.at,
        "received_at": moment,
        "next_try_at": moment,
        "state": "waiting",
        "tries": 0,
    }


@lru_cache
def _insert(dialect: str) -> Any:
    table: Any = MailEvent.__table__
    if dialect in {"mysql", "mariadb"}:
        row = mysql.insert(table)
        return row.on_duplicate_key_update(identity=table.c.identity)
    new: Any = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return new.on_conflict_do_nothing(index_elements=["origin", "identity"])
