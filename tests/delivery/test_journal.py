"""What a worker had achieved is known to others after it was killed."""

import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from smtp_admin.delivery.doorbell import redis_client
from smtp_admin.delivery.journal import Found, Journal, forget, read
from tests.servers.redis_server import RedisServer


@pytest.fixture
def client(redis: RedisServer) -> Iterator[Redis]:
    made = redis_client(redis.url)
    yield made
    made.close()


@pytest.fixture
def journal(client: Redis) -> Iterator[Journal]:
    made = Journal(client, "lease")
    yield made
    made.close()


def until(true: Callable[[], bool]) -> bool:
    """Nobody waits for an answer when a journal is written: it arrives a little later."""
    ends = time.monotonic() + 2
    while not true() and time.monotonic() < ends:
        time.sleep(0.005)
    return true()


def known(client: Redis, accepted: set[int], untouched: set[int]) -> bool:
    expected = Found(frozenset(accepted), frozenset(untouched))

    def as_expected() -> bool:
        return read(client, "lease") == expected

    return until(as_expected)


def test_only_the_first_without_an_entry_can_be_under_way(client: Redis, journal: Journal) -> None:
    journal.begin([11, 12, 13, 14, 15])
    assert known(client, set(), {12, 13, 14, 15})
    journal.accepted(11)
    journal.settled(12)
    assert known(client, {11}, {12, 14, 15})
    for one in (13, 14, 15):
        journal.accepted(one)
    assert known(client, {11, 13, 14, 15}, {12})


def test_each_batch_begins_anew(client: Redis, journal: Journal) -> None:
    journal.begin([1, 2])
    journal.accepted(1)
    journal.begin([3, 4])
    assert known(client, set(), {4})


def test_it_outlives_its_writer_until_it_is_forgotten(client: Redis, journal: Journal) -> None:
    journal.begin([1, 2, 3])
    journal.accepted(1)
    journal.close()
    assert known(client, {1}, {3})
    assert 0 < client.ttl("smtp_admin:journal:lease") < 8 * 24 * 3600
    forget(client, "lease")
    assert known(client, set(), set())


def test_finished_leaves_nothing(client: Redis, journal: Journal) -> None:
    journal.begin([1])
    assert until(lambda: bool(client.exists("smtp_admin:journal:lease")))
    journal.accepted(1)
    journal.finish()
    assert until(lambda: not client.exists("smtp_admin:journal:lease"))


def test_nothing_is_known_without_an_entry(client: Redis) -> None:
    found = read(client, "another")
    assert found is not None
    assert not found.accepted
    assert not found.untouched


def test_a_flushed_journal_vouches_for_nothing_that_it_forgot(
    client: Redis, journal: Journal
) -> None:
    journal.begin([1, 2, 3])
    journal.accepted(1)
    assert known(client, {1}, {3})
    client.flushall()
    journal.accepted(2)
    assert known(client, {2}, set())


def test_redis_that_is_away_is_noticed_and_found_again(
    redis: RedisServer, client: Redis, journal: Journal
) -> None:
    journal.begin([1])
    assert journal.works
    redis.stop()
    assert read(client, "lease") is None
    forget(client, "lease")

    def gone() -> bool:
        journal.accepted(1)
        return not journal.works

    assert until(gone)
    journal.begin([2])
    assert gone()
    redis.start()
    journal.begin([3, 4])
    assert journal.works
    assert known(client, set(), {4})


def test_many_entries_arrive_in_order(client: Redis, journal: Journal) -> None:
    """No answer is read, so none may pile up and block the writer."""
    journal.begin(range(5000))
    for one in range(4999):
        journal.accepted(one)
    assert known(client, set(range(4999)), set())


def test_silent_redis_costs_little(redis: RedisServer, client: Redis) -> None:
    redis.pause()
    try:
        began = time.monotonic()
        made = Journal(client, "lease")
        made.begin([1])
        made.accepted(1)
        assert not made.works
        assert time.monotonic() - began < 2
    finally:
        redis.resume()
