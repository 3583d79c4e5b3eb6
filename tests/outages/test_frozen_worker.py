"""A machine stops in the middle of a transaction, without a word, and later goes on.

So does a virtual machine that is paused or moved, and one whose network is gone: its connection
to the database stays open, and so do the locks that its transaction holds.
"""

import contextlib
import os
import signal
import time
from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from smtp_admin.clock import now
from tests.delivery.workbench import queue
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.servers.skipping import skipped_if_unavailable
from tests.worker.running import Site, until

from .scenes import MAILS, Stage
from .surroundings import FAILING, Query, ready

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

#: A lease, the next sweep, and some time for a slow machine.
LEASE_AND_SWEEP = 75
#: A bell may reach the frozen worker. It counts as waiting for fifteen seconds; then a sweep.
BELL_AND_SWEEP = 40


@dataclass(frozen=True)
class Ending:
    """What became of the mail.

    Attributes:
        rung: whether another partner's mail went out when its bell rang.
        finished: whether the frozen worker's sender went on by the other worker.
        swept: whether mail without a bell was still found, after the lease had run out.
        copies: of each mail, when all was over.
        lived: whether both workers did, and the frozen one works again.
    """

    rung: bool
    finished: bool
    swept: bool
    copies: Tally[str]
    states: dict[str, int]
    lived: bool
    output: str


def sent(query: Query, partner_id: str) -> int:
    rows = query(
        "SELECT count(*) FROM smtp_admin_delivery WHERE state = 'sent' AND partner_id = "
        f"'{partner_id}'"
    )
    return int(rows[0][0]) if rows else 0


@contextlib.contextmanager
def frozen_in_a_claim(stage: Stage) -> Iterator[None]:
    """The one worker there is stands still, with an open transaction that claims acme's mail."""
    with stage.closed_gate():
        stage.queue_mails()
        stage.wait_at_gate()
        ((holder,), *_) = stage.query("SELECT holder FROM smtp_admin_lane WHERE holder <> ''")
        process = int(holder.rpartition(":")[2])
        os.kill(process, signal.SIGSTOP)
    try:
        assert stage.query.wait_for(stage.database.idle), "no transaction was open"
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def play(stage: Stage) -> Ending:
    query = stage.query
    with stage.site.opened() as host, stage.site.worker() as frozen:
        ready(frozen)
        with frozen_in_a_claim(stage), stage.site.worker() as other:
            began = time.monotonic()
            ready(other)
            queue(host, "rung@example.org", partner_id="globex")
            rung = until(lambda: sent(query, "globex") == 1, BELL_AND_SWEEP)
            left = began + LEASE_AND_SWEEP - time.monotonic()
            finished = until(lambda: sent(query, "acme") == MAILS, left)
            until(lambda: time.monotonic() > began + LEASE_AND_SWEEP, LEASE_AND_SWEEP)
            soon = now() + timedelta(seconds=3)  # when it is due, no bell rings
            queue(host, "swept@example.org", partner_id="globex", send_at=soon)
            swept = until(lambda: sent(query, "globex") == 2, BELL_AND_SWEEP)
            other_lived = other.alive
        # What the one that woke up may still do, it does before it has stopped.
        queue(host, "woken@example.org", partner_id="initech")
        woken = until(lambda: sent(query, "initech") == 1, LEASE_AND_SWEEP)
        until(lambda: sent(query, "acme") == MAILS, LEASE_AND_SWEEP)
        lived = woken and other_lived and frozen.alive
        frozen.stop()
        rows = query("SELECT state, count(*) FROM smtp_admin_delivery GROUP BY state")
        return Ending(
            rung,
            finished,
            swept,
            copies=Tally(message.recipients[0] for message in stage.sink.messages),
            states={row[0]: row[1] for row in rows},
            lived=lived,
            output=f"{frozen.output}\n{other.output}",
        )


@pytest.fixture(scope="module", params=FAILING)
def ending(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ending:
    folder = tmp_path_factory.mktemp("frozen")
    with (
        skipped_if_unavailable(),
        FAILING[request.param](folder / "database") as database,
        RedisServer(folder / "redis") as redis,
        ScriptedServer() as sink,
    ):
        uri = database.create_database()
        site = Site(folder / "site", redis.url, uri=uri)
        with site.opened() as host:
            for partner_id in ("acme", "globex", "initech"):
                host.save_sender(partner_id, port=sink.port, max_connections=2)
        redis.flush()  # the bells of saving
        stage = Stage(database, Query(uri), uri, sink, site)
        stage.gate("sending")
        return play(stage)


def test_another_partners_mail_goes_out(ending: Ending) -> None:
    assert ending.rung, ending.output


def test_the_senders_mail_goes_on_by_another_worker(ending: Ending) -> None:
    assert ending.finished, ending.output


def test_the_other_workers_clock_goes_on(ending: Ending) -> None:
    assert ending.swept, ending.output


def test_the_one_that_wakes_up_does_no_harm(ending: Ending) -> None:
    assert ending.lived, ending.output
    assert ending.states == {"sent": MAILS + 3}
    assert set(ending.copies.values()) == {1}
    assert "Traceback" not in ending.output
