"""Long work leaves others their turns, where a database has one lock for all who write."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import Engine, create_engine, text, update

from smtp_admin import steps
from smtp_admin.clock import now
from smtp_admin.database import beside_workers, worker_engine
from smtp_admin.delivery import bulk_actions, held_actions
from smtp_admin.delivery.bulk_actions import act_on_filtered, take_back
from smtp_admin.delivery.held import as_held
from smtp_admin.delivery.mail_actions import MAIL_ACTIONS
from smtp_admin.delivery.mail_log import MailFilter
from smtp_admin.delivery.models import Delivery
from smtp_admin.steps import step
from tests.app import ADMIN, HostApp
from tests.delivery.workbench import queue

ALL = MailFilter(None)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A worker's, on a file with one table."""
    made = worker_engine(create_engine(f"sqlite:///{tmp_path / 'one.db'}"), pool_size=1)
    with made.begin() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = wal")
        connection.execute(text("CREATE TABLE note (id INTEGER PRIMARY KEY, words TEXT)"))
    yield made
    made.dispose()


def test_who_looks_for_the_lock_finds_it_free(engine: Engine, tmp_path: Path) -> None:
    """Of forty steps that hold it for long, each leaves a gap in which another may write."""
    over, ended = Event(), list[int]()
    waits: list[int] = []

    def write() -> None:
        connection = sqlite3.connect(tmp_path / "one.db", timeout=30, isolation_level=None)
        while not over.is_set():
            before = len(ended)
            connection.execute("INSERT INTO note (words) VALUES ('theirs')")
            waits.append(len(ended) - before)
        connection.close()

    thread = Thread(target=write)
    for number in range(40):
        with step(engine) as session:
            session.execute(text("INSERT INTO note (words) VALUES ('ours')"))
            if number == 0:
                thread.start()
            time.sleep(0.05)  # what a step of many rows takes
        ended.append(number)
    over.set()
    thread.join()
    assert max(waits) < 10, "so many steps one write had to wait for"
    assert len(waits) > 10


@pytest.mark.parametrize("work", ["retry", "discard and undo", "release", "drop"])
def test_long_work_rests(host: HostApp, monkeypatch: pytest.MonkeyPatch, work: str) -> None:
    rests: list[float] = []
    monkeypatch.setattr(steps, "time", _Clock(rests.append))
    monkeypatch.setattr(bulk_actions, "_STEP", 2)
    monkeypatch.setattr(held_actions, "_AT_ONCE", 2)
    host.save_sender()
    for _ in range(6):
        queue(host)
    ended = {"state": "dead", "finished_at": now(), "last_code": "timeout"}
    values = as_held() if work in {"release", "drop"} else ended
    host.db.session.execute(update(Delivery).values(values))
    host.db.session.commit()
    with beside_workers() as engine:
        if work == "release":
            assert held_actions.release(engine, None) == 6
        elif work == "drop":
            assert held_actions.drop_held(engine) == 6
        else:
            done = act_on_filtered(engine, ADMIN, MAIL_ACTIONS[work.partition(" ")[0]], ALL)  # type: ignore[index]  # one of its names
            assert done.count == 6
            if done.can_be_undone:
                assert take_back(engine, ADMIN, ALL, done.at).count == 6
    assert len(rests) == (6 if "undo" in work else 3)
    assert all(0 < rest <= 0.1 for rest in rests)


class _Clock:
    """The time, and a sleep that is noted."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self.sleep = sleep

    monotonic = staticmethod(time.monotonic)
