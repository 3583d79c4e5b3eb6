"""Queued if and only if the host's transaction commits, and once for each idempotency key."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.orm import Session

from smtp_admin.clock import now, shifted
from smtp_admin.delivery.claim import claim
from smtp_admin.delivery.lanes import acquire
from smtp_admin.delivery.maintenance.reassign import reassign_strays
from smtp_admin.delivery.models import Message as Row
from smtp_admin.delivery.sender_headers import with_sender_headers
from smtp_admin.errors import MessageError, QueueFull
from smtp_admin.senders.models import Sender
from tests.app import HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import Workbench, deliveries, letter, queue, row_of, sender_row
from tests.patience import SECONDS
from tests.servers.scripted import ScriptedServer

RESET = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}


def rows(host: HostApp) -> int:
    session = host.db.session()
    session.rollback()
    return session.scalar(select(func.count()).select_from(Row)) or 0


def test_a_rollback_leaves_no_mail(each: HostApp, server: ScriptedServer) -> None:
    each.save_sender(port=server.port)
    each.plugin.send_message(letter(), partner_id="acme")
    each.db.session.rollback()
    each.work()
    assert rows(each) == 0
    assert not server.messages


def test_a_commit_sends_exactly_one(each: HostApp, server: ScriptedServer) -> None:
    each.save_sender(port=server.port)
    public_id = queue(each)
    each.work()
    each.work()
    (received,) = server.messages
    assert received.data == row_of(each, public_id).content
    assert [one.state for one in deliveries(each)] == ["sent"]


def test_a_savepoint_that_is_rolled_back_leaves_no_mail(
    each: HostApp, server: ScriptedServer
) -> None:
    each.save_sender(port=server.port)
    session = each.db.session()
    with session.begin_nested() as savepoint:
        each.plugin.send_message(letter("never@example.org"), partner_id="acme")
        savepoint.rollback()
    with session.begin_nested():
        each.plugin.send_message(letter("yes@example.org"), partner_id="acme")
    session.commit()
    each.work()
    assert [message.recipients for message in server.messages] == [["yes@example.org"]]


@pytest.mark.parametrize("before", ["", "reads", "writes"])
def test_a_savepoint_ends_with_the_transaction_around_it(each: HostApp, before: str) -> None:
    """Whatever came before it: the driver of SQLite would commit it by itself."""
    each.save_sender()
    session = each.db.session()
    sender_id = sender_row(each).id
    session.rollback()
    if before == "reads":
        session.execute(select(Row.id)).all()
    if before == "writes":
        session.execute(update(Sender).values(refusals=1))
    with session.begin_nested():
        each.plugin.send_message(letter(), partner_id="acme")
    session.rollback()
    assert rows(each) == 0
    # Of every session on this engine, once ours was seen.
    other = Session(each.db.engine)
    with other.begin_nested():
        other.execute(update(Sender).where(Sender.id == sender_id).values(refusals=2))
    other.rollback()
    assert other.scalar(select(Sender.refusals).where(Sender.id == sender_id)) == 0
    with other.begin_nested():
        other.execute(update(Sender).where(Sender.id == sender_id).values(refusals=3))
    other.commit()
    assert other.scalar(select(Sender.refusals).where(Sender.id == sender_id)) == 3
    other.close()


@pytest.mark.parametrize("key", [None, "one"])
def test_sending_neither_flushes_nor_commits(each: HostApp, key: str | None) -> None:
    """A host may be in the middle of something that is not yet fit for the database."""
    each.save_sender()
    session = each.db.session()
    unfit = Row(public_id="unfit")  # lacks nearly every column: a flush would fail
    session.add(unfit)
    endings: list[str] = []
    event.listen(session, "after_commit", lambda _session: endings.append("commit"))
    event.listen(session, "after_rollback", lambda _session: endings.append("rollback"))
    each.plugin.send_message(letter(), partner_id="acme", idempotency_key=key)
    each.plugin.send("password_reset", to="a@example.org", partner_id="acme", context=RESET)
    assert unfit in session.new
    assert endings == []
    session.expunge(unfit)
    session.commit()
    assert len(deliveries(each)) == 2


def test_an_error_leaves_the_hosts_transaction_usable(each: HostApp) -> None:
    each.save_sender()
    queue(each, "a@example.org", idempotency_key="again")
    session = each.db.session()
    each.plugin.send_message(letter("b@example.org"), partner_id="acme")
    with pytest.raises(MessageError):
        each.plugin.send_message(letter("nobody"), partner_id="acme")
    each.plugin.send_message(letter("c@example.org"), partner_id="acme", idempotency_key="again")
    each.plugin.send_message(letter("d@example.org"), partner_id="acme")
    session.commit()
    assert [one.recipient[0] for one in deliveries(each)] == ["a", "b", "d"]


def test_the_same_key_twice_is_one_mail(each: HostApp) -> None:
    first = each.plugin.send_message(letter(), partner_id="acme", idempotency_key="k")
    assert each.plugin.send_message(letter(), partner_id="acme", idempotency_key="k") == first
    each.db.session.commit()
    assert queue(each, "other@example.org", idempotency_key="k") == first
    assert queue(each, partner_id="globex", idempotency_key="k") != first
    assert queue(each, idempotency_key="K") != first
    assert queue(each) != first
    assert (rows(each), len(deliveries(each))) == (4, 4)


def test_a_key_that_was_rolled_back_is_free_again(each: HostApp) -> None:
    each.plugin.send_message(letter(), partner_id="acme", idempotency_key="k")
    each.db.session.rollback()
    queue(each, idempotency_key="k")
    assert len(deliveries(each)) == 1


def test_the_same_key_from_twenty_threads_is_one_mail(each: HostApp) -> None:
    each.db.session.rollback()

    def send(_number: int) -> str:
        with each.app.app_context():
            return queue(each, idempotency_key="the one")

    with ThreadPoolExecutor(20) as threads:
        ids = set(threads.map(send, range(20)))
    assert len(ids) == 1
    assert row_of(each, ids.pop())
    assert (rows(each), len(deliveries(each))) == (1, 1)


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_key_of_the_wrong_length_is_refused(opened: NewHost, key: str) -> None:
    host = opened()
    with pytest.raises(MessageError):
        host.plugin.send_message(letter(), idempotency_key=key)


def test_the_queue_has_a_limit_that_urgent_mail_passes(opened: NewHost, database: str) -> None:
    host = opened(uri=database, QUEUE_LIMIT=5)
    queue(host, *(f"r{number}@example.org" for number in range(4)))
    with pytest.raises(QueueFull) as refusal:
        host.plugin.send_message(letter("a@example.org", "b@example.org"), partner_id="acme")
    assert (refusal.value.status, refusal.value.code) == (429, "queue_full")
    assert refusal.value.retry_after
    queue(host, "last@example.org")
    with pytest.raises(QueueFull):
        queue(host)
    queue(host, partner_id="globex")
    host.plugin.send("password_reset", to="u@example.org", partner_id="acme", context=RESET)
    host.db.session.commit()
    assert len(deliveries(host)) == 7


def test_a_repeated_key_is_answered_also_when_the_queue_is_full(opened: NewHost) -> None:
    """The mail is there already; a client that asks again must not be told otherwise."""
    host = opened(QUEUE_LIMIT=1)
    first = queue(host, idempotency_key="k")
    assert queue(host, idempotency_key="k") == first


def test_each_recipient_has_a_delivery_of_its_own(each: HostApp, server: ScriptedServer) -> None:
    each.save_sender(port=server.port)
    to = ("a@example.org", "B@example.org", "b@Example.ORG")
    message = letter(*to, cc=["c@example.org"], bcc=["d@example.org", "a@example.org"])
    each.plugin.send_message(message, partner_id="acme")
    each.db.session.commit()
    each.work()
    reached = sorted(received.recipients for received in server.messages)
    assert reached == [
        ["B@example.org"],
        ["a@example.org"],
        ["c@example.org"],
        ["d@example.org"],
    ]
    assert b"d@example.org" not in server.messages[0].data


def test_ids_sort_by_time_and_are_unique(each: HostApp) -> None:
    ids = [queue(each) for _ in range(20)]
    assert len(set(ids)) == 20
    assert [one[:12] for one in ids] == sorted(one[:12] for one in ids)
    assert all(len(one) == 32 and one.isalnum() for one in ids)


def test_old_mail_expires_by_its_kind(each: HostApp) -> None:
    queue(each)
    each.plugin.send("password_reset", to="u@example.org", partner_id="acme", context=RESET)
    each.db.session.commit()
    moment = datetime(2030, 1, 31, 23, 30, tzinfo=UTC)
    queue(each, expires_at=moment, send_at=moment - timedelta(hours=1))
    normal, urgent, given = deliveries(each)
    for one, hours in ((normal, 72), (urgent, 1)):
        assert one.expires_at is not None
        lasts = one.expires_at - now()
        assert abs(lasts - timedelta(hours=hours)) < timedelta(minutes=1)
    assert (given.expires_at, given.next_attempt_at) == (moment, moment - timedelta(hours=1))


def test_a_time_without_a_zone_is_refused(opened: NewHost) -> None:
    host = opened()
    with pytest.raises(MessageError, match="time zone"):
        host.plugin.send_message(letter(), send_at=datetime(2030, 1, 1))  # noqa: DTZ001 - meant


@pytest.mark.parametrize(
    "moment", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)]
)
def test_a_time_that_no_database_has_is_refused(opened: NewHost, moment: datetime) -> None:
    host = opened()
    with pytest.raises(MessageError, match="9000"):
        host.plugin.send_message(letter(), send_at=moment)
    with pytest.raises(MessageError, match="9000"):
        host.plugin.send_message(letter(), expires_at=moment)


def test_mail_without_a_sender_waits_for_one(each: HostApp, server: ScriptedServer) -> None:
    """It gets its From when the partner's settings are saved, and goes out through them."""
    public_id = queue(each)
    both = queue(each, "a@example.org", "b@example.org")
    each.work()
    row = row_of(each, public_id)
    assert row.from_email is None
    assert b"\r\nFrom:" not in b"\r\n" + row.content
    before = row.content
    assert [one.state for one in deliveries(each)] == ["queued"] * 3
    each.save_sender(port=server.port, from_email="hello@acme.example", from_name="Acme Ltd")
    each.work()
    assert [one.state for one in deliveries(each)] == ["sent"] * 3
    assert {received.mail_from for received in server.messages} == {"hello@acme.example"}
    row = row_of(each, public_id)
    known = before.replace(b"@localhost.invalid>", b"@acme.example>", 1)
    assert known != before
    assert row.content == b"From: Acme Ltd <hello@acme.example>\r\n" + known
    assert f"\r\nMessage-ID: {row.message_id}\r\n".encode() in row.content
    assert row.message_id.endswith("@acme.example>")
    sent = [received.data for received in server.messages]
    assert sorted(sent) == sorted([row.content] + [row_of(each, both).content] * 2)
    assert all(data.count(b"From:") == 1 for data in sent)


def test_two_lanes_that_add_the_from_header_send_the_same_bytes(
    each: HostApp, bench_of: Callable[..., Workbench]
) -> None:
    """Each has claimed one of two recipients, and the settings were saved in between."""
    queue(each, "a@example.org", "b@example.org")
    each.save_sender(from_name="Acme Ltd")
    bench = bench_of(each)
    reassign_strays(bench.engine)
    lanes = [acquire(bench.engine, sender_row(each).id, name) for name in ("one", "two")]
    first, second = (claim(bench.engine, lane, 1) for lane in lanes if lane is not None)
    assert first is not None
    assert second is not None
    renamed = second.sender.with_values(second.sender.values.replace(from_name="Acme Inc"))
    (one,) = with_sender_headers(bench.engine, first.deliveries, first.sender)
    (two,) = with_sender_headers(bench.engine, second.deliveries, renamed)
    assert one.content.startswith(b"From: Acme Ltd <")
    assert (one.content, one.from_email) == (two.content, two.from_email)
    assert row_of(each, one.public_id).content == one.content


def test_mail_that_was_queued_while_the_sender_was_saved_goes_out(
    opened: NewHost, shared_database: str, server: ScriptedServer
) -> None:
    """Its transaction began before there was a sender, and ended after."""
    host = opened(uri=shared_database)
    host.plugin.send_message(letter(), partner_id="acme")

    def save() -> None:
        with host.app.app_context():
            host.save_sender(port=server.port)

    with ThreadPoolExecutor(1) as threads:
        saving = threads.submit(save)
        try:
            saving.result(timeout=SECONDS)
        except TimeoutError:
            pytest.fail("Saving waits for somebody's open transaction.")
        finally:
            host.db.session.commit()
    host.work()
    assert [one.state for one in deliveries(host)] == ["sent"]


def test_waiting_mail_goes_with_new_credentials_and_old_bytes(
    each: HostApp, bench_of: Callable[..., Workbench]
) -> None:
    each.save_sender(username="old", password="old password", from_email="old@acme.example")
    public_id = queue(each)
    before = row_of(each, public_id).content
    with ScriptedServer(auth=("new", "new password")) as server:
        each.save_sender(
            port=server.port, username="new", password="new password", from_email="new@acme.example"
        )
        bench_of(each).tick()
        (received,) = server.messages
        assert received.data == before
        assert received.mail_from == "old@acme.example"
        assert b"From: Acme GmbH <old@acme.example>" in received.data
        assert server.sessions[0].auth_attempts[-1][1:] == ("new", "new password")


def test_partners_without_a_sender_use_the_systems(each: HostApp, server: ScriptedServer) -> None:
    each.save_sender("", port=server.port, from_email="mail@platform.example")
    queue(each)
    each.work()
    (received,) = server.messages
    assert received.mail_from == "mail@platform.example"
    assert [one.partner_id for one in deliveries(each)] == ["acme"]


def test_times_are_the_databases(each: HostApp) -> None:
    with shifted(timedelta(hours=5)):
        queue(each)
    (one,) = deliveries(each)
    assert abs(one.created_at - now() - timedelta(hours=5)) < timedelta(minutes=1)
    session = each.db.session()
    raw = session.scalar(text("SELECT created_at FROM smtp_admin_delivery"))
    assert raw is not None


@pytest.mark.parametrize("partner_id", ["acne", None, 7, "x" * 500])
def test_mail_of_no_partner_is_refused(each: HostApp, partner_id: Any) -> None:
    """Else a mistyped partner's mail would go out in the system's name."""
    with pytest.raises(MessageError, match="partner"):
        each.plugin.send_message(letter(), partner_id=partner_id)
    each.db.session.commit()
    assert not deliveries(each)


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_machine_whose_clock_is_wrong_gives_mail_its_usual_life(
    each: HostApp, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Urgent mail lives for an hour: of a machine five hours behind it would be born too old."""

    class WrongClock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=hours)

    each.save_sender(port=server.port)
    monkeypatch.setattr("smtp_admin.clock.datetime", WrongClock)
    each.plugin.send("password_reset", to="you@example.org", partner_id="acme", context=RESET)
    each.db.session.commit()
    (one,) = deliveries(each)
    assert one.expires_at is not None
    assert abs(one.expires_at - one.created_at - timedelta(hours=1)) < timedelta(seconds=5)
    each.work()
    assert [one.state for one in deliveries(each)] == ["sent"]
