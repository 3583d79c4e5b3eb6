"""What a worker leaves behind after each time slice, it has too much of after a hundred."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.delivery.workbench import queue
from tests.endurance.points import PASSWORD, MakeBench
from tests.endurance.sink import Sink
from tests.endurance.sites import AnySite, check_all_sent

pytestmark = pytest.mark.long

SLICES = 150
#: By then every line to Redis is there: journals take them in turn.
FIRST = 10


def test_a_worker_goes_on_after_many_time_slices_and_holds_no_more_than_at_first(
    sqlite_site: AnySite, sink: Sink, bench_of: MakeBench
) -> None:
    with sqlite_site.opened() as host:
        host.save_sender(port=sink.port, username="user", password=PASSWORD)
        bench = bench_of(host)
        held = 0  # of a worker that has just begun
        for number in range(SLICES):
            queue(host, f"r{number}@example.org")
            bench.work()
            if number == FIRST:
                held = open_files(bench.redis.client_list())
        assert open_files(bench.redis.client_list()) <= held
        check_all_sent(host, sink, repeats=0)


def open_files(clients: Sequence[object]) -> int:
    """Files and sockets of this process, and connections to Redis."""
    return len(list(Path("/dev/fd").iterdir())) + len(clients)
