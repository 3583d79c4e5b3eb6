"""Real worker processes: they start, send, survive what happens to Redis, and leave nothing."""

import time
from collections import Counter as Tally
from pathlib import Path

import pytest
from sqlalchemy import update

from smtp_admin.clock import now
from smtp_admin.delivery.maintenance.due import SWEEP_SECONDS
from smtp_admin.delivery.models import Delivery, Lane
from tests.app import HostApp
from tests.delivery.workbench import deliveries, queue, row_of
from tests.patience import SECONDS
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer, Session
from tests.worker.running import PROMPTLY, Site, move_due_time, until


def states(host: HostApp) -> dict[str, int]:
    return dict(Tally(one.state for one in deliveries(host)))


def test_mail_is_sent_at_once_and_again_after_redis_was_away(
    tmp_path: Path, redis: RedisServer
) -> None:
    site = Site(tmp_path, redis.url)
    with ScriptedServer() as server, site.opened() as host, site.worker() as worker:
        host.save_sender(port=server.port)
        worker.ready()
        began = time.monotonic()
        for number in range(1, 4):
            queue(host, f"r{number}@example.org")
            assert len(server.wait_for_messages(number)) == number
        assert time.monotonic() - began < 1.9 * SWEEP_SECONDS, "two sweeps at least without a bell"
        redis.stop()
        queue(host, "last@example.org")
        redis.start()
        assert len(server.wait_for_messages(4)) == 4, "nobody did anything"
        assert until(lambda: states(host) == {"sent": 4})
        assert worker.alive


def test_redis_that_never_was_there_delays_nothing_for_long(
    tmp_path: Path, closed_port: int
) -> None:
    site = Site(tmp_path, f"redis://127.0.0.1:{closed_port}/0")
    with ScriptedServer() as server, site.opened() as host:
        host.save_sender(port=server.port)
        queue(host, *(f"r{number}@example.org" for number in range(30)))
        with site.worker() as worker:
            worker.ready()
            assert len(server.wait_for_messages(30)) == 30
            assert until(lambda: states(host) == {"sent": 30})
            assert worker.stop() < PROMPTLY


def test_a_killed_worker_repeats_at_most_the_mail_in_flight(
    tmp_path: Path, redis: RedisServer
) -> None:
    site = Site(tmp_path, redis.url)

    def slowly(_server: ScriptedServer, _session: Session, _line: str) -> None:
        time.sleep(0.02)

    with ScriptedServer(behaviours={"dot": slowly}) as server, site.opened() as host:
        host.save_sender(port=server.port, max_connections=1)
        ids = [queue(host, f"r{number}@example.org") for number in range(200)]
        with site.worker() as worker:
            server.wait_for_messages(70)
            worker.kill()
        assert states(host)["sending"]
        session = host.db.session()
        session.rollback()
        session.execute(update(Lane).values(lease_until=now().replace(year=2020)))
        session.commit()
        server.behave("dot", None)
        for _ in range(2):
            with site.worker("--burst") as second:
                assert second.wait(SECONDS) == 0
            move_due_time(host, "uncertain")
        assert states(host) == {"sent": 200}
        copies = Tally(message.recipients[0] for message in server.messages)
        assert len(copies) == 200
        assert sum(copies.values()) <= 201
        sent = {message.data for message in server.messages}
        assert sent == {row_of(host, one).content for one in ids}
        assert all(one.attempts == 0 for one in deliveries(host))


def test_burst_sends_what_is_due_and_ends(tmp_path: Path, redis: RedisServer) -> None:
    site = Site(tmp_path, redis.url)
    with ScriptedServer() as server, site.opened() as host:
        host.save_sender(port=server.port)
        queue(host, *(f"r{number}@example.org" for number in range(25)))
        queue(host, partner_id="globex")
        with site.worker("--burst", "--concurrency", "2") as worker:
            assert worker.wait(SECONDS) == 0
        assert states(host) == {"sent": 25, "queued": 1}
        assert "Traceback" not in worker.output


@pytest.mark.parametrize("options", [(), ("--burst",)])
def test_a_missing_migration_names_the_command(
    tmp_path: Path, redis: RedisServer, options: tuple[str, ...]
) -> None:
    site = Site(tmp_path, redis.url, migrated=False)
    with site.worker(*options) as worker:
        assert worker.wait(SECONDS) == 1
    assert "flask smtp-admin db upgrade" in worker.output
    assert "Traceback" not in worker.output


def test_two_workers_share_the_work(tmp_path: Path, redis: RedisServer) -> None:
    site = Site(tmp_path, redis.url)
    with ScriptedServer() as server, site.opened() as host:
        for number in range(6):
            host.save_sender(f"partner{number}", port=server.port)
            names = (f"p{number}r{one}@example.org" for one in range(30))
            queue(host, *names, partner_id=f"partner{number}")
        with site.worker(), site.worker():
            server.wait_for_messages(180)
            assert until(lambda: states(host) == {"sent": 180})
        assert len({message.recipients[0] for message in server.messages}) == 180
        assert len(server.messages) == 180
        assert all(one.uncertains == 0 for one in deliveries(host))


def test_mail_of_the_past_is_found_by_a_worker_that_starts_late(
    tmp_path: Path, redis: RedisServer
) -> None:
    """No bell is left in Redis for it."""
    site = Site(tmp_path, redis.url)
    with ScriptedServer() as server, site.opened() as host:
        host.save_sender(port=server.port)
        queue(host)
        redis.flush()
        host.db.session.execute(update(Delivery).values(created_at=now().replace(year=2020)))
        host.db.session.commit()
        with site.worker():
            assert server.wait_for_messages(1)
