"""A batch of any size by the command: flat memory; killed, cancelled, resumed: each once."""

import os
import subprocess
import sys
import time
from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from smtp_admin.delivery.batch_models import Batch
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.mail.batches import STEP
from tests.app import HostApp
from tests.endurance.sites import states
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import Received, ScriptedServer
from tests.worker.running import Site, until

_TYPE = "password_reset"
_COLUMNS = "address,name,reset_url,expires_minutes"
#: What a run may take more than one of two steps does.
_MOST_GROWTH = 20 * 1024 * 1024
#: A long run on a busy machine.
_PATIENCE = 1800
LONG = pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(2 * _PATIENCE)])


class Counting(ScriptedServer):
    """Counts what arrives, by recipient, and keeps none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: Tally[str] = Tally()

    def deliver(self, received: Received) -> None:
        """Count it."""
        self.arrived[received.recipients[0]] += 1


@dataclass
class Command:
    """``send-many`` in a process of its own.

    Attributes:
        peak: the most memory that it was seen to have, in bytes.
    """

    process: "subprocess.Popen[bytes]"
    log: Path
    peak: int = 0

    def look(self) -> bool:
        """Note its memory; whether it has ended."""
        if self.process.poll() is not None:
            return True
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                self.peak = max(self.peak, int(line.split()[1]) * 1024)
        return False

    def wait(self) -> None:
        """Until it has ended well."""
        assert until(self.look, _PATIENCE)
        assert self.process.returncode == 0, self.log.read_text()


@contextmanager
def running(site: Site, *words: str) -> Iterator[Command]:
    log = site.folder / f"command-{time.monotonic_ns()}.log"
    environment = {name: value for name, value in os.environ.items() if name[:5] != "SMTP_"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "app.py", "smtp-admin", *words],
            cwd=site.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
        )
    try:
        yield Command(process, log)
    finally:
        process.kill()
        process.wait()


def ran(site: Site, *words: str) -> Command:
    with running(site, *words) as command:
        command.wait()
    return command


def people(path: Path, count: int) -> Path:
    """A file of so many."""
    with path.open("w") as file:
        file.write(f"{_COLUMNS}\n")
        for number in range(count):
            file.write(f"p{number}@example.org,P{number},https://x.example/{number},60\n")
    return path


def addresses(count: int) -> set[str]:
    return {f"p{number}@example.org" for number in range(count)}


def queued(host: HostApp) -> int:
    session = host.db.session()
    session.rollback()
    found = session.scalar(select(func.coalesce(func.max(Batch.queued), 0)))
    session.rollback()
    return int(found or 0)


def sent(host: HostApp) -> set[str]:
    session = host.db.session()
    session.rollback()
    found = session.scalars(select(Delivery.recipient).where(Delivery.state == "sent"))
    return set(found)


@pytest.fixture
def server() -> Iterator[Counting]:
    """A mail server that counts."""
    with Counting() as made:
        yield made


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("count", [6 * STEP, LONG])
def test_a_great_batch(
    tmp_path: Path, redis: RedisServer, database: str, server: Counting, count: int
) -> None:
    """All of it in one go, as it happens to one batch on a bad day."""
    site = Site(tmp_path / "site", redis.url, uri=database)
    few = people(tmp_path / "few.csv", 2 * STEP)
    many = people(tmp_path / "many.csv", count)
    with site.opened() as host:
        host.save_sender("", port=server.port, from_email="noreply@platform.example")
        usual = ran(site, "send-many", _TYPE, str(few), "--key", "few").peak
        host.db.session.rollback()
        host.db.session.query(Delivery).delete()
        host.db.session.query(Message).delete()
        host.db.session.query(Batch).delete()
        host.db.session.commit()
        words = ("send-many", _TYPE, str(many), "--key", "many")

        with running(site, *words) as killed:
            assert until(lambda: killed.look() or queued(host) >= count // 2, _PATIENCE)
            killed.process.kill()
            killed.process.wait()
        there = queued(host)
        assert count // 2 <= there < count, "killed half-way"
        assert states(host) == {"queued": there}
        began = time.monotonic()
        repeated = ran(site, *words)
        seconds = time.monotonic() - began
        assert states(host) == {"queued": count}
        session = host.db.session()
        assert set(session.scalars(select(Delivery.recipient))) == addresses(count)
        session.rollback()
        print(  # noqa: T201 - what a long run is looked at for
              f"{count:,} recipients: {max(killed.peak, repeated.peak) / 2**20:.0f} MB at most,"
              f" {usual / 2**20:.0f} MB for {2 * STEP:,}; the other {count - there:,} were queued"
              f" in {seconds:.0f} s")  # fmt: skip
        assert max(killed.peak, repeated.peak) < usual + _MOST_GROWTH

        (batch_id,) = session.scalars(select(Batch.public_id))
        session.rollback()
        with site.worker() as worker:
            worker.ready()
            assert until(lambda: server.arrived.total() >= count // 4, _PATIENCE)
            # In this process: until another has started, a few thousand are gone.
            words_to_cancel = ["smtp-admin", "batch", "cancel", batch_id]
            cancelled = host.app.test_cli_runner().invoke(args=words_to_cancel)
            assert cancelled.exit_code == 0, cancelled.output
            assert until(lambda: not {"queued", "sending"} & states(host).keys(), 60)
            assert set(states(host)) == {"sent", "cancelled"}, "cancelled half-way"
            assert set(server.arrived) == sent(host) != addresses(count)
            assert set(server.arrived.values()) == {1}

            ran(site, *words, "--resume")
            # The type is sensitive: what was cancelled is erased, and written anew.
            assert until(lambda: states(host).get("sent") == count, _PATIENCE)
            assert set(states(host)) == {"sent", "cancelled"}
        assert server.arrived == Tally(addresses(count)), "each once"
