"""One mail server that keeps others waiting holds up nobody but its own sender."""

from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from smtp_admin.delivery import engine
from smtp_admin.delivery.maintenance.due import DueSender
from smtp_admin.worker.pool import SenderThreads
from tests.app import HostApp
from tests.delivery.workbench import Workbench, deliveries, queue, sender_row
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer, Stage, Stall, Step
from tests.worker.running import Site, until


def test_slow_servers_hold_up_nobody_else(tmp_path: Path, redis: RedisServer) -> None:
    """As many stalled servers as there are threads, and a partner whose server is well."""
    site = Site(tmp_path, redis.url)
    stalled: dict[Stage, Step] = {"dot": Stall()}
    with (
        ScriptedServer(behaviours=stalled) as acme,
        ScriptedServer(behaviours=stalled) as globex,
        ScriptedServer() as well,
        site.opened() as host,
    ):
        host.save_sender("acme", port=acme.port)
        host.save_sender("globex", port=globex.port)
        host.save_sender("initech", port=well.port)
        with site.worker("--concurrency", "2") as worker:
            worker.ready()
            for partner_id in ("acme", "globex"):
                queue(host, "r@example.org", partner_id=partner_id)
            assert until(lambda: bool(acme.connections and globex.connections))
            queue(host, "r@example.org", partner_id="initech")
            assert well.wait_for_messages(1), "the others wait for ten minutes"
            assert until(lambda: [one.state for one in deliveries(host)][2] == "sent")
            assert [one.state for one in deliveries(host)][:2] == ["sending"] * 2


def test_a_thread_outlives_a_database_that_goes_away_between_two_lanes(
    host: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Redis is away too, who has more to do asks the database whose turn it is."""
    monkeypatch.setattr(engine, "SLICE_SECONDS", 0.0)
    host.save_sender()
    sender_id = sender_row(host).id
    host.db.session.rollback()
    asked: list[DueSender] = []

    def again(sender: DueSender) -> None:
        asked.append(sender)
        raise OperationalError("SELECT", None, OSError("it is away"))

    bench = Workbench(host)
    threads = SenderThreads(1, bench.context(), again)
    sender = DueSender(sender_id, "acme", "new")
    threads.offer([sender])
    assert until(lambda: len(asked) == 1)
    threads.offer([sender])
    assert until(lambda: len(asked) == 2)
    bench.stopping.set()
    threads.stop(1)
    bench.close()
