"""Whoever can write to Redis can put any job there; none of them runs, and mail still goes out."""

import json
import os
import pickle
import socket
import tracemalloc
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq.exceptions import NoSuchJobError
from rq.serializers import JSONSerializer

from smtp_admin.delivery.doorbell import RING_FUNCTION, TEST_FUNCTION, queue_name
from smtp_admin.worker import jobs
from smtp_admin.worker.bells import _is_bell
from tests.delivery.workbench import deliveries, queue
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import Site, until

EVIL = """
from pathlib import Path

Path("executed-by-import").touch()


def boom(*arguments, **keywords):
    Path("executed-by-call").touch()
"""


@cache
def bomb() -> bytes:
    """A hundred thousand bytes that become a hundred million; made when a test asks for it."""
    return zlib.compress(bytes(100_000_000))


class Explosive:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed-by-pickle",)


def call(function: str, *arguments: object, instance: object = None, **keywords: object) -> bytes:
    return json.dumps([function, instance, arguments, keywords]).encode()


def forgeries(listener_port: int) -> Iterator[dict[str, bytes]]:
    """The fields of each forged job."""
    yield {"data": call("os.system", "touch executed-by-name")}
    yield {"data": call("subprocess.check_call", ["touch", "executed-by-list"])}
    yield {"data": call("builtins.exec", "open('executed-by-exec', 'w')")}
    yield {"data": call("evil.boom")}
    yield {"data": call("smtp_admin.worker.jobs.listen", "nobody")}
    yield {"data": call(RING_FUNCTION, 1, instance="evil")}
    yield {"data": pickle.dumps(Explosive())}
    yield {"data": pickle.dumps(("os.system", None, ("touch executed-by-name",), {}))}
    yield {"data": call(RING_FUNCTION, 1), "meta": pickle.dumps(Explosive())}
    for name in ("success", "failure", "stopped"):
        yield {"data": call(RING_FUNCTION, 1), f"{name}_callback_name": b"evil.boom"}
        yield {"data": call(RING_FUNCTION, "x"), f"{name}_callback_name": b"evil.boom"}
    hook = [{"url": f"http://127.0.0.1:{listener_port}/", "statuses": ["finished", "failed"]}]
    yield {"data": call(RING_FUNCTION, 1), "webhooks": json.dumps(hook).encode()}
    for arguments in ((), ("1",), (True,), (None,), (1.5,), ([1],), (1, 2), (-1,), (10**30,)):
        yield {"data": call(RING_FUNCTION, *arguments)}
        yield {"data": call(TEST_FUNCTION, *arguments)}
    yield {"data": call(RING_FUNCTION, 999_999)}
    yield {"data": call(TEST_FUNCTION, 999_999)}
    yield {"data": call(TEST_FUNCTION, 1, instance="evil")}
    yield {"data": call(TEST_FUNCTION, 1, host="evil.example")}
    yield {"data": call(RING_FUNCTION, sender_id=1, extra=2)}
    for field in ("data", "exc_info", "meta", "result"):
        yield {"data": call(RING_FUNCTION, 1), field: bomb()}
        yield {"data": call(RING_FUNCTION, 1), field: b"x" * 5_000_000}
    yield {"data": b"not json at all"}
    yield {"data": b"[]"}
    yield {"created_at": b"2026-01-01T00:00:00Z"}


def safe_job(data: bytes) -> jobs.SafeJob:
    job = jobs.SafeJob("x", connection=Redis(), serializer=JSONSerializer)
    job.data = data
    return job


@pytest.mark.parametrize(
    ("function", "takes"), [(RING_FUNCTION, ()), (TEST_FUNCTION, (1,))], ids=["ring", "test"]
)
def test_a_bell_is_one_of_two_functions_as_we_call_it(
    function: str, takes: tuple[object, ...]
) -> None:
    """Nothing else takes the short way, where RQ does not watch."""
    assert _is_bell(safe_job(call(function, *takes)))
    others = [
        call("os.system", 1),
        call(function, 1, instance="evil"),
        call(function, 1, more=1),
        call(function, sender_id=1),
        b"no json",
        b"[]",
        pickle.dumps(Explosive()),
        *(
            call(function, *arguments)
            for arguments in ((), (1,), ("1",), (True,), (None,), (1.5,), ([1],), (1, 2))
            if arguments != takes
        ),
    ]
    assert [one for one in others if _is_bell(safe_job(one))] == []


@pytest.mark.parametrize("field", ["data", "exc_info"])
def test_what_would_fill_the_memory_is_not_unpacked(field: str) -> None:
    fields: dict[bytes, bytes] = {b"data": call(RING_FUNCTION, 1), field.encode(): bomb()[:60_000]}
    tracemalloc.start()
    try:
        with pytest.raises(NoSuchJobError):
            safe_job(b"").restore(fields)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_bell_of_ours_is_restored() -> None:
    for data in (call(TEST_FUNCTION, 7), zlib.compress(call(TEST_FUNCTION, 7))):
        job = safe_job(b"")
        job.restore({b"data": data, b"origin": b"x"})
        assert job.args == [7]


def forge(connection: Redis, name: str, number: int, fields: dict[str, bytes]) -> None:
    common = {"origin": name, "status": "queued", "timeout": "180"}
    mapping: dict[Any, Any] = common | fields
    connection.hset(f"rq:job:forged{number}", mapping=mapping)
    connection.rpush(f"rq:queue:{name}", f"forged{number}")


def test_no_forged_job_runs_and_the_worker_lives_on(tmp_path: Path, redis: RedisServer) -> None:
    site = Site(tmp_path, redis.url)
    (tmp_path / "evil.py").write_text(EVIL)
    with (
        ScriptedServer() as server,
        socket.create_server(("127.0.0.1", 0)) as listener,
        site.opened() as host,
        site.worker() as worker,
    ):
        listener.settimeout(0)
        host.save_sender(port=server.port)
        worker.ready()
        connection = Redis.from_url(redis.url)
        name = queue_name(host.db.engine)
        for number, fields in enumerate(forgeries(listener.getsockname()[1])):
            forge(connection, name, number, fields)
        connection.rpush(f"rq:queue:{name}", "without any hash")
        forge(connection, name, 1000, {"data": call(RING_FUNCTION, 1), "timeout": b"never"})
        connection.rpush("rq:job:of the wrong type", "x")
        connection.rpush(f"rq:queue:{name}", "of the wrong type")
        assert until(lambda: connection.llen(f"rq:queue:{name}") == 0)
        queue(host)
        assert server.wait_for_messages(1), worker.output
        assert until(lambda: deliveries(host)[0].state == "sent")
        assert worker.alive
        assert sorted(one.name for one in tmp_path.glob("executed*")) == []
        with pytest.raises(BlockingIOError):
            listener.accept()
        connection.close()


def test_a_queue_of_the_wrong_type_stops_nothing(tmp_path: Path, redis: RedisServer) -> None:
    site = Site(tmp_path, redis.url)
    connection = Redis.from_url(redis.url)
    with ScriptedServer() as server, site.opened() as host, site.worker() as worker:
        connection.set(f"rq:queue:{queue_name(host.db.engine)}", "not a list")
        host.save_sender(port=server.port)
        worker.ready()
        queue(host)
        assert server.wait_for_messages(1), "one sweep is ten seconds"
        assert worker.alive
    connection.close()


@pytest.mark.parametrize("value", [True, "1", None, 1.0, [1], {"a": 1}])
def test_a_bell_brings_nothing_along_and_a_call_names_a_test_by_number(value: Any) -> None:
    with pytest.raises(jobs.RefusedJob):
        jobs.ring(value)
    with pytest.raises(jobs.RefusedJob):
        jobs.test_connection(value)
