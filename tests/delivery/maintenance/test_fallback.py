"""Others step in for a paused sender, and harm no other recipient of the same mail."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from smtp_admin.clock import now, shifted
from smtp_admin.database import host_engine, reading
from smtp_admin.delivery import lanes
from smtp_admin.delivery.claim import claim
from smtp_admin.delivery.maintenance import fallback, moving
from smtp_admin.delivery.models import Delivery, Hop
from smtp_admin.senders.models import Sender
from tests.app import HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import Workbench, deliveries, queue, row_of, sender_row, step_in

PAUSE = timedelta(minutes=15)


def two_senders(host: HostApp) -> None:
    host.save_sender("", from_email="mail@platform.example")
    host.save_sender("acme", fallbacks=("system",))


def pause(host: HostApp) -> None:
    session = host.db.session()
    paused = {"paused_until": now() + PAUSE, "pause_reason": "The server is away."}
    session.execute(update(Sender).where(Sender.partner_id == "acme").values(**paused))
    session.commit()


def test_all_recipients_of_a_mail_are_handed_over_together(
    each: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that stayed behind would go out by the partner's server, in the system's name."""
    monkeypatch.setattr(fallback, "_AT_ONCE", 2)
    two_senders(each)
    queue(each, "a@example.org", "b@example.org", "c@example.org")
    pause(each)
    assert step_in(each) == 3
    assert {one.sender_id for one in deliveries(each)} == {sender_row(each, "").id}


def test_a_recipient_who_may_have_it_keeps_its_bytes(each: HostApp) -> None:
    """It is sent again with the same ones."""
    two_senders(each)
    public_id = queue(each, "a@example.org", "b@example.org")
    before = row_of(each, public_id)
    first, from_email, number = before.content, before.from_email, before.id
    session = each.db.session()
    maybe = update(Delivery).where(Delivery.recipient == "b@example.org")
    session.execute(maybe.values(uncertains=1))
    session.commit()
    pause(each)
    assert step_in(each) == 1
    after = row_of(each, public_id)
    assert (after.content, after.from_email) == (first, from_email)
    moved, kept = deliveries(each)
    assert (kept.message_pk, moved.message_pk != number) == (number, True)


def test_mail_for_later_waits_for_its_own_sender(each: HostApp) -> None:
    two_senders(each)
    queue(each, send_at=now() + timedelta(days=10))
    pause(each)
    assert step_in(each) == 0
    with shifted(timedelta(days=10, minutes=1)):
        pause(each)
        assert step_in(each) == 1


def test_a_pause_that_ends_meanwhile_changes_no_bytes_that_are_being_sent(
    opened: NewHost, shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = opened(uri=shared_database)
    two_senders(host)
    public_id = queue(host)
    first = row_of(host, public_id).content
    pause(host)
    bench = Workbench(host)
    sender_id = sender_row(host).id
    host.db.session.rollback()
    make = moving._with_other_headers
    got = []

    def end_the_pause(*arguments: object, **keywords: object) -> int:
        with shifted(2 * PAUSE):
            lane = lanes.acquire(bench.engine, sender_id, "test")
            assert lane is not None
            batch = claim(bench.engine, lane, 10)
        got.extend(batch.deliveries if batch else [])
        return make(*arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(moving, "_with_other_headers", end_the_pause)
    moved = step_in(host)
    assert len(got) + moved == 1
    if got:
        assert row_of(host, public_id).content == first
    bench.close()


def test_others_may_write_while_mail_is_handed_over(
    each: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that is down pauses many senders at once, with all that waits for them."""
    monkeypatch.setattr(fallback, "_STEP", 1, raising=False)
    monkeypatch.setattr(fallback, "_LONGEST_SECONDS", 60.0)  # a busy machine is no fault
    two_senders(each)
    for _ in range(3):
        queue(each)
    pause(each)
    each.db.session.rollback()
    make = moving._with_other_headers
    committed = []

    def look(*arguments: object, **keywords: object) -> int:
        with reading(host_engine()) as session:
            moved = select(func.count()).select_from(Hop)
            committed.append(session.scalar(moved))
        return make(*arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(moving, "_with_other_headers", look)
    assert step_in(each) == 3
    assert committed == [0, 1, 2]


def test_a_large_backlog_is_handed_over_in_rounds(
    each: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock that does it has other duties, and others write too."""
    monkeypatch.setattr(fallback, "_STEP", 2, raising=False)
    monkeypatch.setattr(fallback, "_LONGEST_SECONDS", 0.0, raising=False)
    two_senders(each)
    for _ in range(5):
        queue(each)
    pause(each)
    assert [step_in(each) for _ in range(4)] == [2, 2, 1, 0]
