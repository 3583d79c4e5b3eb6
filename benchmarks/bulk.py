"""Rows by the hundred thousand, written by the database itself."""

from collections.abc import Sequence
from dataclasses import dataclass
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

from benchmarks.mail import RAW, SENDER
from smtp_admin.clock import now
from smtp_admin.database import UTCDateTime
from smtp_admin.delivery.models import NORMAL, Counter, Delivery, Message
from smtp_admin.senders.models import Sender

_STEP = 10_000
_DIGITS = 19
#: What finished mail is spread over.
_PAST = timedelta(days=5)
_ONE_DEAD_IN = 100
_DOMAINS, _MAILBOXES = 500, 100_000
#: A type of which there are few.
RARE_TYPE, _ONE_RARE_IN = "password_reset", 20_011


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
        step = _Step(kind, first, last, now() - age)
        with engine.begin() as connection:
            connection.execute(_messages(step, partners, content))
            connection.execute(_deliveries(step, finished=finished))
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


@dataclass(frozen=True)
class _Step:
    """Mails with these numbers, all queued at one moment."""

    kind: str
    first: int
    last: int
    moment: datetime

    @property
    def start(self) -> str:
        """What their ids begin with: their time, as the real ones."""
        return f"{int(self.moment.timestamp() * 1000):012x}{self.kind}"

    def public_id(self, number: int) -> str:
        """The id of one of them."""
        return f"{self.start}{number:0{_DIGITS}}"


def _messages(step: _Step, partners: int, content: bytes) -> Any:
    numbers = select(literal(step.first, Integer).label("i")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < step.last))
    number = cast(numbers.c.i, String)
    values: dict[str, Any] = {
        # The same length for all, so that they sort as numbers do.
        "public_id": literal(step.start)
        + func.substr(literal("0" * _DIGITS) + number, func.length(number) + 1),
        "partner_id": literal("p") + cast(numbers.c.i % partners, String),
        "type_name": _type_of(numbers.c.i) if step.kind == "a" else literal("message"),
        "subject": literal("x ") + number,
        "content": literal(content, LargeBinary),
        "size": literal(len(content)),
        "message_id": literal("<") + number + literal("@bench.example>"),
        "from_email": literal(SENDER),
        "created_at": literal(step.moment, UTCDateTime),
    }
    return insert(Message).from_select(list(values), select(*values.values()))


def _type_of(number: Any) -> Any:
    rare = (number % _ONE_RARE_IN == 0, RARE_TYPE)
    return case(rare, (number % 10 == 0, "renewal"), else_="message")


def _deliveries(step: _Step, *, finished: bool) -> Any:
    moment = literal(step.moment, UTCDateTime)
    # Half of it goes to one domain, as mail does.
    many = case((Message.id % 2 == 0, "big"), else_=cast(Message.id % _DOMAINS, String))
    mailbox = literal("p") + cast(Message.id % _MAILBOXES, String)
    domain = literal("d") + many + literal(".example")
    values: dict[str, Any] = {
        "message_pk": Message.id,
        "sender_id": Sender.id,
        "partner_id": Message.partner_id,
        "recipient": mailbox + literal("@") + domain,
        "domain": domain,
        "mailbox": mailbox,
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
        .where(Message.public_id.between(step.public_id(step.first), step.public_id(step.last)))
        .order_by(Message.id)
    )
    return insert(Delivery).from_select(list(values), source)


def count_up(engine: Engine, moments: Sequence[datetime], span: int = 1, sent: int = 1) -> None:
    """A counter's row of each sender for *span* minutes from each of *moments*.

    Args:
        sent: how many mails were accepted in each, in two seconds.
    """
    table: Any = Counter.__table__
    senders = select(Sender.id, Sender.partner_id)
    for moment in moments:
        values: dict[str, Any] = {
            "span": literal(span), "minute": literal(moment, UTCDateTime), "sent": literal(sent),
            "failed": literal(0), "dead": literal(0), "seconds": literal(2.0 * sent),
        }  # fmt: skip
        rows = senders.add_columns(*values.values())
        with engine.begin() as connection:
            connection.execute(
                insert(table).from_select(["sender_id", "partner_id", *values], rows)
            )


def add_senders(host: Any, ids: Sequence[str], port: int, **values: Any) -> None:
    """A sender of its own for each of these partners; needs the app's context."""
    for partner_id in ids:
        host.save_sender(partner_id, port=port, **values)
