"""What a dashboard for RQ does beside the workers: it reads our jobs, and people press its buttons.

With RQ's own functions and its usual serializer, as rq-dashboard calls them; ours is another.
"""

from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue, Worker
from rq.job import Job, requeue_job

from smtp_admin.delivery.doorbell import TEST_FUNCTION, doorbell, queue_name
from smtp_admin.delivery.maintenance.due import SWEEP_SECONDS
from tests.app import HostApp
from tests.delivery.workbench import deliveries, queue
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import Site, until
from tests.worker.test_forged_jobs import call, forge

from .surroundings import ready

#: How long a bell counts as waiting, although its job is gone.
BELL_SECONDS = 15


@pytest.fixture
def connection(redis: RedisServer) -> Iterator[Redis]:
    with closing(Redis.from_url(redis.url)) as client:
        yield client


def jobs_of(queue_: Queue, connection: Redis) -> list[Job]:
    return [Job.fetch(one, connection=connection) for one in queue_.job_ids]


def test_it_can_read_what_waits(host: HostApp, connection: Redis) -> None:
    host.save_sender()
    connection.flushdb()
    queue(host)
    assert doorbell().call_for_test(7)
    name = queue_name(host.db.engine)
    (shown,) = (one for one in Queue.all(connection=connection) if one.name == name)
    told = [one.description for one in jobs_of(shown, connection)]
    assert len(told) == 2
    assert told[0] == "connection test 7"
    assert told[1] == "a bell"


@pytest.mark.long
@pytest.mark.timeout(150)
def test_its_buttons_delay_mail_and_do_no_other_harm(
    tmp_path: Path, redis: RedisServer, connection: Redis
) -> None:
    site = Site(tmp_path, redis.url)
    with ScriptedServer() as sink, site.opened() as host:
        host.save_sender(port=sink.port)
        connection.flushdb()
        name = queue_name(host.db.engine)
        shown = Queue(name, connection=connection)
        queue(host, "deleted@example.org")
        (job,) = jobs_of(shown, connection)
        job.delete()
        queue(host, "emptied@example.org", partner_id="acme")
        shown.empty()  # type: ignore[no-untyped-call]  # RQ's own
        with site.worker() as worker:
            ready(worker)
            patience = BELL_SECONDS + SWEEP_SECONDS + 5
            assert len(sink.wait_for_messages(2, timeout=patience)) == 2, worker.output
            (one,) = Worker.all(queue=shown)
            assert one.hostname

            forge(connection, name, 1, {"data": call(TEST_FUNCTION, "nonsense")})
            assert until(lambda: shown.failed_job_registry.count == 1), worker.output
            (failed,) = shown.failed_job_registry.get_job_ids()
            requeue_job(failed, connection=connection)
            assert until(lambda: shown.count == 0 and shown.failed_job_registry.count == 1)
            Job.fetch(failed, connection=connection).delete()
            assert shown.failed_job_registry.count == 0

            queue(host, "last@example.org")
            assert len(sink.wait_for_messages(3, timeout=patience)) == 3, worker.output
            assert until(lambda: Tally(one.state for one in deliveries(host)) == {"sent": 3})
            assert len(sink.messages) == 3
            assert worker.alive
