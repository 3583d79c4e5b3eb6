"""A machine whose own clock is hours wrong, and is set while it sends: only the database's counts.

The fakes are of the wall clock alone, as when somebody sets it; what counts seconds goes on.
"""

import os
import subprocess
import sys
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from email import message_from_bytes
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from smtp_admin.clock import now
from smtp_admin.delivery.maintenance.due import SWEEP_SECONDS
from tests.delivery.workbench import queue
from tests.servers import Unavailable
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer, Session
from tests.servers.skipping import skipped_if_unavailable
from tests.worker.running import APP, Site, Worker, until

from .surroundings import Query, ready

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

MAILS = 700
LIMIT, ALLOWED = 10, 9  # a tenth is kept for urgent mail
DOT_SECONDS = 0.02
#: Until mail is found that no bell announced, and some time for a slow machine.
SWEEP = SWEEP_SECONDS + 5

WEB = (
    APP.replace("SMTPAdmin(host=Host()).", "plugin = SMTPAdmin(host=Host())\nplugin.")
    + """
def reset_password():
    with app.app_context():
        plugin.send(
            "password_reset", to="reset@example.org", partner_id="acme",
            context={"name": "Sam", "reset_url": "https://shop.example/x", "expires_minutes": 60},
        )
        db.session.commit()
"""
)


class MachineClock:
    """The wall clock of the processes that are started while it is in force."""

    def __init__(self, folder: Path, ahead: str) -> None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not found:
            raise Unavailable("Install Debian's libfaketime to test with wrong clocks.")
        self._file = folder / "clock"
        self.set(ahead)
        self._variables = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, ahead: str) -> None:
        """Set it, such as ``-3h`` of the true time; whoever has it sees that at once."""
        new = self._file.with_suffix(".new")
        new.write_text(ahead)
        new.replace(self._file)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Let processes that are started now have it."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._variables.items():
                patch.setenv(name, value)
            yield


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> str:
    """The kinds that have a clock of their own; SQLite's is the machine's."""
    created: str = request.getfixturevalue(request.param).create_database()
    return created


NewClock = Callable[[str], MachineClock]


@pytest.fixture
def clock(tmp_path: Path) -> NewClock:
    def make(ahead: str) -> MachineClock:
        with skipped_if_unavailable():
            return MachineClock(tmp_path, ahead)

    return make


def slowly(_server: ScriptedServer, _session: Session, _line: str) -> None:
    time.sleep(DOT_SECONDS)


def states(query: Query, partner_id: str) -> dict[str, int]:
    return dict(
        query(
            "SELECT state, count(*) FROM smtp_admin_delivery "
            f"WHERE partner_id = '{partner_id}' GROUP BY state"
        )
    )


def count(query: Query, condition: str) -> int:
    return int(query.run(f"SELECT count(*) FROM smtp_admin_delivery WHERE {condition}")[0][0])


@contextmanager
def worker_with(clock: MachineClock, site: Site) -> Iterator[Worker]:
    with clock.in_force():
        # One that is forked has the clock of what it was forked from.
        worker = Worker(site.folder, from_nothing=True)
    with worker:
        ready(worker)
        (line,) = (one for one in worker.output.splitlines() if "is ready" in one)
        told = time.mktime(time.strptime(line[:19], "%Y-%m-%d %H:%M:%S"))
        assert abs(told - time.time()) > 3600, "its clock is right"
        yield worker


def test_a_workers_clock_that_is_wrong_and_set_again_and_again_decides_nothing(
    tmp_path: Path, redis: RedisServer, database: str, clock: NewClock
) -> None:
    site, query, own = (
        Site(tmp_path / "site", redis.url, uri=database),
        Query(database),
        clock("+5h"),
    )
    with (
        ScriptedServer(behaviours={"dot": slowly}) as sink,
        ScriptedServer() as plain,
        site.opened() as host,
        worker_with(own, site) as worker,
        site.worker() as other,
    ):
        ready(other)
        host.save_sender("acme", port=sink.port, max_connections=1)
        host.save_sender("globex", port=sink.port, max_per_hour=LIMIT)
        host.save_sender("initech", port=plain.port, security="tls")  # which it does not offer
        began = time.monotonic()
        queue(host, *(f"a{number}@example.org" for number in range(MAILS)), partner_id="acme")
        queue(host, *(f"g{number}@example.org" for number in range(3 * LIMIT)), partner_id="globex")
        queue(host, "paused@example.org", partner_id="initech")
        due = timedelta(seconds=8)
        queue(host, "later@example.org", partner_id="globex", send_at=now() + due)
        for at_least, ahead in ((60, "-3h"), (160, "+7d"), (300, "-90d"), (450, "+2h")):
            assert len(sink.wait_for_messages(at_least, timeout=60)) >= at_least, worker.output
            own.set(ahead)
        assert until(lambda: states(query, "acme") == {"sent": MAILS}, 60), worker.output
        # Several looks into the database, by either worker and by each of these clocks.
        assert until(lambda: time.monotonic() > began + due.total_seconds() + SWEEP, 60)

        assert states(query, "globex") == {"sent": ALLOWED, "queued": 2 * LIMIT + 2}
        assert states(query, "initech") == {"queued": 1}
        assert plain.connections == 1, "a pause of an hour lasts an hour"
        assert count(query, "attempts > 0 OR uncertains > 0") == 0
        copies = Tally(message.recipients[0] for message in sink.messages)
        assert len(copies) == sum(copies.values()) == MAILS + ALLOWED
        for one in (worker, other):
            assert "rescued" not in one.output
            assert "Traceback" not in one.output
        assert worker.stop() < 14
        assert other.stop() < 14


def test_mail_for_later_goes_out_when_it_is_due_by_the_database(
    tmp_path: Path, redis: RedisServer, database: str, clock: NewClock
) -> None:
    """The one worker's clock is ahead of it, and then behind."""
    site, own = Site(tmp_path / "site", redis.url, uri=database), clock("+5h")
    with ScriptedServer() as sink, site.opened() as host, worker_with(own, site) as worker:
        host.save_sender("acme", port=sink.port)
        for number, ahead in enumerate(("+5h", "-5h"), start=1):
            own.set(ahead)
            due = time.monotonic() + 6
            queue(host, f"{number}@example.org", send_at=now() + timedelta(seconds=6))
            assert len(sink.wait_for_messages(number, timeout=6 + SWEEP)) == number, worker.output
            assert time.monotonic() >= due - 0.5


@pytest.mark.parametrize("ahead", ["-5h", "+5h"])
def test_mail_that_a_web_machine_with_a_wrong_clock_queues_lives_as_long_as_any(
    tmp_path: Path, redis: RedisServer, database: str, clock: NewClock, ahead: str
) -> None:
    """Urgent mail lives for an hour. Only its Date header is that machine's."""
    site, query, own = (
        Site(tmp_path / "site", redis.url, uri=database),
        Query(database),
        clock(ahead),
    )
    (site.folder / "app.py").write_text(WEB)
    with ScriptedServer() as sink, site.opened() as host:
        host.save_sender("acme", port=sink.port)
        with own.in_force():
            subprocess.run(
                [sys.executable, "-c", "import app; app.reset_password()"],
                cwd=site.folder,
                env={name: text for name, text in os.environ.items() if name[:5] != "SMTP_"},
                check=True,
            )
        ((created, ends),) = query.run("SELECT created_at, expires_at FROM smtp_admin_delivery")
        assert abs(ends - created - timedelta(hours=1)) < timedelta(seconds=30)
        with site.worker("--burst") as worker:
            assert worker.wait(60) == 0, worker.output
        assert states(query, "acme") == {"sent": 1}
        date = parsedate_to_datetime(message_from_bytes(sink.messages[0].data)["Date"])
        wrong = date - now()
        hours = timedelta(hours=int(ahead.removesuffix("h")))
        assert abs(wrong - hours) < timedelta(minutes=2)
