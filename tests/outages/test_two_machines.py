"""Two machines work on one database and one Redis; one of them is cut off in the middle.

It needs root, and more time than the suite has: a lease runs out in 45 seconds.
"""

import contextlib
import subprocess
import sys
import time
import urllib.request
from collections import Counter as Tally
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.servers import free_port, redis_server, stop_process
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer, Session
from tests.servers.skipping import skipped_if_unavailable
from tests.worker.running import APP, Site, Worker, move_due_time, until

from .machines import HUB, NETWORK, Machine, two_machines
from .surroundings import FAILING, Query, ready

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

MAILS, LATER = 400, 40
CONNECTIONS = 6
#: A lease, two sweeps, and what sending takes.
LEASE_AND_SWEEPS = 90
#: A connection that was cut off comes to life again when TCP tries the next time.
NEXT_TRY = 130

SHOP = (
    APP.replace("SMTPAdmin(host=Host()).", "plugin = SMTPAdmin(host=Host())\nplugin.")
    + '''
from smtp_admin import Message


@app.post("/orders/<name>/<int:count>")
def order(name, count):
    """Queue mails, as a web shop does."""
    for number in range(count):
        mail = Message("Your order", [f"{name}{number}@example.org"], "Thank you.")
        plugin.send_message(mail, partner_id="acme")
    db.session.commit()
    return "", 202
'''
)


class Shop:
    """The web process, on a machine."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        port = free_port()
        self._log = folder / "web.log"
        self._address = f"http://{machine.address}:{port}"
        command = ["flask", "--app", "app.py", "run", "--host", machine.address]

        def start() -> "subprocess.Popen[bytes]":
            with self._log.open("wb") as log:
                return subprocess.Popen(
                    [sys.executable, "-m", *command, "--port", str(port)],
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )

        self._process = machine.run(start)

    def __enter__(self) -> Self:
        assert until(lambda: "Running on" in self._log.read_text(), 30), self._log.read_text()
        return self

    def __exit__(self, *error: object) -> None:
        stop_process(self._process)

    def order(self, name: str, count: int) -> None:
        request = urllib.request.Request(f"{self._address}/orders/{name}/{count}", method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 202


def slowly(_server: ScriptedServer, _session: Session, _line: str) -> None:
    time.sleep(0.05)


class Hub:
    """Database, Redis and mail server, where every machine reaches them."""

    def __init__(self, site: Site, sink: ScriptedServer, query: Query) -> None:
        self.site, self.sink, self._query = site, sink, query

    def sent_from(self, machine: Machine) -> int:
        """How many mails came from *machine*, which introduces itself by its address."""
        greeting = f"EHLO [{machine.address}]"
        return sum(greeting in message.session.commands for message in list(self.sink.messages))

    def count(self, condition: str = "true") -> int:
        """How many deliveries there are with this in common."""
        ((number,),) = self._query.run(
            f"SELECT count(*) FROM smtp_admin_delivery WHERE {condition}"
        )
        return int(number)

    def held_lanes(self) -> int:
        """How many lanes somebody holds."""
        return len(self._query.run("SELECT 1 FROM smtp_admin_lane WHERE lease IS NOT NULL"))

    def finished(self, count: int) -> bool:
        """Whether *count* mails are sent; what is unknown need not rest for a minute."""
        with self.site.opened() as host:
            move_due_time(host, "uncertain")
        return self.count("state = 'sent'") == count


@contextlib.contextmanager
def hub(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(redis_server, "HOST", HUB)
    sink = ScriptedServer(behaviours={"dot": slowly})
    sink.host = HUB
    with FAILING[kind](folder / "database") as database, RedisServer(folder / "redis") as redis:
        database.listen_on(HUB, NETWORK)
        uri = database.create_database().replace("127.0.0.1", HUB)
        site = Site(folder / "site", redis.url, uri=uri, ALLOWED_NETWORKS=[f"{HUB}/32"])
        (site.folder / "app.py").write_text(SHOP)
        with sink:
            with site.opened() as host:
                host.save_sender(host=HUB, port=sink.port, max_connections=CONNECTIONS)
            yield Hub(site, sink, Query(uri))


@contextlib.contextmanager
def worker_on(machine: Machine, site: Site) -> Iterator[Worker]:
    # One that others prepared would be where they are.
    with machine.run(lambda: Worker(site.folder, from_nothing=True)) as worker:
        yield ready(worker)


@pytest.mark.parametrize("kind", FAILING)
def test_what_a_machine_had_under_way_is_finished_by_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """And when its network is back, it works again and does no harm."""
    with (
        skipped_if_unavailable(),
        two_machines() as (first, second),
        hub(kind, tmp_path, monkeypatch) as hub_,
        Shop(first, hub_.site.folder) as shop,
        worker_on(first, hub_.site) as one,
        worker_on(second, hub_.site) as two,
    ):
        shop.order("before", MAILS)
        assert until(lambda: min(hub_.sent_from(first), hub_.sent_from(second)) >= 30, 60), (
            "only one of them works"
        )
        second.cut()
        assert hub_.count("state <> 'sent'") > 100, "too late: nearly all was sent already"
        assert until(lambda: hub_.finished(MAILS), LEASE_AND_SWEEPS), one.output
        second.mend()
        assert one.stop() < 14
        shop.order("after", LATER)
        assert until(lambda: hub_.finished(MAILS + LATER), NEXT_TRY), two.output
        assert until(lambda: hub_.held_lanes() == 0, LEASE_AND_SWEEPS)
        assert two.alive
        assert two.stop() < 14

        assert hub_.count() == hub_.count("state = 'sent'") == MAILS + LATER
        assert hub_.count("attempts > 0 OR uncertains > 1") == 0
        copies = Tally(message.recipients[0] for message in hub_.sink.messages)
        twice = [recipient for recipient, number in copies.items() if number > 1]
        assert len(copies) == MAILS + LATER
        assert max(copies.values()) <= 2
        assert len(twice) <= CONNECTIONS, "one in flight on each connection of the lost machine"
        bytes_of = {recipient: set[bytes]() for recipient in twice}
        for message in hub_.sink.messages:
            bytes_of.get(message.recipients[0], set()).add(message.data)
        assert all(len(each) == 1 for each in bytes_of.values()), "repeated with other bytes"
        for worker in (one, two):
            assert "Traceback" not in worker.output
