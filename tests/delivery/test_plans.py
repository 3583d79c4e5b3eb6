"""What is asked all the time is answered from an index, however much finished mail there is."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, inspect

from smtp_admin.clock import now
from smtp_admin.delivery import queries
from smtp_admin.delivery.backlog import backlog
from smtp_admin.delivery.claim import claim
from smtp_admin.delivery.counted import Counted
from smtp_admin.delivery.lanes import HeldLane, acquire
from smtp_admin.delivery.mail_log import OLDEST, MailFilter, ids_of
from smtp_admin.delivery.maintenance import (
    deleted,
    due,
    expire,
    fallback,
    reassign,
    settle_unknown,
)
from smtp_admin.delivery.refusals import refusals
from smtp_admin.events.queries import turned
from smtp_admin.mail.last_test_mail import last_test_mail
from smtp_admin.sender_state.facts import state_of
from smtp_admin.senders.pauses import pause
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import delete_sender
from tests.app import ADMIN, HostApp
from tests.delivery.workbench import Workbench, queue, sender_row
from tests.servers.databases import MariaDB


def empty(bench: Workbench) -> None:
    """The mail of a deleted sender moves."""
    session = bench.host.db.session()
    bench.host.save_sender("")
    delete_sender(session, load_sender(session, "acme"), ADMIN)
    session.commit()
    assert deleted.empty_deleted(bench.engine)


def state_of_limited(bench: Workbench) -> None:
    """The state of a sender that has limits."""
    session = bench.host.db.session()
    bench.host.save_sender("acme", max_per_hour=1, max_per_day=1)
    state_of(session, load_sender(session, "acme"))


def step_in(bench: Workbench) -> None:
    """The mail of a paused sender moves."""
    session = bench.host.db.session()
    bench.host.save_sender("")
    bench.host.save_sender("acme", fallbacks=("system",))
    pause(session, load_sender(session, "acme"), ADMIN)
    session.commit()
    assert fallback.fall_back(bench.engine)


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
    "summary of the system's sender": lambda bench, lane: queries.summary(
        bench.host.db.session(), None, lane.sender_id, of_sender=True
    ),
    "state of a sender": lambda bench, _: state_of_limited(bench),
    "what a deletion would do": lambda bench, lane: queries.waiting_of(
        bench.host.db.session(), lane.sender_id
    ),
    "mail of one failure": lambda bench, _: ids_of(
        bench.host.db.session(), MailFilter(None, code="dns_failed"), most=50
    ),
    "accepted mail of a partner": lambda bench, _: ids_of(
        bench.host.db.session(),
        MailFilter(frozenset({"acme"}), counted=Counted("accepted", now() - timedelta(days=1))),
        most=50,
    ),
    "accepted mail": lambda bench, _: ids_of(
        bench.host.db.session(),
        MailFilter(None, counted=Counted("accepted", now() - timedelta(days=1))),
        most=50,
    ),
    "the oldest accepted mail": lambda bench, _: ids_of(
        bench.host.db.session(),
        MailFilter(None, counted=Counted("accepted", now() - timedelta(days=1))),
        after=OLDEST,
        most=50,
    ),
    "the oldest mail that waits": lambda bench, _: ids_of(
        bench.host.db.session(), MailFilter(None, ("queued", "sending")), after=OLDEST, most=50
    ),
    "the oldest mail of an hour": lambda bench, _: ids_of(
        bench.host.db.session(),
        MailFilter(None, since=now() - timedelta(hours=1)),
        after=OLDEST,
        most=50,
    ),
    "mail of a partner that came back": lambda bench, _: ids_of(
        bench.host.db.session(),
        MailFilter(
            frozenset({"acme"}),
            counted=Counted(
                "told", now() - timedelta(days=1), told=turned("bounced", now() - timedelta(days=1))
            ),
        ),
        most=50,
    ),
    "mail that counts for a limit": lambda bench, lane: ids_of(
        bench.host.db.session(),
        MailFilter(
            None, sender_id=lane.sender_id, counted=Counted("used", now() - timedelta(hours=1))
        ),
        most=50,
    ),
    "refusals": lambda bench, lane: refusals(bench.host.db.session(), lane.sender_id, "acme"),
    "the last test mail": lambda bench, _: last_test_mail(
        bench.host.db.session(), load_sender(bench.host.db.session(), "acme")
    ),
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
    "summary of the system's sender": "_due",
    "state of a sender": "_due",
    "mail of one failure": "_code",
    "the oldest mail that waits": "_open",
    "deleted senders": "_due",
    "fallback": "_due",
}
#: Where another table is asked, its index.
OTHER = {
    "refusals": "ix_smtp_admin_attempt_sender",
    "the last test mail": "ix_smtp_admin_message_type",
    "mail of a partner that came back": "ix_smtp_admin_event_turned",
}


def reading_through(connection: Connection, table: str) -> str:
    """How SQLite says that it reads every row of *table*: its words differ by release."""
    question = f"EXPLAIN QUERY PLAN SELECT * FROM {table} NOT INDEXED"
    (row,) = connection.exec_driver_sql(question).all()
    return str(row[-1])


def statements_of(name: str, bench: Workbench, lane: HeldLane) -> list[tuple[str, Any]]:
    """What the database is asked about deliveries, with the parameters."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    engines = (bench.engine, bench.host.db.engine)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        ASKED[name](bench, lane)
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
    bench.host.db.session.rollback()
    found = [one for one in asked if "smtp_admin_delivery" in one[0]]
    assert found
    return found


@pytest.mark.parametrize("name", ASKED)
def test_no_table_of_mail_is_read_through(
    host_with_bench: tuple[HostApp, Workbench], name: str
) -> None:
    """On SQLite, which uses a partial index only where the words are the same."""
    host, bench = host_with_bench
    queue(host)
    lane = acquire(bench.engine, sender_row(host).id, "bench")
    assert lane is not None
    statements = statements_of(name, bench, lane)
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


FINISHED = 30_000
#: The most rows that one part of a statement may look at; there are fewer open ones.
FEW = 1000


def finish_many(host: HostApp) -> None:
    """So many copies of the first mail there is, sent three days ago; it is older itself."""
    past = "utc_timestamp(6) - INTERVAL 3 DAY"
    milliseconds = f"floor(unix_timestamp({past}) * 1000)"
    other = {
        "id": "1000 + seq",
        # Ids begin with their time.
        "public_id": f"concat(lpad(lower(hex({milliseconds})), 12, '0'), lpad(seq, 20, '0'))",
        "message_pk": "1000 + seq",
        "state": "'sent'",
        "recipient": "concat(seq, '@example.org')",
    } | dict.fromkeys(("created_at", "next_attempt_at", "finished_at"), past)
    with host.db.engine.begin() as connection:
        for table in ("smtp_admin_message", "smtp_admin_delivery"):
            names = [one["name"] for one in inspect(connection).get_columns(table)]
            columns = ", ".join(f"`{one}`" for one in names)
            values = ", ".join(other.get(one, f"first.`{one}`") for one in names)
            connection.exec_driver_sql(
                f"INSERT INTO {table} ({columns}) SELECT {values} FROM seq_1_to_{FINISHED}, "
                f"(SELECT * FROM {table} ORDER BY id LIMIT 1) AS first"
            )
        connection.exec_driver_sql(
            "UPDATE smtp_admin_message SET public_id = lpad(id, 32, '0') WHERE id <= 1000"
        )
    with host.db.engine.connect() as connection:
        for table in ("smtp_admin_message", "smtp_admin_delivery"):
            connection.exec_driver_sql(f"ANALYZE TABLE {table}").all()


@pytest.mark.long
def test_nor_are_they_on_mariadb_which_has_no_partial_indexes(
    opened: Callable[..., HostApp], bench_of: Callable[..., Workbench], mariadb: MariaDB
) -> None:
    host = opened(uri=mariadb.create_database())
    host.save_sender()
    bench = bench_of(host)
    queue(host)
    finish_many(host)
    queue(host, *(f"r{number}@example.org" for number in range(50)))
    lane = acquire(bench.engine, sender_row(host).id, "bench")
    assert lane is not None
    for name in sorted(ASKED, key="deleted senders".__eq__):  # which is the end of the others
        queue(host)
        for statement, parameters in statements_of(name, bench, lane):
            if statement.startswith("INSERT"):
                continue
            with bench.engine.connect() as connection:
                plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
                for part in plan.mappings():
                    rows = str(part["rows"] or 0).partition(" ")[0]
                    assert int(rows) <= FEW, (name, dict(part), statement)
