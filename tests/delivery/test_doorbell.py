"""Bells wake workers; they cost little, and none is needed."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from smtp_admin.delivery.doorbell import Named, doorbell, queue_name
from smtp_admin.delivery.shared_redis import shared_redis
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


@dataclass
class Bells:
    """What waits in Redis for a worker."""

    connection: Redis
    queue: Queue

    @property
    def named(self) -> tuple[set[int], set[int]]:
        """The senders with urgent mail, and the others."""
        kinds = (f"{self.queue.name}:named:{kind}" for kind in ("urgent", "others"))
        urgent, others = ({int(one) for one in self.connection.smembers(key)} for key in kinds)
        return urgent, others

    @property
    def jobs(self) -> int:
        return self.queue.count


@pytest.fixture
def bells(host: HostApp, redis: RedisServer) -> Iterator[Bells]:
    connection = Redis.from_url(redis.url)
    waiting = Queue(queue_name(host.db.engine), connection=connection, serializer=JSONSerializer)
    redis.flush()
    yield Bells(connection, waiting)
    connection.close()


def urgent(host: HostApp, partner_id: str) -> None:
    host.plugin.send("password_reset", to="u@example.org", partner_id=partner_id, context=RESET)
    host.db.session.commit()


def test_a_commit_rings_once(host: HostApp, bells: Bells) -> None:
    host.plugin.send_message(letter(), partner_id="acme")
    host.plugin.send_message(letter(), partner_id="acme")
    assert bells.jobs == 0, "not before the mail is there"
    host.db.session.commit()
    assert bells.jobs == 1
    assert bells.named == (set(), {sender_row(host).id})


def test_one_bell_names_many_senders(host: HostApp, bells: Bells) -> None:
    for _ in range(20):
        queue(host)
    queue(host, partner_id="globex")
    acme, globex = sender_row(host).id, sender_row(host, "globex").id
    assert (bells.jobs, bells.named) == (1, (set(), {acme, globex}))
    assert set(doorbell().answer(10).others) == {acme, globex}
    assert bells.named == (set(), set())
    queue(host)
    assert (bells.jobs, bells.named) == (2, (set(), {acme}))


def test_what_one_worker_leaves_rings_for_the_next(host: HostApp, bells: Bells) -> None:
    acme, globex = sender_row(host).id, sender_row(host, "globex").id
    queue(host)
    queue(host, partner_id="globex")
    bells.connection.delete(bells.queue.key)  # the bell that a worker has just heard
    first = doorbell().answer(1)
    assert bells.jobs == 1
    bells.connection.delete(bells.queue.key)
    second = doorbell().answer(1)
    assert {*first.others, *second.others} == {acme, globex}
    assert bells.jobs == 0


def test_urgent_bells_go_to_the_front(host: HostApp, bells: Bells) -> None:
    acme, globex = sender_row(host).id, sender_row(host, "globex").id
    queue(host)
    usual = bells.queue.job_ids
    urgent(host, "globex")
    assert bells.queue.job_ids[1:] == usual
    urgent(host, "acme")
    assert bells.named == ({acme, globex}, {acme})
    assert set(doorbell().answer(1).urgent) == {acme, globex}


def test_while_no_worker_listens_bells_do_not_pile_up(
    host: HostApp, bells: Bells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for each sender and quarter of a minute was 11,735 for 1,000 senders in 198 seconds."""
    for _ in range(300):
        # What a quarter of a minute without a worker does.
        bells.connection.delete(f"{bells.queue.name}:bell:others")
        assert doorbell().ring(sender_row(host).id)
    assert bells.jobs == 100


def test_a_savepoint_is_no_commit(host: HostApp, bells: Bells) -> None:
    with host.db.session.begin_nested():
        host.plugin.send_message(letter(), partner_id="acme")
    assert bells.jobs == 0
    host.db.session.commit()
    assert bells.jobs == 1


def test_after_a_rollback_the_next_mail_rings_all_the_same(host: HostApp, bells: Bells) -> None:
    host.plugin.send_message(letter(), partner_id="acme")
    host.db.session.rollback()
    queue(host, partner_id="globex")
    assert sender_row(host, "globex").id in bells.named[1]
    host.work()
    queue(host)
    assert sender_row(host).id in bells.named[1]


def test_a_bell_carries_an_id_and_nothing_else(
    host: HostApp, bells: Bells, redis: RedisServer
) -> None:
    queue(host, "somebody@example.org")
    urgent(host, "acme")
    dump = redis.dump_text()
    assert b"smtp_admin.worker.jobs.ring" in dump
    for secret in (b"somebody", b"Hello", b"Good morning", b"x.example", b"acme"):
        assert secret not in dump


def test_what_somebody_else_wrote_beside_a_bell_names_nobody(host: HostApp, bells: Bells) -> None:
    key = f"{bells.queue.name}:named:others"
    bells.connection.sadd(key, "7", "-1", "x", "9" * 30, "\u00b2", "")
    assert doorbell().answer(10).others == (7,)
    bells.connection.set(key, "not a set")
    assert doorbell().answer(10) == Named()
    assert not doorbell().ring(1)
    shared_redis().ask_at_once()
    assert doorbell().ring(1), "what was no set is gone"


@pytest.mark.parametrize("redis_is", ["refused", "silent"])
def test_a_request_does_not_wait_for_redis(
    opened: NewHost,
    redis: RedisServer,
    server: ScriptedServer,
    closed_port: int,
    redis_is: str,
    redis_seconds: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smtp_admin.delivery.shared_redis._SILENT_SECONDS", 120.0)
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
        shared_redis().ask_at_once()
        began = time.monotonic()
        assert client.post("/order").status_code == 200
        assert time.monotonic() - began < 10, "by itself redis-py would wait for a minute"
        began = time.monotonic()
        for _ in range(5):
            assert client.post("/order").status_code == 200
        assert time.monotonic() - began < 5 * redis_seconds, "one of a burst of requests pays"
    finally:
        if redis_is == "silent":
            redis.resume()
    assert [one.state for one in deliveries(host)] == ["queued"] * 6
    host.work()
    assert [one.state for one in deliveries(host)] == ["sent"] * 6


def test_redis_that_comes_back_is_rung_again(
    host: HostApp, bells: Bells, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smtp_admin.delivery.shared_redis._SILENT_SECONDS", 120.0)
    bell = doorbell()
    redis.stop()
    assert not bell.ring(1)
    redis.start()
    assert not bell.ring(1), "nobody tries again for some seconds"
    shared_redis().ask_at_once()
    assert bell.ring(1)
    assert bells.named == (set(), {1})


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
