"""Redis does not answer, and more senders have mail than a worker has threads."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smtp_admin.delivery.maintenance.due import SWEEP_SECONDS
from smtp_admin.delivery.shared_redis import PATIENCE_SECONDS
from tests.delivery.workbench import queue
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import Site

from .surroundings import ready

SENDERS, THREADS = 8, 2
#: A look into the database, the time-outs of the sweeper and of each sender's journal, and some
#: time for a slow machine; two looks would be longer.
PROMISED = SWEEP_SECONDS + 3 * PATIENCE_SECONDS * SENDERS / THREADS + 3

Fault = Callable[[RedisServer], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def frozen(redis: RedisServer) -> Iterator[None]:
    redis.pause()
    try:
        yield
    finally:
        redis.resume()


@contextlib.contextmanager
def away(redis: RedisServer) -> Iterator[None]:
    redis.stop()
    yield


@pytest.mark.long
@pytest.mark.parametrize("fault", [frozen, away])
def test_mail_of_every_sender_goes_out_after_one_sweep(
    tmp_path: Path, redis: RedisServer, fault: Fault
) -> None:
    site = Site(tmp_path, redis.url)
    names = [f"partner{number}" for number in range(SENDERS)]
    options = ("--concurrency", str(THREADS))
    with ScriptedServer() as sink, site.opened() as host, site.worker(*options) as worker:
        for name in names:
            host.save_sender(name, port=sink.port)
        ready(worker)
        with fault(redis):
            began = time.monotonic()
            for name in names:
                queue(host, f"{name}@example.org", partner_id=name)
            left = began + PROMISED - time.monotonic()
            assert len(sink.wait_for_messages(SENDERS, timeout=left)) == SENDERS, worker.output
