"""What queueing a mail consists of, part by part: why it is as fast as it is."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from benchmarks.contestants.queueing import Ours
from benchmarks.mail import BODY, RECIPIENT
from benchmarks.report import Table
from smtp_admin import Message
from smtp_admin.delivery.doorbell import doorbell
from smtp_admin.delivery.rows import insert_mails
from smtp_admin.mail import compose
from smtp_admin.mail.compose import Order
from smtp_admin.mail.service import READY
from smtp_admin.mail.templates import Voice
from smtp_admin.mail.types import SHIPPED

_TIMES, _ALONE, _MANY = 1000, 200, 500
_BEST_OF = 3
_TYPE = next(one for one in SHIPPED if one.name == "renewal")


def measure(contestants: list[Ours]) -> Table:
    """Each part's processor time on each database."""
    columns = {one.kind: _parts(one) for one in contestants}
    names = list(next(iter(columns.values()), {}))
    rows = [[name, *(f"{found[name]:,.0f}" for found in columns.values())] for name in names]
    return Table(["microseconds of our process", *columns], rows)


def _parts(ours: Ours) -> dict[str, float]:
    with ours.site.opened() as session:
        order = Order("acme")
        message = Message("x", [RECIPIENT], BODY)
        mail = compose.compose(session, READY, message, order)
        rendered = compose.message_from_type(_TYPE, RECIPIENT, _TYPE.sample, voice=Voice())
        found = {
            "text to bytes and address": _each(
                lambda: compose.compose(session, READY, message, order)
            ),
            "type with HTML rendered by Liquid": _each(
                lambda: compose.message_from_type(_TYPE, RECIPIENT, _TYPE.sample, voice=Voice())
            ),
            "that to bytes": _each(lambda: compose.compose(session, _TYPE, rendered, order)),
            "rows of one mail": _each(lambda: insert_mails(session, [mail])),
            "the same SQL by the driver alone": _by_driver(
                session, lambda: insert_mails(session, [mail])
            ),
            f"rows of a mail, {_MANY} together": _each(
                lambda: insert_mails(session, [mail] * _MANY), _BEST_OF
            )
            / _MANY,
        }
        session.rollback()

        def looked_up() -> None:
            compose.sender_for(session, READY, order)
            session.commit()

        def queued() -> None:
            insert_mails(session, [mail])
            session.commit()

        bell = doorbell()
        found |= {
            "bell": _each(lambda: bell.ring(1)),
            "transaction that only looks up the sender": _each(looked_up, _ALONE),
            "transaction with the rows of one mail": _each(queued, _ALONE),
            "how long that takes, with the wait for the disk": _each(
                queued, _ALONE, time.perf_counter
            ),
        }
        return found


def _each(
    do: Callable[[], Any], times: int = _TIMES, clock: Callable[[], float] = time.process_time
) -> float:
    """Microseconds of one time, in the best of some rounds."""
    do()
    rounds = []
    for _ in range(_BEST_OF):
        began = clock()
        for _ in range(times):
            do()
        rounds.append(clock() - began)
    return min(rounds) / times * 1_000_000


def _by_driver(session: Session, do: Callable[[], Any]) -> float:
    """The same for the statements that *do* executes, without SQLAlchemy around them."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        statements.append((statement, values))

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", note)
    do()
    event.remove(connection, "before_cursor_execute", note)
    driver: Any = connection.connection

    def again() -> None:
        for statement, values in statements:
            cursor = driver.cursor()
            cursor.execute(statement, values)
            cursor.close()

    return _each(again)
