"""What is asked about a mail just before it is sent."""

from collections.abc import Mapping, Sequence

import pytest
from sqlalchemy import Connection, Engine

from smtp_admin.delivery import checks, engine
from smtp_admin.delivery.claim import Claimed
from tests.app import HostApp
from tests.delivery.test_engine import MakeBench
from tests.delivery.workbench import Workbench, deliveries, queue
from tests.servers.scripted import ScriptedServer

#: The type of messages that the host made itself.
OWN = "message"


def only_odd(database: Engine | Connection, asked: Sequence[Claimed]) -> Mapping[int, str]:
    """Who has an even number wants no mail."""
    return {
        one.id: "An even number." for one in asked if int(one.recipient[1:].split("@")[0]) % 2 == 0
    }


def test_what_is_not_wanted_any_more_is_cancelled(
    each: HostApp, server: ScriptedServer, bench_of: MakeBench
) -> None:
    each.save_sender(port=server.port)
    checks.register(each.installation, OWN, only_odd)
    queue(each, *(f"r{number}@example.org" for number in range(4)))
    bench_of(each).work()
    assert [one.state for one in deliveries(each)] == ["cancelled", "sent"] * 2
    cancelled = deliveries(each)[0]
    assert (cancelled.last_code, cancelled.last_error) == (checks.NOT_NEEDED, "An even number.")
    assert cancelled.lease is None
    assert cancelled.attempts == 0
    assert [one.recipients for one in server.messages] == [["r1@example.org"], ["r3@example.org"]]


def test_batches_of_which_nothing_is_wanted_hold_nothing_up(
    host_with_bench: tuple[HostApp, Workbench],
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "FIRST_BATCH", 2)
    monkeypatch.setattr(engine, "MOST_AT_ONCE", 2)
    host, bench = host_with_bench
    host.save_sender(port=server.port)
    checks.register(host.installation, OWN, only_odd)
    queue(host, *(f"r{number}@example.org" for number in (0, 2, 4, 6, 1, 8, 10, 3)))
    bench.work()
    assert [one.recipients for one in server.messages] == [["r1@example.org"], ["r3@example.org"]]
    assert {one.state for one in deliveries(host)} == {"cancelled", "sent"}


def test_a_check_that_fails_holds_nothing_up(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    host.save_sender(port=server.port)

    def broken(database: Engine | Connection, asked: Sequence[Claimed]) -> Mapping[int, str]:
        raise RuntimeError("the host's mistake")

    checks.register(host.installation, OWN, broken)
    queue(host, "r1@example.org")
    bench.work()
    assert [one.state for one in deliveries(host)] == ["sent"]


def test_mail_of_other_types_is_not_asked_about(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    host.save_sender(port=server.port)
    checks.register(host.installation, "another", only_odd)
    queue(host, "r2@example.org")
    bench.work()
    assert [one.state for one in deliveries(host)] == ["sent"]
