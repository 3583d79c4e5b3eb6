"""Whose turn it is when more lanes wait than have a place."""

from collections import Counter as Tally

import pytest

from smtp_admin.delivery.maintenance.due import DueSender, Health
from smtp_admin.worker.shares import HEALTHS, Use, WaitingLanes

MOST = 256


def of(sender_id: int, health: Health = "well", *, urgent: bool = False) -> DueSender:
    return DueSender(sender_id, f"partner {sender_id}", health, urgent)


def nobody(_: DueSender) -> None:
    return None


def taken(lanes: WaitingLanes, count: int, use: Use | None = None) -> list[DueSender]:
    return [one for _ in range(count) if (one := lanes.take(use or Use({}), nobody)) is not None]


def crowd() -> WaitingLanes:
    """A thousand of each kind."""
    lanes = WaitingLanes(MOST)
    for number, health in enumerate(HEALTHS):
        for each in range(1000):
            lanes.put(of(10_000 * number + each, health))
    return lanes


def test_each_waits_once_in_the_order_of_coming() -> None:
    lanes = WaitingLanes(MOST)
    for sender_id in (1, 2, 1, 3):
        lanes.put(of(sender_id))
    assert [one.sender_id for one in taken(lanes, 9)] == [1, 2, 3]


def test_urgent_mail_goes_to_the_front_and_stays_one() -> None:
    lanes = WaitingLanes(MOST)
    for sender_id in (1, 2, 3):
        lanes.put(of(sender_id))
    lanes.put(of(3, urgent=True))
    lanes.put(of(3))
    assert [one.sender_id for one in taken(lanes, 9)] == [3, 1, 2]


def test_who_gets_well_waits_among_the_well_alone() -> None:
    lanes = WaitingLanes(MOST)
    lanes.put(of(1, "failing"))
    lanes.put(of(1, "well"))
    assert (lanes.count("failing"), lanes.count("well")) == (0, 1)


def test_most_turns_are_for_those_that_are_well_and_nobody_starves() -> None:
    turns = Tally(one.health for one in taken(crowd(), 90))
    assert turns == {"well": 40, "tested": 20, "new": 20, "failing": 10}


def test_who_waits_alone_has_every_turn() -> None:
    lanes = crowd()
    while lanes.count("well"):
        lanes.take(Use({"tested": MOST, "new": MOST, "failing": MOST}), nobody)
    assert {one.health for one in taken(lanes, 9)} == {"tested", "new", "failing"}


@pytest.mark.parametrize(
    ("health", "most"), [("well", 256), ("tested", 64), ("new", 96), ("failing", 64)]
)
def test_no_kind_fills_the_room_of_the_others(health: Health, most: int) -> None:
    lanes = WaitingLanes(MOST)
    lanes.put(of(1, health))
    assert taken(lanes, 1, Use({health: most})) == []
    assert taken(lanes, 1, Use({health: most - 1})) == [of(1, health)]


def test_memory_is_for_those_that_are_well() -> None:
    lanes = crowd()
    full = Use({}, held=64 * 1024 * 1024)
    assert {one.health for one in taken(lanes, 20, full)} == {"well"}
    assert taken(lanes, 1, Use({}, held=192 * 1024 * 1024)) == []


def test_who_must_not_begin_is_passed_over_and_comes_back() -> None:
    lanes = WaitingLanes(MOST)
    lanes.put(of(1))
    lanes.put(of(2))
    assert lanes.take(Use({}), lambda sender: "why" if sender.sender_id == 1 else None) == of(2)
    assert len(lanes) == 0
    lanes.back("another reason")
    assert len(lanes) == 0
    lanes.back("why")
    assert lanes.take(Use({}), nobody) == of(1)


def test_a_crowd_is_more_than_there_is_room_for() -> None:
    lanes = WaitingLanes(MOST)
    for sender_id in range(64):
        lanes.put(of(sender_id, "failing"))
    assert not lanes.is_crowded("failing")
    lanes.put(of(64, "failing"))
    assert lanes.is_crowded("failing")
