"""The reply after the final dot was lost: the server may have the mail, or not (RFC 1047)."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from smtp_admin import signals
from smtp_admin.clock import shifted
from smtp_admin.delivery.claim import claim
from smtp_admin.delivery.lanes import acquire
from smtp_admin.delivery.maintenance.rescue import rescue
from smtp_admin.delivery.maintenance.settle_unknown import settle_unknown
from smtp_admin.delivery.models import Counter, Message
from tests.app import HostApp
from tests.delivery.workbench import Workbench, attempts, deliveries, queue, row_of, sender_row
from tests.servers.scripted import Close, Raw, Reset, ScriptedServer, Stage, Stall, Step

HostAndBench = tuple[HostApp, Workbench]

LATER = timedelta(minutes=3)

#: After each of these nobody knows; the first ones also hide that the mail arrived.
LOST: list[tuple[Stage, Step]] = [
    ("dot", Close()),
    ("dot", Reset()),
    ("dot", Stall()),
    ("dot", Raw(b"what?\r\n")),
    ("body", Close()),
]


@pytest.mark.parametrize(("stage", "behaviour"), LOST)
def test_a_lost_reply_is_uncertain_and_the_mail_is_sent_once_more(
    impatient_bench: HostAndBench, server: ScriptedServer, stage: Stage, behaviour: Step
) -> None:
    host, bench = impatient_bench
    public_id = queue(host)
    server.behave(stage, [behaviour, None])
    bench.tick()
    (one,) = deliveries(host)
    assert (one.state, one.attempts, one.uncertains) == ("uncertain", 0, 1)
    bench.tick(timedelta(seconds=50))
    assert server.occurrences("mail") == 1, "it rests, for the answer may come another way"
    bench.tick(LATER)
    (one,) = deliveries(host)
    assert one.state == "sent"
    bodies = [body.data for session in server.sessions for body in session.bodies]
    assert set(bodies) == {row_of(host, public_id).content}
    assert [line.verdict for line in attempts(host)] == ["uncertain", "accepted"]


def test_what_stays_unknown_twice_is_left_to_a_person(
    each: HostApp, server: ScriptedServer, bench_of: Callable[..., Workbench]
) -> None:
    each.save_sender(port=server.port)
    public_id = queue(each)
    server.behave("dot", Close())
    bench = bench_of(each)
    for round_ in range(5):
        bench.tick(LATER * round_)
    (one,) = deliveries(each)
    assert (one.state, one.uncertains) == ("dead", 2)
    bodies = [body.data for session in server.sessions for body in session.bodies]
    assert bodies == [row_of(each, public_id).content] * 2


def test_a_dead_letter_that_no_worker_lived_to_see_is_announced_and_counted(
    each: HostApp, server: ScriptedServer, bench_of: Callable[..., Workbench]
) -> None:
    each.save_sender(port=server.port)
    public_ids = {queue(each, f"{name}@example.org") for name in "ab"}
    bench = bench_of(each)
    for round_ in range(2):
        with shifted(LATER * round_):
            settle_unknown(each.app, bench.engine)
            lane = acquire(bench.engine, sender_row(each).id, "doomed")
            assert lane is not None
            assert claim(bench.engine, lane, 10) is not None
            bench.lose_lease()
            assert rescue(bench.engine, bench.redis) == 2
    heard: list[dict[str, object]] = []

    def hear(_app: object, **arguments: object) -> None:
        heard.append(arguments)

    with signals.delivery_dead.connected_to(hear):
        bench.tick(LATER * 2)
        bench.tick(LATER * 3)
    assert {one.state for one in deliveries(each)} == {"dead"}
    assert {one["public_id"] for one in heard} == public_ids
    assert len(heard) == 2
    assert {one["reason"] for one in heard} == {deliveries(each)[0].last_error}
    assert each.db.session.scalars(select(func.sum(Counter.dead))).one() == 2


def test_what_is_to_be_held_is_not_sent_again(
    each: HostApp, server: ScriptedServer, bench_of: Callable[..., Workbench]
) -> None:
    each.save_sender(port=server.port)
    queue(each)
    each.db.session.execute(update(Message).values(on_uncertain="hold"))
    each.db.session.commit()
    server.behave("dot", [Close(), None])
    bench = bench_of(each)
    for round_ in range(3):
        bench.tick(timedelta(days=round_))
    (one,) = deliveries(each)
    assert (one.state, server.occurrences("mail")) == ("uncertain", 1)


def test_an_unknown_outcome_counts_against_the_limit_also_after_it_was_queued_again(
    each: HostApp, server: ScriptedServer, bench_of: Callable[..., Workbench]
) -> None:
    """The server may have taken it both times, and counts both."""
    each.save_sender(port=server.port, max_per_hour=10)
    for number in range(20):
        reset = {"name": "Sam", "reset_url": f"https://x.example/{number}", "expires_minutes": 5}
        each.plugin.send(
            "password_reset", to=f"r{number}@example.org", partner_id="acme", context=reset
        )
    each.db.session.commit()
    server.behave("dot", [Close(), None])
    bench = bench_of(each)
    for minutes in range(0, 50, 5):
        bench.tick(timedelta(minutes=minutes))
    assert server.occurrences("dot") == 10


def test_an_unknown_outcome_pauses_the_sender_for_a_moment(
    host_with_bench: HostAndBench, server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    queue(host, "a@example.org", "b@example.org")
    server.behave("dot", [Close(), None])
    bench.tick()
    assert [one.state for one in deliveries(host)] == ["uncertain", "queued"]
    assert sender_row(host).pause_code == "connection_lost"
    bench.tick(LATER)
    bench.tick(LATER)
    assert [one.state for one in deliveries(host)] == ["sent", "sent"]


def test_a_person_who_tries_again_frees_no_place_under_the_limit(
    each: HostApp, server: ScriptedServer, bench_of: Callable[..., Workbench]
) -> None:
    """What the server may have taken this hour still counts, whoever sends it again."""
    each.save_sender(port=server.port, max_per_hour=10)
    public_ids = [queue(each, f"r{number}@example.org") for number in range(12)]
    each.db.session.execute(update(Message).values(on_uncertain="hold"))
    each.db.session.commit()
    server.behave("dot", [Close(), Close(), Close(), None])
    bench = bench_of(each)
    for minutes in (0, 2, 8, 20):
        bench.tick(timedelta(minutes=minutes))
    unknown = [one for one in deliveries(each) if one.state == "uncertain"]
    assert len(unknown) == 3
    for public_id in public_ids[:3]:
        assert each.plugin.retry(public_id) == 1
    each.db.session.commit()
    for minutes in (21, 25, 30):
        bench.tick(timedelta(minutes=minutes))
    assert server.occurrences("dot") == 9, "a tenth is kept for urgent mail"
    bench.tick(timedelta(days=2))
    assert {one.state for one in deliveries(each)} == {"sent"}
