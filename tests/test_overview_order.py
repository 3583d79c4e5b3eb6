"""The order of senders on a large platform: left by a worker, true for whoever looks."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from smtp_admin import Actor
from smtp_admin.clock import now
from smtp_admin.installation import installation
from smtp_admin.monitor import kept_order
from smtp_admin.monitor.alerts.incidents import take_turn_and_look
from smtp_admin.monitor.kept_order import KEPT, keep_order
from smtp_admin.monitor.sender_order import SORTS
from smtp_admin.senders import pauses
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import load_sender
from tests.app import ADMIN, HostApp
from tests.delivery.workbench import queue
from tests.sender_state.scenes import a_worker
from tests.servers.redis_server import RedisServer
from tests.test_overview import (
    have_partners,
    made_dead,
    owners,
    page,
    pause,
    rows,
    sent,
    statements,
)

NINE = [f"p{number}" for number in range(9)]
AS_OF = "Order and filter are from"


@pytest.fixture
def large(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostApp]:
    """Twelve partners, which counts as many here, and a worker; no order is kept yet."""
    monkeypatch.setattr(kept_order, "FEW", 8)
    have_partners(host, 12)
    for number in range(9):
        host.save_sender(f"p{number}", max_per_hour=50, host=f"mail.p{number}.example")
    host.save_sender("p2", key="news", host="bulk.example")
    host.save_sender("")
    pause(host, "p3")
    pause(host, "p5", paused_until=now() + timedelta(days=3650), pause_code="auth_failed")
    queue(host, "a@else.example", "b@else.example", partner_id="p4")
    queue(host, partner_id="p2", sender="news")
    made_dead(host, "p6", 3)
    sent(host, "p7", 9, 2, seconds=4)
    sent(host, "p1", 5, 3)
    with a_worker(host.app):
        yield host


def keep(host: HostApp) -> None:
    host.db.session.remove()
    assert keep_order(host.db.engine) == 14


def shown(host: HostApp, query: str = "") -> tuple[list[str], bool]:
    """The rows, and whether their order was kept."""
    text = page(host, query)
    return rows(text), AS_OF in text


QUERIES = [
    *(f"?sort={way}{sort}" for sort in SORTS for way in ("", "-")),
    "?state=paused", "?state=stopped&sort=name", "?q=bulk", "?q=partner+00&sort=-queued",
    "?q=mail.p3", "?state=system", "?page=2",
]  # fmt: skip


def test_what_is_kept_shows_the_same_as_what_is_found(large: HostApp) -> None:
    found = {query: shown(large, query) for query in QUERIES}
    assert not any(kept for _, kept in found.values())
    keep(large)
    for query in QUERIES:
        assert shown(large, query) == (found[query][0], True), query
    assert all(len(found[f"?sort={sort}"][0]) == 14 for sort in SORTS)


def test_whom_somebody_changed_has_the_new_place_at_once(large: HostApp) -> None:
    keep(large)
    session = large.db.session()
    pauses.pause(session, load_sender(session, "p8"), ADMIN)
    pauses.resume(session, load_sender(session, "p3"), ADMIN)
    session.commit()
    large.save_sender("p9", host="new.example")
    text = page(large, "?state=paused_by_hand")
    assert owners(text) == ["Partner 008"]
    assert AS_OF in text
    assert "Paused 1" not in text
    assert "Partner 009" not in " ".join(owners(page(large, "?state=system")))


def test_who_is_new_or_gone_is_seen_at_once(large: HostApp) -> None:
    keep(large)
    have_partners(large, 13)
    found, kept = shown(large, "?sort=name")
    assert kept
    assert found[-1].startswith("Partner 012")
    have_partners(large, 10)
    found, kept = shown(large, "?sort=name")
    assert kept
    assert found[-1].startswith("Partner 009")


def test_a_row_shows_the_present(large: HostApp) -> None:
    keep(large)
    queue(large, *(f"{n}@else.example" for n in range(7)), partner_id="p0")
    session = large.db.session()
    session.execute(update(Sender).where(Sender.partner_id == "p0").values(last_accepted_at=now()))
    session.commit()
    (row,) = [one for one in shown(large, "?sort=name")[0] if one.startswith("Partner 000")]
    assert "Delivering" in row
    assert "7 drains in 0 min 0 0 0 " in row


def test_a_partners_admin_sees_nobody_elses(large: HostApp) -> None:
    keep(large)
    large.actor = Actor(id="9", email="a@b.example", partner_ids=frozenset({"p3", "p5"}))
    assert owners(page(large)) == ["Partner 005", "Partner 003"]
    mine = frozenset(f"p{number}" for number in range(2, 12))
    large.actor = Actor(id="9", email="a@b.example", partner_ids=mine)
    found, kept = shown(large)
    assert kept
    assert len(found) == 11
    assert not any("System" in one or "Partner 001" in one for one in found)


def test_many_changes_few_partners_and_no_worker_are_looked_at_anew(
    large: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(large)
    assert shown(large)[1]
    monkeypatch.setattr(kept_order, "FEW", 20)
    assert not shown(large)[1]
    assert keep_order(large.db.engine) == 0
    monkeypatch.setattr(kept_order, "FEW", 8)
    for number in range(9):
        large.save_sender(f"p{number}", host="other.example")
    assert not shown(large)[1]
    keep(large)
    assert shown(large)[1]
    monkeypatch.setattr("smtp_admin.delivery.doorbell.Doorbell.workers", lambda _: 0)
    found, kept = shown(large)
    assert not kept
    assert any("Waiting for a worker" in one for one in found)


def test_what_somebody_else_wrote_there_is_no_order(large: HostApp) -> None:
    for text in (
        "", "{}", "[", "[1,2]", "[1,2,3]", '[1e99,0,[]]', '["x",0,[]]', '[1,null,[]]',
        '[1,0,[["p0","","drop",{"state":[1]}]]]', '[1,0,[["p0","","ready",{}]]]',
        '[1,0,[["p0","","ready",{"state":"x"}]]]', "[" * 50_000, "\x00", '[1,-1,[]]',
        '[1,9223372036854775808,[]]', '[NaN,0,[]]', '[1,0,[["p0","",[],{"state":[1]}]]]',
    ):  # fmt: skip
        KEPT.of(installation()).write(text)
        assert shown(large)[1] is False, text[:40]


def test_an_order_of_another_time_is_not_shown(large: HostApp) -> None:
    """One that Redis did not drop, or that somebody wrote: no zone has the ends of all time."""
    keep(large)
    kept = KEPT.of(installation())
    at, last, known = json.loads(kept.redis.client.get(kept.key) or b"")
    for moment in (-62135596800, 0, at - 300, at + 300, 253402300799):
        kept.write(json.dumps([moment, last, known]))
        assert not shown(large)[1], moment
    kept.write(json.dumps([at, last, known]))
    assert shown(large)[1]


def test_who_changed_is_not_lost_among_many_others(large: HostApp) -> None:
    """A partners' admin sees few of those that changed; which of all, is not looked at."""
    large.actor = Actor(id="9", email="a@b.example", partner_ids=frozenset(NINE))
    keep(large)
    assert shown(large)[1]
    for number in range(10, 40):
        large.save_sender(f"p{number}", host="other.example")
    large.save_sender("p8", host="other.example")
    assert not shown(large)[1]


def test_nobody_is_shown_for_whom_the_host_knows_no_partner(large: HostApp) -> None:
    keep(large)
    kept = KEPT.of(installation())
    moment, last, known = json.loads(kept.redis.client.get(kept.key) or b"")
    stranger = ["other", "", "stopped", known[0][3]]
    kept.write(json.dumps([moment, last, [stranger, *known]]))
    found, was_kept = shown(large)
    assert was_kept
    assert len(found) == 14


def test_the_worker_leaves_the_order(large: HostApp) -> None:
    take_turn_and_look(large.db.engine)
    assert shown(large)[1]


def test_a_host_that_cannot_name_its_partners_to_a_worker(
    large: HostApp, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise RuntimeError("no request")

    known = large.host.partners
    vars(large.host)["partners"] = fails
    for _ in range(3):
        assert keep_order(large.db.engine) == 0
    assert caplog.text.count("partners() of the app's own Host raised RuntimeError.") == 1
    assert caplog.text.count("Traceback") == 1
    vars(large.host)["partners"] = known
    assert shown(large)[1] is False


def test_without_redis(large: HostApp, redis: RedisServer) -> None:
    keep(large)
    redis.stop()
    try:
        found, kept = shown(large)
        assert not kept
        assert len(found) == 14
        assert keep_order(large.db.engine) == 14, "a worker goes on"
    finally:
        redis.start()


def test_the_number_of_queries_does_not_grow(large: HostApp) -> None:
    def count(partners: int) -> int:
        have_partners(large, partners)
        assert keep_order(large.db.engine)
        page(large)
        large.db.session.remove()
        with statements(large) as found:
            assert shown(large)[1]
        return len(found)

    assert count(10) == count(60) < 20
