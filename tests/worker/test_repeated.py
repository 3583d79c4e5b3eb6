"""What fails again and again: one line at once, then seldom with a count, and when it is over."""

import logging
import threading

import pytest

from smtp_admin.delivery.shared_redis import redis_place
from smtp_admin.repeated import SELDOM, Trouble, host_raised
from smtp_admin.worker.process import WorkerProcess
from smtp_admin.worker.schedule import Duty, Schedule
from tests.app import HostApp
from tests.servers.redis_server import RedisServer

log = logging.getLogger(__name__)


def test_at_once_then_seldom() -> None:
    clock = [0.0]
    trouble = Trouble(lambda: clock[0])
    assert trouble.over() is None
    told = []
    for second in range(0, int(2 * SELDOM) + 10, 2):
        clock[0] = float(second)
        told.append(trouble.again())
    assert [one for one in told if one is not None] == [
        "", " For 10 minutes now, 301 times.", " For 20 minutes now, 601 times."
    ]  # fmt: skip
    assert trouble.over() == "after 20 minutes"
    assert trouble.over() is None
    assert trouble.again() == ""


def test_a_worker_without_redis(
    host: HostApp, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with host.app.app_context():
        worker = WorkerProcess(host.app, concurrency=1)
    place = redis_place(host.app.config["SMTP_ADMIN_REDIS_URL"])
    worker._stopping = threading.Event()
    redis.stop()
    try:
        worker._stopping.set()  # it waits for nothing
        for _ in range(3):
            worker._listen()
        said = [one.getMessage() for one in caplog.records if place in one.getMessage()]
        assert len(said) == 1
        assert said[0].startswith(f"Redis at {place} is away (ConnectionError).")
        assert "SMTP_ADMIN_REDIS_URL" in said[0]
    finally:
        redis.start()
    worker._listen()
    assert f"Redis at {place} is back after" in caplog.text
    worker._close()


def test_no_password_in_the_place() -> None:
    assert redis_place("redis://me:secret@redis.internal:6380/0") == "redis.internal:6380"
    assert redis_place("unix:///run/redis.sock") == "/run/redis.sock"


def test_a_duty_and_a_host_that_fail(host: HostApp, caplog: pytest.LogCaptureFixture) -> None:
    def act() -> None:
        raise LookupError("odd")

    schedule = Schedule(host.app, [Duty("a duty", 0.0, act)], threading.Event())
    for _ in range(3):
        schedule.run_once()
    assert caplog.text.count("a duty failed.") == 1
    caplog.clear()
    with host.app.app_context():
        for _ in range(3):
            host_raised(log, "partners", LookupError("odd"), "Pages do without.")
    (said,) = (one.getMessage() for one in caplog.records)
    assert said.endswith("of the app's own Host raised LookupError. Correct it in the app. "
                         "Pages do without.")  # fmt: skip
