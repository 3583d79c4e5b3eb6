"""What is asked all the time is answered from an index, however much finished mail there is."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event

from smtp_admin.delivery import queries
from smtp_admin.delivery.backlog import backlog
from smtp_admin.delivery.claim import claim
from smtp_admin.delivery.lanes import HeldLane, acquire
from smtp_admin.delivery.maintenance import (
    deleted,
    due,
    expire,
    fallback,
    reassign,
    settle_unknown,
)
from smtp_admin.delivery.refusals import refusals
from smtp_admin.senders.pauses import pause
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import delete_sender
from tests.app import ADMIN, HostApp
from tests.delivery.workbench import Workbench, queue, sender_row


def empty(bench: Workbench) -> None:
    """The mail of a deleted sender moves."""
    session = bench.host.db.session()
    bench.host.save_sender("")
    delete_sender(session, load_sender(session, "acme"), ADMIN)
    session.commit()
    assert deleted.empty_deleted(bench.engine, bench.host.installation.config) == 1


def step_in(bench: Workbench) -> None:
    """The mail of a paused sender moves."""
    session = bench.host.db.session()
    bench.host.save_sender("")
    bench.host.save_sender("acme", fallbacks=("system",))
    pause(session, load_sender(session, "acme"), ADMIN)
    session.commit()
    assert fallback.fall_back(bench.engine, bench.host.installation.config) == 1


ASKED: dict[str, Callable[[Workbench, HeldLane], object]] = {
    "claim": lambda bench, lane: claim(bench.engine, lane, 10),
    "due senders": lambda bench, _: due.due_senders(bench.engine),
    "expiry": lambda bench, _: expire.expire(bench.engine),
    "unknown outcomes": lambda bench, _: settle_unknown.settle_unknown(
        bench.host.app, bench.engine
    ),
    "backlog": lambda bench, _: backlog(bench.host.db.session(), "acme"),
    "summary": lambda bench, _: queries.summary(bench.host.db.session(), "acme"),
    "summary of one sender": lambda bench, lane: queries.summary(
        bench.host.db.session(), "acme", lane.sender_id, of_sender=True
    ),
    "what a deletion would do": lambda bench, lane: queries.waiting_of(
        bench.host.db.session(), lane.sender_id
    ),
    "refusals": lambda bench, lane: refusals(bench.host.db.session(), lane.sender_id, "acme"),
    "strays": lambda bench, _: reassign.reassign_strays(bench.engine),
    "deleted senders": lambda bench, _: empty(bench),
    "fallback": lambda bench, _: step_in(bench),
}


#: The partial index that leaves finished mail out, where the question is about the rest.
PARTIAL = {
    "claim": "_due",
    "due senders": "_due",
    "unknown outcomes": "_open",
    "backlog": "_open",
    "summary": "_open",
    "summary of one sender": "_open",
    "deleted senders": "_due",
    "fallback": "_due",
}
#: Where another table is asked, its index.
OTHER = {"refusals": "ix_smtp_admin_attempt_sender"}


def reading_through(connection: Connection, table: str) -> str:
    """How SQLite says that it reads every row of *table*: its words differ by release."""
    question = f"EXPLAIN QUERY PLAN SELECT * FROM {table} NOT INDEXED"
    (row,) = connection.exec_driver_sql(question).all()
    return str(row[-1])


@pytest.mark.parametrize("name", ASKED)
def test_no_table_of_mail_is_read_through(
    host_with_bench: tuple[HostApp, Workbench], name: str
) -> None:
    """On SQLite, which uses a partial index only where the words are the same."""
    host, bench = host_with_bench
    queue(host)
    lane = acquire(bench.engine, sender_row(host).id, "bench")
    assert lane is not None
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    engines = (bench.engine, host.db.engine)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        ASKED[name](bench, lane)
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
    host.db.session.rollback()
    statements = [one for one in asked if "smtp_admin_delivery" in one[0]]
    assert statements
    used = ""
    with bench.engine.connect() as connection:
        deliveries, messages = (
            reading_through(connection, table)
            for table in ("smtp_admin_delivery", "smtp_admin_message")
        )
        for statement, parameters in statements:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            for row in plan:
                words = str(row[-1])
                used += words
                assert not words.startswith(deliveries) or "INDEX" in words, words
                assert not words.startswith(messages), words
    wanted = OTHER.get(name) or f"ix_smtp_admin_delivery{PARTIAL.get(name, '')}"
    assert wanted in used
