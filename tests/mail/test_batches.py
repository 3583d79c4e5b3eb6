"""Send to many: each once, however often a run breaks off; cancelled and resumed; no memory."""

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select

from smtp_admin import Conflict, MessageError, QueueFull, Recipient, TooLarge
from smtp_admin.clock import now, shifted
from smtp_admin.delivery import held_actions
from smtp_admin.delivery.backlog import backlog
from smtp_admin.delivery.batch_ends import cancel_batch
from smtp_admin.delivery.batch_models import Batch
from smtp_admin.delivery.batches import BatchSeen, list_batches, show_batch
from smtp_admin.delivery.held import CODE as HELD
from smtp_admin.delivery.maintenance.batch_counts import count_batches
from smtp_admin.delivery.maintenance.prune import prune
from smtp_admin.delivery.models import Delivery
from smtp_admin.delivery.models import Message as Row
from smtp_admin.mail import batches
from smtp_admin.mail.batches import STEP
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import delete_sender
from tests.app import ADMIN, HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import Workbench, deliveries, letter, queue, row_of
from tests.mail.newsletter import NAME, add_newsletter, people
from tests.servers.behaviours import Reply
from tests.servers.scripted import ScriptedServer

MakeBench = Callable[..., Workbench]
LONG = pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])


@pytest.fixture(name="each")
def _each(each: HostApp, server: ScriptedServer) -> HostApp:
    add_newsletter(each)
    each.save_sender(port=server.port)
    return each


def send_many(host: HostApp, recipients: Any, **how: Any) -> str:
    """Queue and commit."""
    batch_id = host.plugin.send_many(NAME, recipients, partner_id="acme", **how)
    host.db.session.commit()
    return batch_id


def seen(host: HostApp, batch_id: str) -> BatchSeen:
    host.db.session.rollback()
    return show_batch(host.db.session(), batch_id)


def counted(host: HostApp, table: Any) -> int:
    host.db.session.rollback()
    return host.db.session.scalar(select(func.count()).select_from(table)) or 0


def arrived(server: ScriptedServer) -> Counter[str]:
    return Counter(one for message in server.messages for one in message.recipients)


def test_everybody_gets_their_own(each: HostApp, server: ScriptedServer) -> None:
    batch_id = send_many(each, people(3), batch_key="2026-12", label="December")
    each.work()
    assert arrived(server) == {f"p{number}@example.org": 1 for number in range(3)}
    by_recipient = {one.recipients[0]: one.data for one in server.messages}
    assert b"your code is 2." in by_recipient["p2@example.org"]
    batch = seen(each, batch_id)
    assert (batch.label, batch.key, batch.type, batch.partner_id) == (
        "December", "2026-12", NAME, "acme",
    )  # fmt: skip
    assert (batch.total, batch.queued, batch.states, batch.progress) == (3, 3, {"sent": 3}, 1.0)
    assert {one.priority for one in deliveries(each)} == {2}


def test_pairs_and_names_are_recipients_too(each: HostApp) -> None:
    values = {"name": "Sam", "code": 1}
    send_many(each, [("a@example.org", values), Recipient(("Bo, B.", "b@example.org"), values)])
    assert [one.recipient for one in deliveries(each)] == ["a@example.org", "b@example.org"]


def test_queued_if_and_only_if_the_transaction_commits(each: HostApp) -> None:
    session = each.db.session()
    each.plugin.send_many(NAME, people(STEP + 3), partner_id="acme", batch_key="k")
    session.rollback()
    assert [counted(each, table) for table in (Batch, Row, Delivery)] == [0, 0, 0]
    with session.begin_nested() as savepoint:
        each.plugin.send_many(NAME, people(2), partner_id="acme", batch_key="k")
        savepoint.rollback()
    each.plugin.send_many(NAME, people(1), partner_id="acme", batch_key="k")
    session.commit()
    assert [counted(each, table) for table in (Batch, Row, Delivery)] == [1, 1, 1]


def test_the_same_key_again_queues_only_who_is_new(each: HostApp) -> None:
    first = send_many(each, people(3), batch_key="k")
    assert send_many(each, people(5), batch_key="k") == first
    assert send_many(each, people(2)) != first
    assert seen(each, first).queued == 5
    assert counted(each, Delivery) == 7


def test_an_address_in_another_case_is_nobody_new(each: HostApp) -> None:
    values = {"name": "x", "code": 1}
    to = ["a@example.org", "A@example.org", "a@EXAMPLE.org", "a+b@example.org"]
    batch_id = send_many(each, [(one, values) for one in to])
    assert [one.recipient for one in deliveries(each)] == ["a@example.org", "a+b@example.org"]
    assert (seen(each, batch_id).total, seen(each, batch_id).queued) == (2, 2)


def test_a_run_that_died_half_way_is_repeated(each: HostApp, server: ScriptedServer) -> None:
    """As the command does it: a commit after each step, and a death between two."""
    session = each.db.session()

    def run(until: int) -> None:
        filling = batches.begin(session, NAME, partner_id="acme", batch_key="k", total=2 * STEP + 7)
        for some in batches.in_steps(people(until)):
            filling.add(some)
            if len(some) < STEP and until < 2 * STEP + 7:
                session.rollback()  # it dies in the middle of the second step
                return
            session.commit()
        filling.finish()
        session.commit()

    run(STEP + 100)
    assert counted(each, Delivery) == STEP
    (before,) = list_batches(session)
    assert (before.queued, before.total) == (STEP, 2 * STEP + 7)
    run(2 * STEP + 7)
    each.work()
    assert arrived(server) == {f"p{number}@example.org": 1 for number in range(2 * STEP + 7)}
    after = seen(each, before.id)
    assert (after.queued, after.total, after.progress) == (2 * STEP + 7, 2 * STEP + 7, 1.0)


def test_runs_at_the_same_time_queue_everybody_once(each: HostApp) -> None:
    each.db.session.rollback()

    def run(_number: int) -> str:
        with each.app.app_context():
            return send_many(each, people(50), batch_key="k")

    with ThreadPoolExecutor(4) as threads:
        ids = set(threads.map(run, range(4)))
    assert len(ids) == 1
    assert counted(each, Delivery) == 50
    assert seen(each, ids.pop()).queued == 50


def test_cancelled_half_way_and_resumed(
    each: HostApp, bench_of: MakeBench, server: ScriptedServer
) -> None:
    each.save_sender(port=server.port, max_per_hour=10, archive_to="archive@acme.example")
    batch_id = send_many(each, people(8), batch_key="k")
    bench_of(each).tick()
    sent = arrived(server)
    assert 0 < sum(sent.values()) < 16
    before = seen(each, batch_id)
    waiting = cancel_batch(each.db.engine, batch_id)
    assert waiting == before.states["queued"]
    each.work()
    assert arrived(server) == sent
    assert seen(each, batch_id).states == {
        "sent": before.states["sent"], "cancelled": before.states["queued"],
    }  # fmt: skip
    with pytest.raises(Conflict, match="cancelled"):
        cancel_batch(each.db.engine, batch_id)
    with pytest.raises(Conflict, match="cancelled"):
        send_many(each, people(9), batch_key="k")
    each.db.session.rollback()
    assert send_many(each, people(9), batch_key="k", resume=True) == batch_id
    each.save_sender(port=server.port, archive_to="archive@acme.example")
    bench_of(each).tick(timedelta(seconds=30))
    people_only = {one: n for one, n in arrived(server).items() if one != "archive@acme.example"}
    assert people_only == {f"p{number}@example.org": 1 for number in range(9)}
    assert seen(each, batch_id).states == {"sent": 9}
    assert arrived(server)["archive@acme.example"] == 9


def test_a_batch_that_was_cancelled_takes_nobody_more(each: HostApp) -> None:
    session = each.db.session()
    filling = batches.begin(session, NAME, partner_id="acme")
    filling.add(list(people(2)))
    session.commit()
    cancel_batch(each.db.engine, filling.batch.public_id)
    with pytest.raises(Conflict, match="was cancelled"):
        filling.add(list(people(2, first=2)))
    session.rollback()
    assert [one.state for one in deliveries(each)] == ["cancelled", "cancelled"]


@pytest.mark.parametrize("sensitive", [False, True])
def test_resumed_by_who_looked_before_it_was_cancelled(
    opened: NewHost, database: str, *, sensitive: bool
) -> None:
    """MariaDB shows a transaction what was there when it first looked."""
    host = opened(uri=database)
    add_newsletter(host, sensitive=sensitive)
    host.save_sender()
    batch_id = send_many(host, people(3), batch_key="k")
    assert seen(host, batch_id).cancelled_at is None
    cancel_batch(host.db.engine, batch_id)
    send_many(host, people(3), batch_key="k", resume=True)
    assert seen(host, batch_id).states == {"queued": 3}
    assert seen(host, batch_id).queued == 3


def test_a_batch_whose_sender_was_deleted_goes_on_by_another(each: HostApp) -> None:
    each.save_sender(key="second")
    batch_id = send_many(each, people(2), batch_key="k", sender="second")
    session = each.db.session()
    delete_sender(session, load_sender(session, "acme", "second"), ADMIN)
    session.commit()
    with pytest.raises(MessageError, match="no sender 'second'"):
        send_many(each, people(3), batch_key="k")
    session.rollback()
    assert send_many(each, people(3), batch_key="k", sender="") == batch_id
    assert [one.recipient for one in deliveries(each)][2:] == ["p2@example.org"]


def test_a_batch_whose_beginning_was_rolled_back(each: HostApp) -> None:
    session = each.db.session()

    def given() -> Iterator[Recipient]:
        yield from people(STEP + 1)
        session.rollback()

    with pytest.raises(Conflict, match="rolled back"):
        each.plugin.send_many(NAME, given(), partner_id="acme", batch_key="k")
    session.rollback()
    assert [counted(each, table) for table in (Batch, Row, Delivery)] == [0, 0, 0]


def test_what_a_person_cancelled_stays_so(each: HostApp) -> None:
    batch_id = send_many(each, people(2), batch_key="k")
    session = each.db.session()
    each.plugin.cancel(session.scalars(select(Row.public_id).order_by(Row.id)).all()[0])
    session.commit()
    cancel_batch(each.db.engine, batch_id)
    send_many(each, (), batch_key="k", resume=True)
    assert [one.state for one in deliveries(each)] == ["cancelled", "queued"]


def test_sensitive_mail_is_written_anew_where_a_batch_is_resumed(
    host: HostApp, server: ScriptedServer
) -> None:
    """Its text was erased when it was cancelled; who is given again gets new mail, once."""
    add_newsletter(host, sensitive=True)
    host.save_sender(port=server.port)
    batch_id = send_many(host, people(3), batch_key="k")
    cancel_batch(host.db.engine, batch_id)
    assert {one.content for one in host.db.session.scalars(select(Row))} == {b""}
    send_many(host, people(2), batch_key="k", resume=True)
    assert (seen(host, batch_id).queued, seen(host, batch_id).total) == (2, 2)
    assert seen(host, batch_id).states == {"queued": 2}
    send_many(host, people(4), batch_key="k")
    host.work()
    assert arrived(server) == {f"p{number}@example.org": 1 for number in range(4)}
    assert seen(host, batch_id).states == {"sent": 4}


def test_another_type_under_the_same_key_is_refused(each: HostApp) -> None:
    send_many(each, people(1), batch_key="k")
    with pytest.raises(Conflict, match="newsletter"):
        each.plugin.send_many("test", people(1), partner_id="acme", batch_key="k")


def test_another_type_under_the_key_of_a_cancelled_batch_resumes_nothing(each: HostApp) -> None:
    batch_id = send_many(each, people(2), batch_key="k")
    cancel_batch(each.db.engine, batch_id)
    with pytest.raises(Conflict, match="newsletter"):
        each.plugin.send_many("test", (), partner_id="acme", batch_key="k", resume=True)
    each.db.session.commit()
    assert seen(each, batch_id).cancelled_at is not None
    assert [one.state for one in deliveries(each)] == ["cancelled"] * 2


def test_what_a_sandbox_held_is_held_after_the_resume_too(
    opened: NewHost, database: str, server: ScriptedServer, bench_of: MakeBench
) -> None:
    host = opened(uri=database, SANDBOX="allow:p0@example.org")
    add_newsletter(host)
    host.save_sender(port=server.port)
    batch_id = send_many(host, people(3), batch_key="k")
    cancel_batch(host.db.engine, batch_id)
    send_many(host, (), batch_key="k", resume=True)
    assert [one.last_code for one in deliveries(host)] == ["", HELD, HELD]
    bench_of(host).tick()
    assert arrived(server) == {"p0@example.org": 1}
    assert held_actions.release(host.db.engine, None) == 2
    assert [one.last_code for one in deliveries(host)] == [""] * 3


@pytest.mark.parametrize(
    ("recipient", "words"),
    [
        (Recipient("nobody", {"name": "x", "code": 1}), r"Recipient 3 \(nobody\)"),
        (Recipient("a@example.org", {"name": "x"}), r"Recipient 3 \(a@example.org\).*code"),
        ("a@example.org", "no recipient"),
        (("a@example.org", "Sam"), "no recipient"),
        (Recipient("a@example.org", {"name": "a\r\nBcc: b", "code": 1}), None),
    ],
)
def test_one_who_cannot_be_written_to(host: HostApp, recipient: Any, words: str | None) -> None:
    add_newsletter(host)
    host.save_sender()
    given = [*people(2), recipient]
    if words is None:  # a line break in a subject is one space
        host.plugin.send_many(NAME, given, partner_id="acme")
        return
    with pytest.raises(MessageError, match=words):
        host.plugin.send_many(NAME, given, partner_id="acme")
    host.db.session.commit()
    assert deliveries(host) == []


@pytest.mark.parametrize(
    "how",
    [
        {"partner_id": "nobody"},
        {"sender": "unknown"},
        {"sender": "x" * 500},
        {"sender": 5},
        {"send_at": "tomorrow"},
        {"batch_key": ""},
        {"batch_key": "x" * 201},
        {"resume": True},
    ],
)
def test_arguments_that_cannot_be_used(host: HostApp, how: dict[str, Any]) -> None:
    add_newsletter(host)
    with pytest.raises(MessageError):
        host.plugin.send_many(NAME, people(1), **({"partner_id": "acme"} | how))


def test_the_limit_of_the_queue_is_for_other_mail(opened: NewHost, database: str) -> None:
    host = opened(uri=database, QUEUE_LIMIT=2, BATCH_LIMIT=5)
    add_newsletter(host)
    host.save_sender()
    batch_id = send_many(host, people(5), batch_key="k")
    assert backlog(host.db.session(), "acme") == 0
    queue(host)
    queue(host)
    with pytest.raises(QueueFull):
        queue(host)
    with pytest.raises(TooLarge, match="more than 5"):
        send_many(host, people(6), batch_key="k")
    host.db.session.rollback()
    assert seen(host, batch_id).queued == 5
    with pytest.raises(TooLarge):
        batches.begin(host.db.session(), NAME, total=6)


def test_mail_lives_as_long_as_the_senders_limit_needs(opened: NewHost, database: str) -> None:
    host = opened(uri=database)
    add_newsletter(host)
    host.save_sender(max_per_hour=10)  # one of them is kept for urgent mail
    queue(host)
    send_many(host, people(20))
    usual, *others = deliveries(host)
    assert usual.expires_at is not None
    for one in others:
        assert one.expires_at is not None
        longer = one.expires_at - usual.expires_at
        assert longer > timedelta(seconds=400 * 20)
    moment = now() + timedelta(hours=5)
    send_many(host, people(1), expires_at=moment)
    assert deliveries(host)[-1].expires_at == moment


def test_copies_to_an_archive_need_time_of_the_limit_too(host: HostApp) -> None:
    add_newsletter(host)
    host.save_sender(max_per_hour=10)
    send_many(host, people(1))
    host.save_sender(key="copied", max_per_hour=10, archive_to="archive@acme.example")
    send_many(host, people(1), sender="copied")
    plain, copied, archive = [one.expires_at for one in deliveries(host)]
    assert plain is not None
    assert copied is not None
    assert copied == archive
    assert copied - plain > timedelta(seconds=400 * (STEP - 1))


def test_a_type_that_says_how_long_it_lives_is_obeyed(host: HostApp) -> None:
    add_newsletter(host, expires_hours=2)
    host.save_sender(max_per_hour=10)
    send_many(host, people(1))
    (one,) = deliveries(host)
    assert one.expires_at is not None
    assert one.expires_at - now() <= timedelta(hours=2)


def test_urgent_mail_of_many_overtakes_nothing(host: HostApp) -> None:
    add_newsletter(host, priority="urgent")
    host.save_sender()
    send_many(host, people(1))
    assert [one.priority for one in deliveries(host)] == [2]


def test_a_worker_keeps_the_numbers(each: HostApp, server: ScriptedServer) -> None:
    batch_id = send_many(each, people(3))
    assert count_batches(each.db.engine) == 1
    session = each.db.session()
    session.rollback()
    row = session.scalars(select(Batch)).one()
    assert (row.counts, row.settled) == ('{"queued": 3}', False)
    server.behave("rcpt", [Reply("554 5.6.0 not this text"), None])
    each.work()
    count_batches(each.db.engine)
    assert count_batches(each.db.engine) == 0
    assert seen(each, batch_id).states == {"sent": 2, "dead": 1}
    dead = session.scalars(
        select(Row.public_id)
        .join(Delivery, Delivery.message_pk == Row.id)
        .where(Delivery.state == "dead")
    ).one()
    each.plugin.retry(dead)
    session.commit()
    assert seen(each, batch_id).states == {"sent": 2, "queued": 1}
    each.work()
    count_batches(each.db.engine)
    session.rollback()  # the snapshot is older than the worker's commit
    (listed,) = list_batches(session)
    assert listed.states == {"sent": 3}


def test_a_large_batch_is_counted_anew_where_somebody_stopped_it(host: HostApp) -> None:
    """A worker's count is good for a while, but not past what a person has just done."""
    add_newsletter(host)
    host.save_sender()
    batch_id = send_many(host, people(2001), batch_key="k")
    count_batches(host.db.engine)
    cancel_batch(host.db.engine, batch_id)
    assert list_batches(host.db.session())[0].states == {"cancelled": 2001}
    count_batches(host.db.engine)
    send_many(host, (), batch_key="k", resume=True)
    assert list_batches(host.db.session())[0].states == {"queued": 2001}


def test_what_became_of_a_batch_outlives_its_mail(each: HostApp) -> None:
    batch_id = send_many(each, people(2))
    each.work()
    count_batches(each.db.engine)
    with shifted(timedelta(days=100)):
        assert prune(each.db.engine, each.installation.config) == 2
    assert seen(each, batch_id).states == {"sent": 2}


def test_the_rest_of_a_cancelled_batch_ends_too(each: HostApp) -> None:
    """Whoever cancelled it was interrupted after the first step."""
    send_many(each, people(2))
    session = each.db.session()
    session.scalars(select(Batch)).one().cancelled_at = now()
    session.commit()
    count_batches(each.db.engine)
    assert [one.state for one in deliveries(each)] == ["cancelled"] * 2


def test_another_partners_batch_is_not_there(host: HostApp) -> None:
    add_newsletter(host)
    host.save_sender()
    batch_id = send_many(host, people(1))
    session = host.db.session()
    assert show_batch(session, batch_id, "acme").queued == 1
    for name in (batch_id, "0" * 32, "x", "'"):
        with pytest.raises(Exception, match="There is no batch"):
            show_batch(session, name, "globex")
    assert [len(list_batches(session, partner_id=one)) for one in ("acme", "globex")] == [1, 0]


def test_ready_messages_in_bulk(each: HostApp, server: ScriptedServer) -> None:
    count = STEP + 3
    messages = (letter(f"p{number}@example.org") for number in range(count))
    ids = each.plugin.send_messages(messages, partner_id="acme")
    each.db.session.commit()
    assert len(set(ids)) == count
    assert row_of(each, ids[-1]).content
    each.work()
    assert arrived(server) == {f"p{number}@example.org": 1 for number in range(count)}


def test_a_bad_message_is_named_by_its_number(host: HostApp) -> None:
    host.save_sender()
    with pytest.raises(MessageError, match="Message 2: "):
        host.plugin.send_messages([letter(), letter("nobody")], partner_id="acme")
    with pytest.raises(MessageError, match="Message 1: "):
        host.plugin.send_messages(["text"], partner_id="acme")


def peak(run: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("count", [4 * STEP, LONG])
def test_memory_does_not_grow_with_the_recipients(host: HostApp, count: int) -> None:
    add_newsletter(host)
    host.save_sender()

    def run(how_many: int) -> None:
        host.plugin.send_many(NAME, people(how_many), partner_id="acme")
        host.db.session.commit()

    run(10)  # whatever is made at the first use
    assert peak(partial(run, count)) < 1.5 * peak(partial(run, STEP))


def streamed() -> Iterator[Recipient]:
    yield from people(STEP)
    raise RuntimeError("the host's own mistake")


def test_an_error_of_whoever_gives_the_recipients_is_theirs(host: HostApp) -> None:
    add_newsletter(host)
    host.save_sender()
    with pytest.raises(RuntimeError, match="own mistake"):
        host.plugin.send_many(NAME, streamed(), partner_id="acme")
    host.db.session.rollback()
    assert counted(host, Batch) == 0
