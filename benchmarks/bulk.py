"""Rows by the hundred thousand, written by the database itself."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Engine,
    Integer,
    LargeBinary,
    String,
    and_,
    case,
    cast,
    func,
    insert,
    literal,
    select,
)

from benchmarks.mail import RAW, RECIPIENT, SENDER
from smtp_admin.clock import now
from smtp_admin.database import UTCDateTime
from smtp_admin.delivery.models import NORMAL, Counter, Delivery, Message, address_parts
from smtp_admin.senders.models import Sender

_STEP = 10_000
_DIGITS = 31
#: What finished mail is spread over.
_PAST = timedelta(days=5)
_ONE_DEAD_IN = 100
_DOMAIN, _MAILBOX = address_parts(RECIPIENT)


def partner_ids(count: int) -> list[str]:
    """The partners that :func:`fill` writes for."""
    return [f"p{number}" for number in range(count)]


def fill(
    engine: Engine, count: int, partners: int, *, finished: bool, content: bytes = RAW
) -> None:
    """Write *count* mails, in turn for each of *partners*, whose senders must be there.

    Args:
        finished: sent (and one in a hundred dead) in the last days; else due now.
        content: of each mail.
    """
    kind = "a" if finished else "b"
    for first in range(0, count, _STEP):
        last = min(first + _STEP, count) - 1
        age = _PAST * (1 - (last + 1) / count) if finished else timedelta()
        with engine.begin() as connection:
            connection.execute(_messages(kind, first, last, partners, age, content))
            connection.execute(_deliveries(kind, first, last, age, finished=finished))
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _messages(
    kind: str, first: int, last: int, partners: int, age: timedelta, content: bytes
) -> Any:
    numbers = select(literal(first, Integer).label("i")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < last))
    number = cast(numbers.c.i, String)
    values: dict[str, Any] = {
        # The same length for all, so that they sort as numbers do.
        "public_id": literal(kind)
        + func.substr(literal("0" * _DIGITS) + number, func.length(number) + 1),
        "partner_id": literal("p") + cast(numbers.c.i % partners, String),
        "type_name": literal("message"),
        "subject": literal("x ") + number,
        "content": literal(content, LargeBinary),
        "size": literal(len(content)),
        "message_id": literal("<") + number + literal("@bench.example>"),
        "from_email": literal(SENDER),
        "created_at": literal(now() - age, UTCDateTime),
    }
    return insert(Message).from_select(list(values), select(*values.values()))


def _deliveries(kind: str, first: int, last: int, age: timedelta, *, finished: bool) -> Any:
    moment = literal(now() - age, UTCDateTime)
    values: dict[str, Any] = {
        "message_pk": Message.id,
        "sender_id": Sender.id,
        "partner_id": Message.partner_id,
        "recipient": literal(RECIPIENT),
        "domain": literal(_DOMAIN),
        "mailbox": literal(_MAILBOX),
        "state": literal("queued"),
        "priority": literal(NORMAL),
        "created_at": moment,
        "next_attempt_at": moment,
    }
    if finished:
        values |= {
            "state": case((Message.id % _ONE_DEAD_IN == 0, "dead"), else_="sent"),
            "finished_at": moment,
            "last_reply": literal("250 2.0.0 Ok"),
        }
    source = (
        select(*values.values())
        .join(Sender, and_(Sender.partner_id == Message.partner_id, Sender.key == ""))
        .where(Message.public_id.between(_public_id(kind, first), _public_id(kind, last)))
        .order_by(Message.id)
    )
    return insert(Delivery).from_select(list(values), source)


def count_up(engine: Engine, moments: Sequence[datetime]) -> None:
    """A counter's row of each sender for each of these minutes: a mail accepted in two seconds."""
    table: Any = Counter.__table__
    senders = select(Sender.id, Sender.partner_id)
    for moment in moments:
        values: dict[str, Any] = {
            "span": literal(1), "minute": literal(moment, UTCDateTime), "sent": literal(1),
            "failed": literal(0), "dead": literal(0), "seconds": literal(2.0),
        }  # fmt: skip
        rows = senders.add_columns(*values.values())
        with engine.begin() as connection:
            connection.execute(
                insert(table).from_select(["sender_id", "partner_id", *values], rows)
            )


def _public_id(kind: str, number: int) -> str:
    return f"{kind}{number:0{_DIGITS}}"


def add_senders(host: Any, ids: Sequence[str], port: int, **values: Any) -> None:
    """A sender of its own for each of these partners; needs the app's context."""
    for partner_id in ids:
        host.save_sender(partner_id, port=port, **values)
