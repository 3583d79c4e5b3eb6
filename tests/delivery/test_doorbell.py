"""Bells wake workers; they cost little, and none is needed."""

import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from smtp_admin.delivery.doorbell import doorbell, queue_name
from tests.app import HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import deliveries, letter, queue, sender_row
from tests.servers.databases import sqlite_url
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer

RESET = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}


@pytest.fixture
def host(opened: NewHost) -> HostApp:
    made = opened()
    made.save_sender()
    made.save_sender("globex")
    return made


@pytest.fixture
def bells(host: HostApp, redis: RedisServer) -> Iterator[Callable[[], list[int]]]:
    """The senders that bells are waiting for, in the order in which workers take them."""
    connection = Redis.from_url(redis.url)
    waiting = Queue(queue_name(host.db.engine), connection=connection, serializer=JSONSerializer)
    redis.flush()

    def rung() -> list[int]:
        return [job.args[0] for job in waiting.jobs]

    yield rung
    connection.close()


def urgent(host: HostApp, partner_id: str) -> None:
    host.plugin.send("password_reset", to="u@example.org", partner_id=partner_id, context=RESET)
    host.db.session.commit()


def test_a_commit_rings_once(host: HostApp, bells: Callable[[], list[int]]) -> None:
    host.plugin.send_message(letter(), partner_id="acme")
    host.plugin.send_message(letter(), partner_id="acme")
    assert bells() == [], "not before the mail is there"
    host.db.session.commit()
    assert bells() == [sender_row(host).id]


def test_bells_of_one_sender_are_one(host: HostApp, bells: Callable[[], list[int]]) -> None:
    for _ in range(20):
        queue(host)
    queue(host, partner_id="globex")
    acme, globex = sender_row(host).id, sender_row(host, "globex").id
    assert bells() == [acme, globex]
    doorbell().answered(acme)
    queue(host)
    assert bells() == [acme, globex, acme]


def test_urgent_bells_go_to_the_front(host: HostApp, bells: Callable[[], list[int]]) -> None:
    acme, globex = sender_row(host).id, sender_row(host, "globex").id
    queue(host)
    urgent(host, "globex")
    assert bells() == [globex, acme]
    urgent(host, "acme")
    assert bells()[0] == acme


def test_a_savepoint_is_no_commit(host: HostApp, bells: Callable[[], list[int]]) -> None:
    with host.db.session.begin_nested():
        host.plugin.send_message(letter(), partner_id="acme")
    assert bells() == []
    host.db.session.commit()
    assert len(bells()) == 1


def test_after_a_rollback_the_next_mail_rings_all_the_same(
    host: HostApp, bells: Callable[[], list[int]]
) -> None:
    host.plugin.send_message(letter(), partner_id="acme")
    host.db.session.rollback()
    queue(host, partner_id="globex")
    assert sender_row(host, "globex").id in bells()
    host.work()
    queue(host)
    assert sender_row(host).id in bells()


def test_a_bell_carries_an_id_and_nothing_else(
    host: HostApp, bells: Callable[[], list[int]], redis: RedisServer
) -> None:
    queue(host, "somebody@example.org")
    urgent(host, "acme")
    dump = redis.dump_text()
    assert b"smtp_admin.worker.jobs.ring" in dump
    for secret in (b"somebody", b"Hello", b"Good morning", b"x.example", b"acme"):
        assert secret not in dump


@pytest.mark.parametrize("redis_is", ["refused", "silent"])
def test_a_request_does_not_wait_for_redis(
    opened: NewHost, redis: RedisServer, server: ScriptedServer, closed_port: int, redis_is: str
) -> None:
    url = f"redis://127.0.0.1:{closed_port}/0" if redis_is == "refused" else redis.url
    host = opened(REDIS_URL=url)
    host.save_sender(port=server.port)

    @host.app.post("/order")
    def order() -> str:
        host.plugin.send_message(letter(), partner_id="acme")
        host.db.session.commit()
        return "thanks"

    client = host.client
    try:
        if redis_is == "silent":
            redis.pause()
        doorbell()._sulking_until = 0.0
        began = time.monotonic()
        assert client.post("/order").status_code == 200
        assert time.monotonic() - began <= 1.0
        began = time.monotonic()
        for _ in range(5):
            assert client.post("/order").status_code == 200
        assert time.monotonic() - began < 2.0, "one of a burst of requests pays"
    finally:
        if redis_is == "silent":
            redis.resume()
    assert [one.state for one in deliveries(host)] == ["queued"] * 6
    host.work()
    assert [one.state for one in deliveries(host)] == ["sent"] * 6


def test_redis_that_comes_back_is_rung_again(
    host: HostApp, bells: Callable[[], list[int]], redis: RedisServer
) -> None:
    bell = doorbell()
    redis.stop()
    assert not bell.ring(1)
    redis.start()
    assert not bell.ring(1), "nobody tries again for five seconds"
    bell._sulking_until = 0.0
    assert bell.ring(1)
    assert bells() == [1]


def test_two_apps_on_one_redis_do_not_take_each_others_bells(
    opened: NewHost, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Their senders have the same numbers, in different databases."""
    folder = tmp_path_factory.mktemp("two")
    first, second = (opened(uri=sqlite_url(folder)) for _ in range(2))
    rung = []
    for host in (first, second):
        with host.app.app_context():
            host.save_sender()
            assert doorbell() is doorbell()
            rung.append(doorbell())
    waiting = {bell._queue.key: bell._queue.count for bell in rung}
    assert list(waiting.values()) == [1, 1]
