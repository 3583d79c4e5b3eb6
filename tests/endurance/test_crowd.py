"""Eight worker processes on the same two senders."""

import contextlib
from functools import partial

import pytest

from smtp_admin.delivery.maintenance.rescue import rescue
from tests.app import HostApp
from tests.endurance.mortal import Mortal
from tests.endurance.points import MakeBench
from tests.endurance.sink import Sink
from tests.endurance.sites import AnySite, check_all_sent, queue_each, states
from tests.worker.running import until

pytestmark = pytest.mark.long

PROCESSES = 8
MAILS = {"acme": 200, "globex": 250}
CONNECTIONS = {"acme": 2, "globex": 5}
HOLD = (0.010, 0.020)
#: Lanes change hands every moment, as they do where many partners send.
CHANGING = {"smtp_admin.delivery.engine:SLICE_SECONDS": 0.2}


def test_eight_processes_keep_to_each_senders_connections_and_send_each_mail_once(
    site: AnySite, bench_of: MakeBench
) -> None:
    """And no partner's mail gets to the other's server."""
    with Sink(HOLD) as acme, Sink(HOLD) as globex, site.opened() as host:
        sinks = {"acme": acme, "globex": globex}
        for partner_id, sink in sinks.items():
            count = CONNECTIONS[partner_id]
            host.save_sender(partner_id, port=sink.port, max_connections=count)
        with contextlib.ExitStack() as stack:
            workers = [
                stack.enter_context(Mortal(site.folder, constants=CHANGING))
                for _ in range(PROCESSES)
            ]
            wait_until_ready(workers)
            for partner_id, number in MAILS.items():
                names = (f"{partner_id}{one}@example.org" for one in range(number))
                queue_each(host, names, partner_id)
            assert until(partial(everything_sent, host, sum(MAILS.values())), 60), states(host)
        bench = bench_of(host)
        bench.lose_lease()  # of a lane that somebody looked into when all was done already
        assert rescue(bench.engine, bench.redis) == 0
        check_all_sent(host, acme, globex, repeats=0)
        for partner_id, sink in sinks.items():
            arrived = {
                one.recipient.partition("@")[0].rstrip("0123456789") for one in sink.accepted
            }
            assert arrived == {partner_id}
            assert 1 < sink.most_sending <= CONNECTIONS[partner_id]


def wait_until_ready(workers: list[Mortal]) -> None:
    """Wait until all of them hear bells."""
    assert until(lambda: all("is ready" in one.output for one in workers)), [
        one.output for one in workers
    ]


def everything_sent(host: HostApp, count: int) -> bool:
    return states(host) == {"sent": count}
