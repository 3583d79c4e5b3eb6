"""What is over is forgotten after a while, and nothing else."""

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, insert, select, update

from smtp_admin.audit.models import Audit
from smtp_admin.clock import now, shifted
from smtp_admin.database import beside_workers, transaction
from smtp_admin.delivery.acts import doer, note
from smtp_admin.delivery.maintenance import prune as prune_module
from smtp_admin.delivery.maintenance.prune import prune
from smtp_admin.delivery.maintenance.retention import retentions
from smtp_admin.delivery.models import Act, Attempt, Delivery, Message
from smtp_admin.delivery.states import State
from tests.app import ADMIN, HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import Workbench, deliveries, queue
from tests.servers.scripted import Reply, ScriptedServer

MakeBench = Callable[..., Workbench]

OVER: tuple[State, ...] = (
    "sent",
    "delivered",
    "bounced",
    "complained",
    "suppressed",
    "cancelled",
    "expired",
)
OPEN: tuple[State, ...] = ("queued", "sending", "uncertain", "dead")


def age(host: HostApp, days: float) -> None:
    """Make all mail so old."""
    past = now() - timedelta(days=days)
    session = host.db.session()
    session.execute(update(Message).values(created_at=past))
    session.execute(
        update(Delivery)
        .values(created_at=past, finished_at=past)
        .execution_options(synchronize_session=False)
    )
    session.commit()


def put_into(host: HostApp, *states: State) -> None:
    for state in states:
        queue(host, f"{state}@example.org")
    session = host.db.session()
    for state in states:
        session.execute(
            update(Delivery)
            .where(Delivery.recipient == f"{state}@example.org")
            .values(state=state)
            .execution_options(synchronize_session=False)
        )
    session.commit()


def test_finished_mail_is_forgotten_and_open_mail_stays(each: HostApp, bench_of: MakeBench) -> None:
    engine, config = bench_of(each).engine, each.installation.config
    put_into(each, *OVER, *OPEN)
    session = each.db.session()
    note(session, [one.id for one in deliveries(each)], "retry", now(), doer(ADMIN))
    session.commit()
    age(each, 29)
    assert prune(engine, config) == 0
    age(each, 31)
    assert prune(engine, config) == len(OVER)
    assert {one.state for one in deliveries(each)} == set(OPEN)
    acts = session.scalars(select(Act.delivery_id).order_by(Act.delivery_id))
    assert list(acts) == [one.id for one in deliveries(each)]
    assert prune(engine, config) == 0


def test_a_mail_stays_while_one_of_its_recipients_is_open(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    each.save_sender(port=server.port)
    server.behave("rcpt", [None, Reply("550 5.1.1 no")])
    queue(each, "a@example.org", "b@example.org")
    bench = bench_of(each)
    bench.tick()
    age(each, 100)
    assert prune(bench.engine, each.installation.config) == 0
    assert [one.state for one in deliveries(each)] == ["sent", "dead"]


def test_attempts_and_audit_go_too(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    each.save_sender(port=server.port)
    server.behave("rcpt", [Reply("450 4.2.0 busy"), None])
    queue(each)
    bench = bench_of(each)
    bench.tick()
    bench.tick(timedelta(minutes=1))
    session = each.db.session()
    tables = (Attempt, Audit, Message, Delivery)
    assert all(session.scalar(select(func.count()).select_from(one)) for one in tables)
    session.rollback()
    with shifted(timedelta(days=31)):
        assert prune(bench.engine, each.installation.config) == 1
    assert not any(session.scalar(select(func.count()).select_from(one)) for one in tables)


def test_a_large_backlog_is_forgotten_in_steps(each: HostApp, bench_of: MakeBench) -> None:
    queue(each)
    session = each.db.session()
    message = session.scalars(select(Message)).one()
    columns = {
        name: getattr(message, name)
        for name in ("partner_id", "type_name", "subject", "content", "size", "message_id")
    }
    rows = [columns | {"public_id": f"{number:032}"} for number in range(1100)]
    session.execute(insert(Message), rows)
    session.execute(update(Delivery).values(state="sent"))
    session.commit()
    age(each, 40)
    assert prune(bench_of(each).engine, each.installation.config) == 1101
    assert deliveries(each) == []


def test_what_was_sent_just_now_stays_however_long_it_waited(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    """The hourly and daily limits are counted from it."""
    each.save_sender(port=server.port)
    queue(each)
    bench = bench_of(each)
    age(each, 40)
    session = each.db.session()
    session.execute(update(Delivery).values(expires_at=None, finished_at=None))
    session.commit()
    bench.tick()
    assert [one.state for one in deliveries(each)] == ["sent"]
    assert prune(bench.engine, each.installation.config) == 0
    assert len(deliveries(each)) == 1


def test_others_may_write_while_it_looks(host: HostApp, bench_of: MakeBench) -> None:
    """On SQLite, where it reads through the texts of all mail."""
    put_into(host, "sent", "queued")
    age(host, 31)
    host.db.session.rollback()
    engine = bench_of(host).engine
    other = sqlite3.connect(str(engine.url.database), timeout=0.1)
    looks = 0

    def write(_c: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal looks
        if statement.startswith("SELECT smtp_admin_message"):
            looks += 1
            other.execute("UPDATE smtp_admin_sender SET refusals = 0")
            other.commit()

    event.listen(engine, "before_cursor_execute", write)
    try:
        assert prune(engine, host.installation.config) == 1
    finally:
        event.remove(engine, "before_cursor_execute", write)
        other.close()
    assert looks == 2
    assert [one.state for one in deliveries(host)] == ["queued"]


def test_the_id_that_a_caller_has_stays_while_a_copy_is_open(
    each: HostApp, bench_of: MakeBench
) -> None:
    """One recipient got it from the partner's sender, the other's was handed to another."""
    public_id = queue(each, "a@example.org", "b@example.org")
    session = each.db.session()
    first = session.scalars(select(Message)).one()
    columns = {one.name: getattr(first, one.name) for one in Message.__table__.columns}
    columns |= {"id": None, "idempotency_key": None, "copy_of": first.id}
    copy = Message(**columns)
    session.add(copy)
    session.flush()
    sent, dead = session.scalars(select(Delivery).order_by(Delivery.id))
    sent.state, dead.state, dead.message_pk = "sent", "dead", copy.id
    session.commit()
    age(each, 31)
    engine, config = bench_of(each).engine, each.installation.config
    assert prune(engine, config) == 0
    assert each.plugin.retry(public_id) == 1
    session = each.db.session()
    session.execute(update(Delivery).values(state="sent"))
    session.commit()
    age(each, 31)
    assert prune(engine, config) == 2
    assert deliveries(each) == []


def test_a_partner_has_a_time_of_its_own(
    each: HostApp, bench_of: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shorter or longer than the usual one, which holds for all others and the platform."""
    engine, config = bench_of(each).engine, each.installation.config
    days = {"acme": 7, "globex": 90}
    monkeypatch.setattr(type(each.host), "keep_days", lambda _, one: days.get(one))
    for partner_id in ("acme", "globex", "initech", ""):
        queue(each, f"{partner_id or 'system'}@example.org", partner_id=partner_id)
    each.db.session.execute(update(Delivery).values(state="sent"))
    each.db.session.commit()
    left = [
        ["globex@example.org", "initech@example.org", "system@example.org"],
        ["globex@example.org"],
        [],
    ]
    for old, expected in zip((8, 31, 91), left, strict=True):
        age(each, old)
        prune(engine, config)
        assert sorted(one.recipient for one in deliveries(each)) == expected


@pytest.mark.parametrize("answer", [0, -1, 3651, True, "7", 7.5])
def test_a_host_that_fails_forgets_nothing(
    opened: NewHost,
    bench_of: MakeBench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    answer: Any,
) -> None:
    host = opened()
    put_into(host, "sent")
    age(host, 4000)
    monkeypatch.setattr(type(host.host), "keep_days", lambda *_: answer)
    assert prune(bench_of(host).engine, host.installation.config) == 0
    assert "keep_days() or partners() of the app's own Host raised" in caplog.text


def test_what_somebody_takes_up_again_meanwhile_stays(
    each: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was found to be over a moment before; the others go."""
    each.save_sender()
    put_into(each, "cancelled", "sent", "expired")
    age(each, 40)

    def undone_first(engine: Engine) -> Any:
        session = each.db.session()
        undone = update(Delivery).where(Delivery.recipient == "cancelled@example.org")
        session.execute(undone.values(state="queued", finished_at=None))
        session.commit()
        return transaction(engine)

    found = retentions(each.installation.config)
    monkeypatch.setattr(prune_module, "transaction", undone_first)
    with beside_workers() as engine:
        for one in found:
            prune_module._prune_step(engine, one)
    assert [one.recipient for one in deliveries(each)] == ["cancelled@example.org"]
    assert each.db.session.scalar(select(func.count()).select_from(Message)) == 1
