"""The mail of a deleted sender: moved to who sends such mail now, or left to a person."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from smtp_admin.clock import now, shifted
from smtp_admin.database import host_engine
from smtp_admin.delivery import lanes
from smtp_admin.delivery.claim import claim
from smtp_admin.delivery.maintenance import deleted
from smtp_admin.delivery.maintenance.deleted import empty_deleted
from smtp_admin.delivery.maintenance.due import due_senders
from smtp_admin.delivery.maintenance.reassign import reassign_strays
from smtp_admin.delivery.maintenance.settle_unknown import settle_unknown
from smtp_admin.delivery.models import Delivery
from smtp_admin.delivery.queries import waiting_of
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import delete_sender
from smtp_admin.senders.routing import save_routes
from tests.app import ADMIN, HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import (
    Workbench,
    deliveries,
    hops,
    letter,
    queue,
    row_of,
    rows_of,
    sender_row,
    step_in,
)
from tests.patience import SECONDS
from tests.servers.scripted import ScriptedServer, Session

MakeBench = Callable[..., Workbench]


def two(host: HostApp, **more: Any) -> None:
    """The system's sender, and acme's default and newsletters."""
    host.save_sender("", from_email="mail@platform.example", **more)
    host.save_sender("acme", **more)
    host.save_sender("acme", key="newsletters", from_email="news@acme.example", **more)


def remove(host: HostApp, partner_id: str = "acme", key: str = "newsletters") -> None:
    session = host.db.session()
    delete_sender(session, load_sender(session, partner_id, key), ADMIN)
    session.commit()


def empty(host: HostApp) -> int:
    host.db.session.rollback()
    return empty_deleted(host_engine())


def change(host: HostApp, **values: Any) -> None:
    session = host.db.session()
    session.execute(update(Delivery).values(**values))
    session.commit()


def at(host: HostApp) -> list[tuple[str, str]]:
    session = host.db.session()
    session.rollback()
    rows = (session.get_one(Sender, one.sender_id) for one in deliveries(host))
    return [(row.partner_id, row.key) for row in rows]


def test_waiting_mail_goes_to_who_sends_such_mail_now(each: HostApp) -> None:
    """Also what is for later; and nobody is asked whether its first sender had fallbacks."""
    two(each)
    public_id = queue(each, "a@example.org", "b@example.org", sender="newsletters")
    later = queue(each, sender="newsletters", send_at=now() + timedelta(days=2))
    message_id = row_of(each, public_id).message_id
    remove(each)
    assert due_senders(host_engine()) == [], "nobody rings for a deleted sender"
    assert empty(each) == 3
    assert at(each) == [("acme", "")] * 3
    row = row_of(each, public_id)
    assert (row.from_email, row.message_id) == ("noreply@acme.example", message_id)
    assert row.content.count(b"From:") == 1
    assert {(one.kind, one.reason) for one in hops(each)} == {
        ("deleted", "The sender newsletters was deleted.")
    }
    assert [len(rows_of(each, one)) for one in (public_id, later)] == [1, 1]
    assert empty(each) == 0


def test_it_goes_by_the_routes(host: HostApp) -> None:
    two(host)
    host.save_sender("acme", key="bulk", from_email="bulk@acme.example")
    session = host.db.session()
    save_routes(session, "acme", {("type", "message"): "bulk"}, ADMIN)
    session.commit()
    queue(host, sender="newsletters")
    remove(host)
    assert empty(host) == 1
    assert at(host) == [("acme", "bulk")]


def test_the_last_sender_of_a_partner_leaves_its_mail_to_the_systems(host: HostApp) -> None:
    host.save_sender("", from_email="mail@platform.example")
    host.save_sender("acme", reply_to="help@acme.example")
    public_id = queue(host)
    remove(host, key="")
    assert empty(host) == 1
    assert at(host) == [("", "")]
    row = row_of(host, public_id)
    assert row.from_email == "mail@platform.example"
    assert b"Reply-To: help@acme.example\r\n" in row.content


def test_where_nobody_can_send_it_waits_without_a_from_address(each: HostApp) -> None:
    each.save_sender("acme", headers=(("X-Pool", "1"),), envelope_from="bounce@acme.example")
    public_id = queue(each)
    first, head = row_of(each, public_id).content, row_of(each, public_id).sender_head or 0
    remove(each, key="")
    assert empty(each) == 1
    row = row_of(each, public_id)
    assert (row.content, row.from_email, row.envelope_from) == (first[head:], None, None)
    assert at(each) == [("", "")]
    each.save_sender("acme", from_email="again@acme.example")
    reassign_strays(host_engine())
    assert at(each) == [("acme", "")]


def test_mail_without_a_from_address_is_routed_as_if_it_were_new(host: HostApp) -> None:
    queue(host)
    host.save_sender("acme")
    assert at(host) == [("acme", "")]
    host.save_sender("", from_email="mail@platform.example")
    remove(host, key="")
    assert at(host) == [("", "")], "at once, with the deletion"
    assert empty(host) == 0
    assert hops(host) == []


def test_what_may_have_arrived_is_left_to_a_person(each: HostApp) -> None:
    """Nobody else may send its bytes; and with others it would be a second mail."""
    two(each)
    public_id = queue(each, "a@example.org", "b@example.org", sender="newsletters")
    tried = now() - timedelta(minutes=2)
    change(each, uncertains=1, finished_at=tried)
    session = each.db.session()
    first = update(Delivery).where(Delivery.recipient == "a@example.org")
    session.execute(first.values(state="uncertain", next_attempt_at=tried))
    session.commit()
    remove(each)
    assert settle_unknown(each.app, host_engine()) == 0
    assert empty(each) == 0
    found = deliveries(each)
    assert {one.state for one in found} == {"uncertain"}
    assert {one.finished_at for one in found} == {tried}, "it counts against the limit"
    assert "was deleted" in found[1].last_error
    with shifted(timedelta(hours=1)):
        assert settle_unknown(each.app, host_engine()) == 0
    assert each.plugin.retry(public_id) == 2
    each.db.session.commit()
    assert empty(each) == 2
    found = deliveries(each)
    assert {(one.state, one.uncertains, one.finished_at) for one in found} == {("queued", 0, None)}
    assert at(each) == [("acme", "")] * 2


def test_one_of_several_recipients_may_have_it(host: HostApp) -> None:
    two(host)
    public_id = queue(host, "a@example.org", "b@example.org", sender="newsletters")
    session = host.db.session()
    maybe = update(Delivery).where(Delivery.recipient == "a@example.org")
    session.execute(maybe.values(uncertains=1, finished_at=now()))
    session.commit()
    remove(host)
    assert empty(host) == 1
    assert [one.state for one in deliveries(host)] == ["uncertain", "queued"]
    assert at(host) == [("acme", "newsletters"), ("acme", "")]
    first, copy = rows_of(host, public_id)
    assert (first.from_email, copy.from_email) == ("news@acme.example", "noreply@acme.example")
    with shifted(timedelta(hours=1)):
        assert host.plugin.retry(public_id) == 1
        host.db.session.commit()
        assert empty(host) == 1
    assert row_of(host, public_id).from_email == "noreply@acme.example"


def test_a_dead_letter_of_a_deleted_sender_can_be_tried_again(host: HostApp) -> None:
    two(host)
    public_id = queue(host, sender="newsletters")
    change(host, state="dead", uncertains=2, finished_at=now())
    remove(host)
    assert empty(host) == 0
    assert host.plugin.retry(public_id) == 1
    host.db.session.commit()
    assert empty(host) == 1
    assert at(host) == [("acme", "")]


def test_a_sender_that_comes_back_settles_its_mail_as_before(host: HostApp) -> None:
    two(host)
    queue(host, sender="newsletters")
    change(host, state="uncertain", uncertains=1, finished_at=now(), next_attempt_at=now())
    remove(host)
    host.save_sender("acme", key="newsletters", from_email="news@acme.example")
    with shifted(timedelta(minutes=2)):
        assert settle_unknown(host.app, host_engine()) == 1


def test_after_a_deletion_the_list_of_who_took_over_counts(host: HostApp) -> None:
    """What the deleted one wished for counts no more."""
    two(host)
    host.save_sender("acme", fallbacks=("system",))
    queue(host, sender="newsletters")
    remove(host)
    assert empty(host) == 1
    session = host.db.session()
    paused = {"paused_until": now() + timedelta(minutes=15), "pause_reason": "It is away."}
    session.execute(update(Sender).where(Sender.id == sender_row(host).id).values(**paused))
    session.commit()
    assert step_in(host) == 1
    assert at(host) == [("", "")]


def test_a_large_backlog_goes_in_rounds(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleted, "_STEP", 2)
    monkeypatch.setattr(deleted, "_LONGEST_SECONDS", 0.0)
    two(host)
    for _ in range(5):
        queue(host, sender="newsletters")
    remove(host)
    assert [empty(host) for _ in range(4)] == [2, 2, 1, 0]


def test_what_a_deletion_would_do(each: HostApp) -> None:
    two(each)
    session = each.db.session()
    number = sender_row(each, "acme", "newsletters").id
    assert waiting_of(session, number).count == 0
    assert waiting_of(session, number).goes_to == ""
    queue(each, "a@example.org", "b@example.org", "c@example.org", sender="newsletters")
    maybe = update(Delivery).where(Delivery.recipient == "c@example.org")
    session.execute(maybe.values(state="uncertain", uncertains=1))
    session.commit()
    found = waiting_of(session, number)
    assert (found.count, found.unknown, found.goes_to) == (2, 1, "the default sender")
    default = waiting_of(session, sender_row(each).id)
    assert default.count == 0
    queue(each)
    assert waiting_of(session, sender_row(each).id).goes_to == "the system's sender"
    session.rollback()


def test_what_is_being_sent_during_the_deletion_is_finished(
    each: HostApp, bench_of: MakeBench
) -> None:
    """And nothing more is claimed, though the worker has read the settings before."""
    with ScriptedServer() as server:
        two(each, port=server.port, max_connections=1)
        for number in range(3):
            queue(each, f"r{number}@example.org", sender="newsletters")
        bench = bench_of(each)

        def delete(_server: ScriptedServer, _session: Session, _line: str) -> None:
            server.behave("mail", None)
            with ThreadPoolExecutor(1) as threads:
                threads.submit(in_another_thread).result()

        def in_another_thread() -> None:
            with each.app.app_context():
                remove(each)

        bench.context().suitable[sender_row(each, "acme", "newsletters").id] = 1
        server.behave("mail", delete)
        bench.work("acme", "newsletters")
        assert sorted(one.state for one in deliveries(each)) == ["queued", "queued", "sent"]
        assert not bench.work("acme", "newsletters")
        assert len(server.messages) == 1
        assert empty(each) == 2
        bench.work("acme")
        assert [one.mail_from for one in server.messages] == [
            "news@acme.example",
            "noreply@acme.example",
            "noreply@acme.example",
        ]


def test_mail_that_was_being_queued_during_the_deletion_goes_out(
    opened: NewHost, shared_database: str
) -> None:
    """Its transaction began before and ended after."""
    host = opened(uri=shared_database)
    two(host)
    session = host.db.session()
    host.plugin.send_message(letter(), partner_id="acme", sender="newsletters")

    def delete() -> None:
        with host.app.app_context():
            remove(host)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(delete).result(timeout=SECONDS)
    session.commit()
    assert empty(host) == 1
    assert at(host) == [("acme", "")]


def test_a_claim_and_the_move_take_each_mail_once(opened: NewHost, shared_database: str) -> None:
    """The deletion is undone while the duty works: whoever is first has it, whole."""
    host = opened(uri=shared_database)
    two(host)
    queue(host, sender="newsletters")
    bench = Workbench(host)
    lane = lanes.acquire(bench.engine, sender_row(host, "acme", "newsletters").id, "test")
    assert lane is not None
    batch = claim(bench.engine, lane, 10)
    assert batch is not None
    remove(host)
    assert empty(host) == 0, "it is under way"
    assert row_of(host, batch.deliveries[0].public_id).content == batch.deliveries[0].content
    bench.close()
