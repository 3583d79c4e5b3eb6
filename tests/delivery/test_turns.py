"""Partners that send through the system's sender take turns, whoever has how much waiting."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from smtp_admin.clock import now
from smtp_admin.delivery.claim import claim
from smtp_admin.delivery.lanes import acquire
from smtp_admin.delivery.models import Delivery
from tests.app import HostApp
from tests.delivery.workbench import Workbench, queue, sender_row
from tests.servers.scripted import ScriptedServer


def test_a_backlog_delays_nobody_elses_mail(host: HostApp) -> None:
    with ScriptedServer() as server:
        host.save_sender("", port=server.port, from_email="mail@platform.example")
        for number in range(120):
            queue(host, f"backlog{number}@example.org", partner_id="acme")
        queue(host, "single@example.org", partner_id="globex")
        queue(host, "another@example.org", partner_id="initech")
        host.work(concurrency=1)
        order = [one.recipients[0] for one in server.messages]
    assert len(order) == 122
    assert max(order.index("single@example.org"), order.index("another@example.org")) < 20


def test_the_turn_goes_on_from_batch_to_batch(host: HostApp) -> None:
    """Two backlogs share the connection about equally, from the first mails to the last."""
    with ScriptedServer() as server:
        host.save_sender("", port=server.port, from_email="mail@platform.example")
        for number in range(60):
            queue(host, f"a{number}@example.org", partner_id="acme")
        for number in range(60):
            queue(host, f"g{number}@example.org", partner_id="globex")
        host.work(concurrency=1)
        first_half = [one.recipients[0][0] for one in server.messages][:60]
    assert 20 <= first_half.count("a") <= 40


def test_mail_that_is_too_old_has_no_turn(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else those who wait would wait until somebody has swept it up."""
    monkeypatch.setattr("smtp_admin.delivery.claim._TURNS", 2)
    host.save_sender("", from_email="mail@platform.example")
    queue(host, "old@example.org", partner_id="acme")
    queue(host, "old@example.org", partner_id="globex")
    session = host.db.session()
    session.execute(update(Delivery).values(expires_at=now() - timedelta(minutes=1)))
    session.commit()
    queue(host, "new@example.org", partner_id="initech")
    bench = Workbench(host)
    lane = acquire(bench.engine, sender_row(host, "").id, "bench")
    assert lane is not None
    batch = claim(bench.engine, lane, 20)
    bench.close()
    assert batch is not None
    assert [one.recipient for one in batch.deliveries] == ["new@example.org"]
