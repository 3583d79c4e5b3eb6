"""What a worker had achieved is known to others after it was killed."""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from smtp_admin.delivery.journal import Journal, Lines, forget, read
from smtp_admin.delivery.shared_redis import redis_client
from tests.servers.redis_server import RedisServer
from tests.worker.running import until


@pytest.fixture
def client(redis: RedisServer) -> Iterator[Redis]:
    made = redis_client(redis.url)
    yield made
    made.close()


@pytest.fixture
def journal(client: Redis) -> Iterator[Journal]:
    lines = Lines(client)
    made = Journal(lines, "lease")
    yield made
    lines.close()


def known(client: Redis, accepted: set[int], unknown: set[int], held: Iterable[int]) -> bool:
    # Nobody waits for an answer when a journal is written: it arrives a little later.
    def as_expected() -> bool:
        found = read(client, "lease")
        if found is None:
            return False
        return set(found.accepted) == accepted and found.unknown(set(held)) == unknown

    return until(as_expected)


def test_only_the_first_without_an_entry_can_be_under_way(client: Redis, journal: Journal) -> None:
    journal.begin([11, 12, 13, 14, 15])
    held = [11, 12, 13, 14, 15]
    assert known(client, set(), {11}, held)
    journal.accepted(11)
    journal.settled(12)
    assert known(client, {11}, {13}, held)
    # What is not held has its result in the database already.
    assert known(client, {11}, {14}, [14, 15])
    for one in (13, 14, 15):
        journal.accepted(one)
    assert known(client, {11, 13, 14, 15}, set(), held)


def test_what_was_claimed_and_not_begun_was_not_under_way(client: Redis, journal: Journal) -> None:
    assert journal.begin([])
    assert known(client, set(), set(), [1, 2])
    assert journal.begin([1, 2])
    journal.accepted(1)
    journal.accepted(2)
    assert known(client, {1, 2}, set(), [3, 4])


def test_the_batch_before_stays_until_the_next(client: Redis, journal: Journal) -> None:
    """Its results are being committed while the present one is sent."""
    journal.begin([1, 2])
    journal.accepted(1)
    assert journal.begin([3, 4])
    assert known(client, {1}, {2}, [1, 2, 3, 4])
    journal.accepted(2)
    assert known(client, {1, 2}, {3}, [1, 2, 3, 4])
    journal.accepted(3)
    assert journal.begin([5])
    # What came in after the second began is still told of.
    assert known(client, {2, 3}, {4}, [4, 5])
    assert journal.begin([6])
    assert known(client, set(), {5}, [5, 6])


def test_a_batch_begins_also_where_redis_forgot_the_one_before(
    client: Redis, journal: Journal
) -> None:
    """Else what was accepted and is just being committed would count as never begun."""
    journal.begin([1, 2])
    journal.accepted(1)
    journal.accepted(2)
    client.flushall()
    assert journal.begin([3, 4])
    assert known(client, {1, 2}, {3}, [1, 2, 3, 4])


def test_a_redis_that_is_full_takes_no_batch(client: Redis, journal: Journal) -> None:
    assert journal.begin([1, 2])
    client.config_set("maxmemory", 1)
    assert not journal.begin([3, 4])
    assert not journal.works
    client.config_set("maxmemory", 0)
    assert journal.begin([3, 4])
    assert known(client, set(), {1}, [1, 2, 3, 4])


def test_a_redis_that_is_full_from_the_second_batch_on_takes_no_batch(
    client: Redis, journal: Journal
) -> None:
    """As a lane begins: first with nothing. What is there has as many entries as was to come."""
    assert journal.begin([])
    assert journal.begin([1, 2])
    journal.accepted(1)
    journal.accepted(2)
    assert known(client, {1, 2}, set(), [1, 2])
    client.config_set("maxmemory", 1)
    try:
        assert not journal.begin([3, 4])
    finally:
        client.config_set("maxmemory", 0)
    # Nothing of it is sent; else 3, which may be under way, would count as never begun.
    assert known(client, {1, 2}, set(), [3, 4])


def test_it_outlives_its_writer_until_it_is_forgotten(client: Redis, journal: Journal) -> None:
    journal.begin([1, 2, 3])
    journal.accepted(1)
    assert known(client, {1}, {2}, [1, 2, 3])
    assert 0 < client.ttl("smtp_admin:journal:lease") < 8 * 24 * 3600
    forget(client, "lease")
    assert known(client, set(), {2, 3}, [2, 3])


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
    assert found.unknown({1, 2}) == {1, 2}


def test_a_flushed_journal_vouches_for_nothing_that_it_forgot(
    client: Redis, journal: Journal
) -> None:
    journal.begin([1, 2, 3])
    journal.accepted(1)
    assert known(client, {1}, {2}, [1, 2, 3])
    client.flushall()
    journal.accepted(2)
    assert known(client, {2}, {1, 3}, [1, 2, 3])


def test_redis_that_is_away_is_noticed_and_found_again(
    redis: RedisServer, client: Redis, journal: Journal, monkeypatch: pytest.MonkeyPatch
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
    monkeypatch.setattr("smtp_admin.delivery.journal.AGAIN_SECONDS", 120.0)
    assert not journal.begin([2])
    redis.start()
    assert not journal.begin([2]), "others need not wait for it too"
    monkeypatch.setattr("smtp_admin.delivery.journal.AGAIN_SECONDS", 0.0)
    assert journal.begin([3, 4])
    assert known(client, {1}, {3}, [3, 4])


def test_many_entries_arrive_in_order(client: Redis, journal: Journal) -> None:
    """No answer is read, so none may pile up and block the writer."""
    journal.begin(range(5000))
    for one in range(4999):
        journal.accepted(one)
    assert known(client, set(range(4999)), {4999}, range(5000))


def test_many_lanes_wait_for_a_silent_redis_together(
    redis: RedisServer, redis_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smtp_admin.delivery.journal.AGAIN_SECONDS", 120.0)
    client = redis_client(redis.url)
    lines = Lines(client, 1)
    assert Journal(lines, "before").begin([1])
    redis.pause()
    try:
        began = time.monotonic()
        with ThreadPoolExecutor(50) as threads:
            journals = [Journal(lines, f"lease {number}") for number in range(50)]
            assert not any(threads.map(lambda journal: journal.begin([1]), journals))
        assert time.monotonic() - began < 10 * redis_seconds
    finally:
        redis.resume()
    lines.close()
    client.close()


def test_what_another_lane_lost_with_the_line_is_known_here(
    redis: RedisServer, client: Redis
) -> None:
    lines = Lines(client, 1)
    first, second = Journal(lines, "first"), Journal(lines, "second")
    assert first.begin([1, 2])
    redis.stop()
    redis.start()
    assert second.begin([3])
    first.accepted(1)
    assert not first.works, "the line is another one by now"
    lines.close()


def test_silent_redis_costs_little(redis: RedisServer, redis_seconds: float) -> None:
    client = redis_client(redis.url)
    redis.pause()
    try:
        began = time.monotonic()
        made = Journal(Lines(client), "lease")
        made.begin([1])
        made.accepted(1)
        assert not made.works
        assert time.monotonic() - began < 10 * redis_seconds
    finally:
        redis.resume()
    client.close()


def test_lanes_share_a_few_connections(
    redis: RedisServer, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each connection of its own would be one more that Redis keeps, or refuses."""
    lines = Lines(client)
    before = int(client.info("clients")["connected_clients"])
    for number in range(300):
        made = Journal(lines, f"lease {number}")
        assert made.begin([1])
        made.accepted(1)
        made.finish()
    assert int(client.info("clients")["connected_clients"]) <= before + 4
    redis.stop()
    made = Journal(lines, "another")
    assert not made.begin([1])
    redis.start()
    monkeypatch.setattr("smtp_admin.delivery.journal.AGAIN_SECONDS", 0.0)
    assert made.begin([1])
    lines.close()
