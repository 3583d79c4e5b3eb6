"""Partners that send through the system's sender take turns, whoever has how much waiting."""

from tests.app import HostApp
from tests.delivery.workbench import queue
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
