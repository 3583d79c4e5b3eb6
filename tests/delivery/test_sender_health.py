"""A failing sender pauses itself alone, burns no message's attempts, and comes back by itself."""

from collections import Counter as Tally
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from smtp_admin import signals
from smtp_admin.clock import now, shifted
from smtp_admin.delivery import lanes
from smtp_admin.delivery.claim import Claimed, claim
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.record import Recorded, Result, record
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict
from tests.app import HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import Workbench, attempts, deliveries, queue, sender_row
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import (
    Behaviour,
    Close,
    Raw,
    Reply,
    Reset,
    ScriptedServer,
    Session,
    Stage,
    Stall,
)
from tests.servers.session import ConversationError

HostAndBench = tuple[HostApp, Workbench]
MakeBench = Callable[..., Workbench]

MINUTE = timedelta(minutes=1)

#: What happens, and the code that the sender pauses with.
BROKEN: list[tuple[Stage, Behaviour, str]] = [
    ("greeting", Reply("421 4.3.2 Try later"), "server_refused"),
    ("greeting", Reply("554 5.7.1 Not you"), "server_refused"),
    ("greeting", Raw(b"SSH-2.0-OpenSSH_9.6\r\n"), "not_smtp"),
    ("greeting", Close(), "connection_lost"),
    ("greeting", Stall(), "timeout"),
    ("ehlo", Reply("550 5.7.1 Who are you"), "server_refused"),
    ("mail", Reply("421 4.3.2 Shutting down"), "server_refused"),
    ("rcpt", Reply("421 4.3.2 Shutting down"), "server_refused"),
    ("data", Reset(), "connection_lost"),
    ("dot", Reply("421 4.3.2 Shutting down"), "server_refused"),
]


def hold_lanes(host: HostApp, bench: Workbench, count: int) -> list[tuple[HeldLane, Claimed]]:
    """So many connections at work, each with one mail."""
    held = []
    for _ in range(count):
        lane = lanes.acquire(bench.engine, sender_row(host).id, "bench")
        assert lane is not None
        batch = claim(bench.engine, lane, 1)
        assert batch is not None
        held.append((lane, batch.deliveries[0]))
    return held


def note(
    host: HostApp, bench: Workbench, lane: HeldLane, mail: Claimed, outcome: Outcome
) -> Recorded:
    """Write down what came of it, as the connection's thread does."""
    config = host.installation.config
    recorded = record(
        bench.engine, lane, [Result(mail, outcome)], config=config, revision=1, worker="context"
    )
    lanes.release(bench.engine, lane)
    return recorded


@pytest.mark.parametrize(("stage", "behaviour", "code"), BROKEN)
def test_a_failing_server_harms_no_mail(
    impatient_bench: HostAndBench,
    server: ScriptedServer,
    stage: Stage,
    behaviour: Behaviour,
    code: str,
) -> None:
    host, bench = impatient_bench
    queue(host, "a@example.org", "b@example.org")
    paused: list[str] = []

    def heard(_app: object, *, code: str, partner_id: str, **_more: object) -> None:
        paused.append(f"{partner_id}: {code}")

    server.behave(stage, behaviour)
    with signals.sender_paused.connected_to(heard):
        bench.tick()
    assert paused == [f"acme: {code}"]
    assert [(one.state, one.attempts) for one in deliveries(host)] == [("queued", 0)] * 2
    sender = sender_row(host)
    assert sender.pause_code == code
    assert sender.paused_until is not None
    connections = server.connections
    bench.tick(timedelta(seconds=50))
    assert server.connections == connections, "it pauses"
    server.behave(stage, None)
    bench.tick(MINUTE * 1.1)
    assert [one.state for one in deliveries(host)] == ["sent", "sent"]
    assert sender_row(host).paused_until is None


def test_a_refused_connection_pauses(host_with_bench: HostAndBench, closed_port: int) -> None:
    host, bench = host_with_bench
    host.save_sender(port=closed_port)
    queue(host)
    bench.tick()
    (one,) = deliveries(host)
    assert (one.state, one.attempts) == ("queued", 0)
    assert sender_row(host).pause_code == "connection_refused"


@pytest.mark.parametrize("behaviour", [Reply("421 4.3.2 Try later"), Close(), Raw(b"hello\r\n")])
def test_a_server_that_is_down_for_hours_uses_up_no_attempt(
    host_with_bench: HostAndBench, server: ScriptedServer, behaviour: Behaviour
) -> None:
    """Nothing of the message was said yet, however often the greeting failed."""
    host, bench = host_with_bench
    queue(host)
    server.behave("greeting", behaviour)
    for quarter in range(24):
        bench.tick(MINUTE * 15.1 * quarter)
    (one,) = deliveries(host)
    assert (one.state, one.attempts) == ("queued", 0)
    assert server.connections == 24
    server.behave("greeting", None)
    bench.tick(MINUTE * 15.1 * 24)
    assert [one.state for one in deliveries(host)] == ["sent"]


def test_pauses_grow_while_nothing_gets_through(
    host_with_bench: HostAndBench, server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    queue(host)
    server.behave("greeting", Reply("421 4.3.2 Try later"))
    at = timedelta()
    for pauses, minutes in enumerate((1, 2, 5, 15, 15), 1):
        bench.tick(at)
        assert sender_row(host).pauses == pauses
        connections = server.connections
        bench.tick(at + MINUTE * minutes * 0.9)
        assert server.connections == connections
        at += MINUTE * minutes * 1.05


def test_pauses_do_not_grow_while_mail_gets_through(
    host_with_bench: HostAndBench, server: ScriptedServer
) -> None:
    """A server that takes a few mails and then says 421 is slow, not down."""
    host, bench = host_with_bench
    queue(host, *(f"r{number}@example.org" for number in range(12)))
    server.behave("mail", [None, None, None, Reply("421 4.3.2 Enough for now")])
    at = timedelta()
    for sent in (3, 6, 9):
        bench.tick(at)
        sender = sender_row(host)
        assert Tally(one.state for one in deliveries(host))["sent"] == sent
        assert sender.pauses == 1
        assert sender.last_accepted_at is not None
        server.behave("mail", [None, None, None, Reply("421 4.3.2 Enough for now")])
        at += MINUTE * 1.1


def test_a_wrong_password_is_tried_once_until_the_settings_change(
    each: HostApp, bench_of: MakeBench
) -> None:
    bench = bench_of(each)
    with ScriptedServer(auth=("acme", "right")) as server:
        account: dict[str, Any] = {"port": server.port, "username": "acme"}
        each.save_sender(password="wrong", **account)
        queue(each)
        bench.tick()
        bench.tick(timedelta(days=2))
        assert sum(len(session.auth_attempts) for session in server.sessions) == 1
        (one,) = deliveries(each)
        assert (one.state, one.attempts) == ("queued", 0)
        assert sender_row(each).pause_code == "auth_failed"
        each.save_sender(password="right", **account)
        assert sender_row(each).paused_until is None
        bench.tick()
        assert [one.state for one in deliveries(each)] == ["sent"]


def test_bad_encryption_says_nothing_secret_and_pauses(
    opened: NewHost, bench_of: MakeBench, certificates: CertificateFactory
) -> None:
    host = opened()
    context = certificates.server_context(certificates.self_signed())
    with ScriptedServer(starttls=context, auth=("acme", "secret")) as server:
        host.save_sender(port=server.port, security="tls", username="acme", password="secret")
        queue(host)
        bench = bench_of(host)
        bench.tick()
        bench.tick(MINUTE * 30)
        assert server.connections == 1, "only a change of the settings helps; ask seldom"
        assert not server.sessions[0].auth_attempts
    assert sender_row(host).pause_code == "certificate_error"
    assert [(one.state, one.attempts) for one in deliveries(host)] == [("queued", 0)]


@pytest.mark.parametrize(
    ("stage", "text", "minutes"),
    [
        ("mail", "421 4.7.0 Slow down", 5),
        ("mail", "550 5.4.5 Daily user sending quota exceeded", 240),
        ("rcpt", "450 4.7.1 Error: too many recipients from 192.0.2.1", 5),
        ("rcpt", "550 5.7.1 Your message was refused: rate limit exceeded", 5),
        ("rcpt", "550 User has exceeded outgoing email quota", 5),
        ("mail", "550 Connection frequency limited", 5),
        ("dot", "452 4.3.1 Too many messages, slow down", 5),
        ("dot", "554 5.7.0 Too many emails per second", 0.5),
        ("rcpt", "550 acme.example has exceeded the max emails per hour (100/100) allowed", 60),
    ],
)
def test_replies_about_the_rate_kill_nothing(
    host_with_bench: HostAndBench,
    server: ScriptedServer,
    stage: Stage,
    text: str,
    minutes: float,
) -> None:
    """Whatever their first digit; the pause lasts as long as the words suggest."""
    host, bench = host_with_bench
    queue(host, *(f"r{number}@example.org" for number in range(8)))
    server.behave(stage, [None, Reply(text), None])
    bench.tick()
    assert Tally((one.state, one.attempts) for one in deliveries(host)) == {
        ("sent", 0): 1,
        ("queued", 0): 7,
    }
    sender = sender_row(host)
    assert (sender.pause_code, sender.pause_reply) == ("rate_limited", text)
    bench.tick(MINUTE * minutes * 0.8)
    assert len(server.messages) == 1
    bench.tick(MINUTE * minutes * 1.1)
    assert {one.state for one in deliveries(host)} == {"sent"}


def test_one_mailbox_that_gets_too_much_does_not_hold_up_the_others(
    host_with_bench: HostAndBench, server: ScriptedServer
) -> None:
    """It waits as long as such a limit lasts, longer than after other refusals."""
    host, bench = host_with_bench
    queue(host, *(f"r{number}@example.org" for number in range(4)))
    text = "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents"
    server.behave("rcpt", [None, Reply(text), None])
    bench.tick()
    assert Tally((one.state, one.attempts) for one in deliveries(host)) == {
        ("sent", 0): 3,
        ("queued", 1): 1,
    }
    assert sender_row(host).paused_until is None
    bench.tick(MINUTE * 19)
    assert len(server.messages) == 3
    bench.tick(MINUTE * 21)
    assert {one.state for one in deliveries(host)} == {"sent"}


@pytest.mark.parametrize("stage", ["mail", "rcpt"])
def test_a_refused_ehlo_name_pauses_and_kills_nothing(
    host_with_bench: HostAndBench, server: ScriptedServer, stage: Stage
) -> None:
    host, bench = host_with_bench
    queue(host, *(f"r{number}@example.org" for number in range(4)))
    text = "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname"
    server.behave(stage, Reply(text))
    bench.tick()
    assert Tally((one.state, one.attempts) for one in deliveries(host)) == {("queued", 0): 4}
    sender = sender_row(host)
    assert (sender.pause_code, sender.pause_cause) == ("server_refused", "name_refused")


def test_a_late_success_does_not_end_the_pause(each: HostApp, bench_of: MakeBench) -> None:
    """On a second connection that was logged in before the password became wrong."""
    each.save_sender()
    queue(each, "a@example.org", "b@example.org")
    bench = bench_of(each)
    held = hold_lanes(each, bench, 2)
    refused = Outcome(Verdict.RELEASED, SenderHealth.MISCONFIGURED, "no", code="auth_failed")
    for (lane, one), outcome in zip(held, (refused, Outcome(Verdict.ACCEPTED)), strict=True):
        note(each, bench, lane, one, outcome)
    sender = sender_row(each)
    assert sender.pause_code == "auth_failed"
    assert sender.paused_until is not None
    assert sender.last_accepted_at is not None


@pytest.mark.parametrize("code", ["auth_failed", "timeout"])
def test_what_failed_with_the_settings_before_pauses_nobody(
    each: HostApp, bench_of: MakeBench, code: str
) -> None:
    """A slow server may fail just after somebody has corrected what was wrong."""
    each.save_sender()
    queue(each)
    bench = bench_of(each)
    ((lane, one),) = hold_lanes(each, bench, 1)
    each.save_sender(host="127.0.0.2")
    health = SenderHealth.MISCONFIGURED if code == "auth_failed" else SenderHealth.DOWN
    failed = Outcome(Verdict.RELEASED, health, "no", code=code, opening=True)
    recorded = note(each, bench, lane, one, failed)
    sender = sender_row(each)
    assert (sender.paused_until, sender.pause_code, sender.pauses) == (None, "", 0)
    assert not recorded.paused
    assert [(one.state, one.attempts) for one in deliveries(each)] == [("queued", 0)]


def test_refusals_of_the_settings_before_do_not_count(each: HostApp, bench_of: MakeBench) -> None:
    each.save_sender()
    queue(each)
    bench = bench_of(each)
    ((lane, one),) = hold_lanes(each, bench, 1)
    each.save_sender(from_email="other@acme.example")
    note(each, bench, lane, one, Outcome(Verdict.PERMANENT, reason="no", code="sender_refused"))
    assert sender_row(each).refusals == 0


def test_connections_that_fail_together_are_one_failure(each: HostApp, bench_of: MakeBench) -> None:
    """A server that restarts breaks all of them off; that is no reason to wait for 15 minutes."""
    each.save_sender(max_connections=5)
    queue(each, *(f"r{number}@example.org" for number in range(5)))
    bench = bench_of(each)
    held = hold_lanes(each, bench, 5)
    broken = Outcome(Verdict.RELEASED, SenderHealth.DOWN, "gone", code="connection_lost")
    for lane, one in held:
        note(each, bench, lane, one, broken)
    sender = sender_row(each)
    assert sender.pauses == 1
    assert sender.paused_until is not None
    assert sender.paused_until < now() + MINUTE * 1.1
    bench.tick(MINUTE * 0.5)
    assert sender_row(each).pauses == 1


def test_of_failures_at_the_same_time_the_gravest_counts(
    each: HostApp, bench_of: MakeBench
) -> None:
    each.save_sender(max_connections=3)
    queue(each, *(f"r{number}@example.org" for number in range(3)))
    bench = bench_of(each)
    held = hold_lanes(each, bench, 3)
    broken = Outcome(Verdict.RELEASED, SenderHealth.DOWN, "gone", code="connection_lost")
    refused = Outcome(Verdict.RELEASED, SenderHealth.MISCONFIGURED, "no", code="auth_failed")
    for (lane, one), outcome in zip(held, (broken, refused, broken), strict=True):
        note(each, bench, lane, one, outcome)
    sender = sender_row(each)
    assert (sender.pause_code, sender.pauses) == ("auth_failed", 1)
    assert sender.paused_until is not None
    assert sender.paused_until > now() + timedelta(days=365)


def test_three_refused_senders_in_a_row_pause(
    host_with_bench: HostAndBench, server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    queue(host, *(f"r{number}@example.org" for number in range(10)))
    server.behave("mail", Reply("550 5.7.1 Sender address rejected: not owned by user"))
    bench.tick()
    assert Tally(one.state for one in deliveries(host)) == {"dead": 2, "queued": 8}
    assert sender_row(host).pause_code == "sender_refused"


def test_a_server_that_relays_for_nobody_pauses(
    host_with_bench: HostAndBench, server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    queue(host, *(f"r{number}@example.org" for number in range(10)))
    server.behave("rcpt", Reply("554 5.7.1 <r@example.org>: Relay access denied"))
    bench.tick()
    assert Tally(one.state for one in deliveries(host)) == {"dead": 2, "queued": 8}
    sender = sender_row(host)
    assert sender.pause_reply == "554 5.7.1 <r@example.org>: Relay access denied"
    assert "Relay access denied" not in sender.pause_reason
    assert sender.pause_cause == "login_missing"


def test_refused_senders_pause_again_after_the_pause(
    host_with_bench: HostAndBench, server: ScriptedServer
) -> None:
    """What is still wrong an hour later must not kill the queue mail by mail."""
    host, bench = host_with_bench
    queue(host, *(f"r{number}@example.org" for number in range(10)))
    server.behave("mail", Reply("550 5.7.1 Sender address rejected: not owned by user"))
    for hour in range(6):
        bench.tick(MINUTE * 61 * hour)
    assert Tally(one.state for one in deliveries(host)) == {"dead": 2, "queued": 8}


def test_refused_senders_are_counted_over_claims(
    host_with_bench: HostAndBench, server: ScriptedServer
) -> None:
    """Mail that trickles in one by one is refused in a row as well."""
    host, bench = host_with_bench
    server.behave("mail", Reply("550 5.7.1 Sender address rejected: not owned by user"))
    for _ in range(6):
        queue(host)
        bench.tick()
    assert Tally(one.state for one in deliveries(host)) == {"dead": 2, "queued": 4}


def test_refused_senders_before_an_accepted_mail_are_not_in_a_row(
    host_with_bench: HostAndBench, server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    refused = Reply("550 5.7.1 Sender address rejected: not owned by user")
    server.behave("mail", [refused, refused, None, refused, None])
    queue(host, *(f"r{number}@example.org" for number in range(3)))
    bench.tick()
    assert sender_row(host).refusals == 0
    queue(host, "d@example.org", "e@example.org")
    bench.tick()
    assert Tally(one.state for one in deliveries(host)) == {"dead": 3, "sent": 2}


@pytest.mark.parametrize("stage", ["rcpt", "data"])
def test_one_poisonous_mail_does_not_stop_the_others(
    host_with_bench: HostAndBench, server: ScriptedServer, stage: Stage
) -> None:
    """A server that hangs up over one message does so every time; the others must get through."""
    host, bench = host_with_bench
    names = ["poison", *(f"r{number}" for number in range(5))]
    queue(host, *(f"{name}@example.org" for name in names))

    def hang_up(_server: ScriptedServer, session: Session, _line: str) -> None:
        last = [line for line in session.commands if line.startswith("RCPT")][-1]
        if "poison" in last:
            raise ConversationError("over and out")

    server.behave(stage, hang_up)
    at = timedelta()
    for _ in range(3):
        bench.tick(at)
        at += MINUTE * 16
    states = {one.recipient: one.state for one in deliveries(host)}
    assert states.pop("poison@example.org") == "queued"
    assert set(states.values()) == {"sent"}
    for _ in range(9):
        queue(host, "another@example.org")
        bench.tick(at)
        at += MINUTE * 16
    states = {one.recipient: one.state for one in deliveries(host)}
    assert states["poison@example.org"] == "dead", "it is given up in the end"
    bench.tick(at)
    assert {one.state for one in deliveries(host)} == {"sent", "dead"}


def test_every_failure_is_written_down(
    host_with_bench: HostAndBench, server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    queue(host)
    server.behave("rcpt", [Reply("450 4.2.0 Mailbox busy"), None])
    bench.tick()
    bench.tick(MINUTE)
    first, second = attempts(host)
    assert (first.verdict, first.code, first.reply) == (
        "temporary",
        "server_refused",
        "450 4.2.0 Mailbox busy",
    )
    assert (second.verdict, second.revision, second.worker) == ("accepted", 1, "context")


def test_one_failing_sender_pauses_alone(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench, closed_port: int
) -> None:
    each.save_sender(port=closed_port)
    each.save_sender("globex", port=server.port)
    queue(each, partner_id="acme")
    queue(each, partner_id="globex")
    bench_of(each).tick()
    assert [one.state for one in deliveries(each)] == ["queued", "sent"]
    assert sender_row(each, "globex").paused_until is None


def test_a_server_that_wants_fewer_connections_is_not_down(
    host_with_bench: HostAndBench, server: ScriptedServer
) -> None:
    """The connection that it refused ends; those that it has taken go on."""
    host, bench = host_with_bench
    server.behave("greeting", [None, Reply("421 4.7.0 Too many connections from your address")])
    queue(host, *(f"r{number}@example.org" for number in range(3)))
    bench.work()
    queue(host, "late@example.org")
    bench.close_connections()
    assert not bench.work()
    assert server.connections == 2
    assert sender_row(host).paused_until is None
    (late,) = [one for one in deliveries(host) if one.state != "sent"]
    assert (late.state, late.attempts, late.lease) == ("queued", 0, None)
    with shifted(timedelta(seconds=100)):
        bench.work()
    assert sender_row(host).paused_until is not None, "nothing was taken for a while"


def test_another_workers_idle_connection_may_be_the_one_too_many(
    host_with_bench: HostAndBench, server: ScriptedServer, bench_of: MakeBench
) -> None:
    """It stays open for a minute after its last mail; the server is well, and sends no faster."""
    host, bench = host_with_bench
    server.behave("greeting", [None, Reply("421 4.7.0 Error: too many connections from ::1")])
    queue(host)
    bench.work()
    queue(host)
    with shifted(timedelta(seconds=55)):
        bench_of(host).work()
    assert server.connections == 2
    assert sender_row(host).paused_until is None
    with shifted(timedelta(seconds=60)):
        bench.work()
    assert [one.state for one in deliveries(host)] == ["sent", "sent"]


@pytest.mark.parametrize("behaviour", [Stall(), Close()], ids=["stall", "close"])
def test_a_server_that_is_full_may_say_nothing(
    impatient_bench: HostAndBench, server: ScriptedServer, behaviour: Behaviour
) -> None:
    """Postfix lets the connection after its last process wait; firewalls cut it off."""
    host, bench = impatient_bench
    host.save_sender(port=server.port, max_connections=2)
    queue(host)
    bench.work()
    bench.close_connections()
    queue(host)
    first = lanes.acquire(bench.engine, sender_row(host).id, "another")
    assert first is not None
    server.behave("greeting", behaviour)
    bench.work()
    assert server.connections == 2
    assert sender_row(host).paused_until is None, "the first connection goes on"
    lanes.release(bench.engine, first)
    bench.work()
    assert sender_row(host).pause_code in {"timeout", "connection_lost"}, "nobody goes on"
