"""``kill -9`` at random moments, again and again, with mail in flight.

SMTP_ADMIN_TEST_KILLS says how often, SMTP_ADMIN_TEST_SEED repeats a run's moments.
"""

import os
import random
import secrets
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from smtp_admin.delivery.actions import retry
from smtp_admin.delivery.models import Delivery, Message
from tests.app import HostApp
from tests.endurance.sink import Sink
from tests.endurance.sites import (
    AnySite,
    check_all_sent,
    check_nothing_invented,
    lose_leases,
    queue_each,
    states,
)
from tests.servers.redis_server import RedisServer
from tests.worker.running import PROMPTLY, Worker, move_due_time, until

KILLS = int(os.environ.get("SMTP_ADMIN_TEST_KILLS", "5"))
SEED = os.environ.get("SMTP_ADMIN_TEST_SEED") or secrets.token_hex(4)
CONNECTIONS = 3
PASSWORD = "a canary in a kill campaign"
SECRETS = (
    PASSWORD.encode(),
    b64encode(PASSWORD.encode()),
    b64encode(f"\0user\0{PASSWORD}".encode()),
)
#: Three connections send about 190 mails a second: there is always enough for the next life.
WAITING = 300


@dataclass
class Campaign:
    """What happened so far."""

    kills: int = 0
    #: Connections that had a final dot unanswered when their worker died.
    in_flight: int = 0
    given_up: int = 0


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(hold=(0.010, 0.020), auth=("user", PASSWORD)) as running:
        yield running


@pytest.mark.timeout(60 + 6 * KILLS)
def test_kill_9_at_any_moment_loses_nothing_and_repeats_only_what_was_in_flight(
    site: AnySite, sink: Sink, redis: RedisServer
) -> None:
    dice = random.Random(SEED)  # noqa: S311 - no secret depends on it
    campaign = Campaign()
    logs: list[str] = []
    began = time.monotonic()
    with site.opened() as host:
        host.save_sender(
            port=sink.port, max_connections=CONNECTIONS, username="user", password=PASSWORD
        )
        queued = 0
        while campaign.kills < KILLS:
            missing = WAITING - states(host).get("queued", 0)
            if missing > 0:
                queue_each(host, (f"r{queued + one}@example.org" for one in range(missing)))
                queued += missing
            with site.worker() as worker:
                live_and_die(worker, sink, campaign, dice.uniform(0.2, 1.5))
                logs.append(worker.output)
            left = states(host)
            campaign.kills += bool(left.get("sending"))
            check_nothing_invented(host, sink)
            # Its process is dead, so its lease may as well be over; and what the last rescue
            # found unknown has rested long enough.
            lose_leases(host)
            move_due_time(host, "uncertain")
        with site.worker() as worker:
            assert until(lambda: everything_sent(host, campaign), 60), states(host)
            assert worker.stop() < PROMPTLY
            logs.append(worker.output)
        report = (
            f"{host.db.engine.dialect.name}: {campaign.kills} kills, {queued} mails,"
            f" {sink.repeats} repeats (at most {CONNECTIONS * campaign.kills}),"
            f" {campaign.in_flight} in flight, {campaign.given_up} unknown twice,"
            f" {time.monotonic() - began:.0f} s, seed {SEED}"
        )
        print(report)  # noqa: T201 - pytest shows it with -s, and when the test fails
        check_all_sent(host, sink, repeats=CONNECTIONS * campaign.kills)
        assert sink.most_open <= CONNECTIONS
    everything_written = "\n".join(logs).encode() + redis.dump_text()
    assert not any(secret in everything_written for secret in (*SECRETS, b"Traceback"))


def live_and_die(worker: Worker, sink: Sink, campaign: Campaign, seconds: float) -> None:
    """Let it send for *seconds*, then kill it."""
    before = len(sink.accepted)
    assert until(lambda: len(sink.accepted) > before), worker.output
    time.sleep(seconds)
    campaign.in_flight += sink.holding
    worker.kill()
    # The sink finishes what it holds; only then are its records complete.
    assert until(lambda: all(one.finished.is_set() for one in sink.sessions))


def everything_sent(host: HostApp, campaign: Campaign) -> bool:
    """Whether all of it is, with the help of a clock and of a person."""
    move_due_time(host, "uncertain")
    session = host.db.session()
    # Mail that was in flight at two kills waits for a person, who sends it once more.
    unknown_twice = session.scalars(
        select(Message.public_id)
        .join(Delivery, Delivery.message_pk == Message.id)
        .where(Delivery.state == "dead")
    ).all()
    session.rollback()
    if unknown_twice:
        campaign.given_up += retry(session, unknown_twice).changed
        session.commit()
    time.sleep(0.2)
    return set(states(host)) == {"sent"}
