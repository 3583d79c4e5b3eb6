"""What a sender adds to a mail: headers in one block, an envelope sender, a copy to an archive."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from smtp_admin.clock import now
from smtp_admin.delivery.backlog import backlog
from smtp_admin.delivery.models import Delivery
from smtp_admin.delivery.rows import wants_copy
from smtp_admin.errors import Conflict, QueueFull
from smtp_admin.senders.models import Sender, SenderRevision
from tests.app import HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import (
    Workbench,
    attempts,
    deliveries,
    letter,
    queue,
    row_of,
    sender_row,
    step_in,
)
from tests.servers.scripted import ScriptedServer

MakeBench = Callable[..., Workbench]
HEADERS = (("X-Stream", "outbound"), ("X-Campaign", "all"))
ARCHIVE = "archive@acme.example"
RESET = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}


def recipients(host: HostApp) -> list[tuple[str, bool]]:
    return [(one.recipient, one.archive) for one in deliveries(host)]


def test_the_senders_headers_stand_in_one_block_at_the_front(each: HostApp) -> None:
    each.save_sender(headers=HEADERS, reply_to="help@acme.example", from_name="Acme")
    public_id = queue(each)
    row = row_of(each, public_id)
    head = row.content[: row.sender_head]
    assert head == (
        b"From: Acme <noreply@acme.example>\r\nReply-To: help@acme.example\r\n"
        b"X-Stream: outbound\r\nX-Campaign: all\r\n"
    )
    assert row.content[len(head) :].startswith(b"Subject: Hello\r\n")


def test_a_header_of_the_mail_itself_wins(host: HostApp) -> None:
    host.save_sender(headers=HEADERS, reply_to="help@acme.example")
    message = letter(reply_to="me@acme.example", extra_headers={"x-campaign": "spring"})
    public_id = host.plugin.send_message(message, partner_id="acme")
    host.db.session.commit()
    content = row_of(host, public_id).content
    head = content.partition(b"\r\n\r\n")[0].lower()
    assert head.count(b"x-campaign:") == 1
    assert b"x-campaign: spring" in head
    assert head.count(b"reply-to:") == 1
    assert b"reply-to: me@acme.example" in head
    assert head.count(b"x-stream: outbound") == 1


@pytest.mark.parametrize("known", [True, False], ids=["known", "later"])
def test_the_envelope_sender_is_frozen_with_the_bytes(
    each: HostApp, bench_of: MakeBench, server: ScriptedServer, known: bool
) -> None:
    account: dict[str, Any] = {
        "port": server.port, "envelope_from": "bounce@acme.example", "headers": HEADERS,
    }  # fmt: skip
    if known:
        each.save_sender(**account)
    public_id = queue(each)
    if not known:
        assert row_of(each, public_id).sender_head is None
        each.save_sender(**account)
    bench_of(each).tick()
    (sent,) = server.messages
    row = row_of(each, public_id)
    assert sent.mail_from == row.envelope_from == "bounce@acme.example"
    assert sent.data == row.content
    assert row.size == len(row.content)
    assert row.content[: row.sender_head].endswith(b"X-Campaign: all\r\n")
    assert [one.state for one in deliveries(each)] == ["sent"]


def test_waiting_mail_keeps_its_envelope_sender(each: HostApp, bench_of: MakeBench) -> None:
    with ScriptedServer() as server:
        each.save_sender(port=server.port, envelope_from="bounce@acme.example")
        queue(each)
        each.save_sender(port=server.port)
        queue(each)
        bench_of(each).tick()
        assert [one.mail_from for one in server.messages] == [
            "bounce@acme.example",
            "noreply@acme.example",
        ]


@pytest.mark.parametrize("known", [True, False], ids=["known", "later"])
def test_an_archive_gets_a_blind_copy(
    each: HostApp, bench_of: MakeBench, server: ScriptedServer, known: bool
) -> None:
    account: dict[str, Any] = {"port": server.port, "archive_to": ARCHIVE}
    if known:
        each.save_sender(**account)
    public_id = queue(each, "a@example.org", "b@example.org")
    if not known:
        assert len(deliveries(each)) == 2
        each.save_sender(**account)
    bench_of(each).tick()
    assert sorted(recipients(each)) == [
        ("a@example.org", False),
        (ARCHIVE, True),
        ("b@example.org", False),
    ]
    assert {one.state for one in deliveries(each)} == {"sent"}, "in the same time slice"
    assert len({one.message_pk for one in deliveries(each)}) == 1
    assert {one.data for one in server.messages} == {row_of(each, public_id).content}
    assert ARCHIVE.encode() not in server.messages[0].data
    assert len(server.messages) == 3


@pytest.mark.parametrize("known", [True, False], ids=["known", "later"])
def test_no_archive_gets_sensitive_mail_nor_what_it_has(
    each: HostApp, bench_of: MakeBench, server: ScriptedServer, known: bool
) -> None:
    account: dict[str, Any] = {"port": server.port, "archive_to": ARCHIVE}
    if known:
        each.save_sender(**account)
    each.plugin.send("password_reset", to="a@example.org", partner_id="acme", context=RESET)
    queue(each, "b@example.org", "Archive@ACME.example")
    if not known:
        each.save_sender(**account)
    bench_of(each).tick()
    assert sorted(recipients(each)) == [
        ("Archive@acme.example", False),
        ("a@example.org", False),
        ("b@example.org", False),
    ]


def test_a_copy_is_added_once_however_many_lanes_put_the_headers_on(
    each: HostApp, bench_of: MakeBench, server: ScriptedServer
) -> None:
    queue(each, "a@example.org", "b@example.org")
    each.save_sender(port=server.port, archive_to=ARCHIVE)
    bench = bench_of(each)
    for _ in range(3):
        bench.tick()
    assert [one.recipient for one in deliveries(each) if one.archive] == [ARCHIVE]
    assert attempts(each) == []


def test_who_steps_in_sends_the_copy_too_and_adds_none_of_its_own(host: HostApp) -> None:
    host.save_sender("", from_email="mail@platform.example", archive_to="all@platform.example")
    host.save_sender("acme", fallbacks=("system",), archive_to=ARCHIVE)
    queue(host)
    session = host.db.session()
    paused = {"paused_until": now() + timedelta(minutes=5), "pause_reason": "It is away."}
    session.execute(update(Sender).where(Sender.partner_id == "acme").values(**paused))
    session.commit()
    assert step_in(host) == 2
    assert recipients(host) == [("you@example.org", False), (ARCHIVE, True)]
    assert {one.sender_id for one in deliveries(host)} == {sender_row(host, "").id}


def test_who_steps_in_gives_an_unknown_message_id_its_domain(host: HostApp) -> None:
    """Mail that moves before anybody has put a From address on."""
    public_id = queue(host)
    host.save_sender("", from_email="mail@platform.example")
    host.save_sender("acme", fallbacks=("system",))
    session = host.db.session()
    paused = {"paused_until": now() + timedelta(minutes=5), "pause_reason": "It is away."}
    session.execute(update(Sender).where(Sender.partner_id == "acme").values(**paused))
    session.commit()
    assert step_in(host) == 1
    row = row_of(host, public_id)
    assert row.message_id.endswith("@platform.example>")
    assert row.content.count(row.message_id.encode()) == 1
    assert b"localhost.invalid" not in row.content


def test_copies_do_not_fill_the_queue(opened: NewHost, database: str) -> None:
    host = opened(uri=database, QUEUE_LIMIT=3)
    host.save_sender(archive_to=ARCHIVE)
    for _ in range(3):
        queue(host)
    assert len(deliveries(host)) == 6
    assert backlog(host.db.session(), "acme") == 3
    host.installation.backlog.clear()
    with pytest.raises(QueueFull):
        queue(host)


def test_a_repeated_key_adds_no_copy(each: HostApp) -> None:
    each.save_sender(archive_to=ARCHIVE)
    for _ in range(2):
        queue(each, idempotency_key="k")
    assert recipients(each) == [("you@example.org", False), (ARCHIVE, True)]


def test_cancelling_a_mail_cancels_its_copy_unless_somebody_has_it(each: HostApp) -> None:
    each.save_sender(archive_to=ARCHIVE)
    gone, partly = queue(each), queue(each, "a@example.org", "b@example.org")
    session = each.db.session()
    sent = update(Delivery).where(Delivery.recipient == "a@example.org")
    session.execute(sent.values(state="sent"))
    session.commit()
    assert each.plugin.cancel(gone) == 1
    assert each.plugin.cancel(partly) == 1
    session.commit()
    assert [(one.recipient[0], one.archive, one.state) for one in deliveries(each)] == [
        ("y", False, "cancelled"),
        ("a", True, "cancelled"),
        ("a", False, "sent"),
        ("b", False, "cancelled"),
        ("a", True, "queued"),
    ]
    with pytest.raises(Conflict):
        each.plugin.cancel(partly)
    session.rollback()


def test_where_copies_go() -> None:
    assert wants_copy("a@b.example", ["c@d.example"])
    assert not wants_copy("a@b.example", ["A@B.example"])
    assert not wants_copy("", ["c@d.example"])


def test_a_driver_that_is_gone_stops_no_worker(
    each: HostApp, bench_of: MakeBench, server: ScriptedServer
) -> None:
    """A host's own may be missing in one of its processes; its mail waits, others' goes out."""
    each.save_sender(port=server.port)
    each.save_sender("globex", port=server.port)
    queue(each)
    queue(each, partner_id="globex")
    session = each.db.session()
    mine = select(Sender.id).where(Sender.partner_id == "acme").scalar_subquery()
    gone = update(SenderRevision).where(SenderRevision.sender_id == mine)
    session.execute(gone.values(driver="pigeon"))
    session.commit()
    bench = bench_of(each)
    bench.tick()
    assert [one.state for one in deliveries(each)] == ["queued", "sent"]
    assert sender_row(each).paused_until is None
    each.save_sender("", port=server.port)
    queue(each)
    bench.tick()
    assert [one.state for one in deliveries(each)] == ["queued", "sent", "queued"], (
        "what is new does not go by the system's sender"
    )
    session = each.db.session()
    session.execute(update(SenderRevision).values(driver="smtp"))
    session.execute(update(Delivery).values(next_attempt_at=now()))
    session.commit()
    bench.tick()
    assert [one.state for one in deliveries(each)] == ["sent", "sent", "sent"]
    assert [one.mail_from for one in server.messages[1:]] == ["noreply@acme.example"] * 2
