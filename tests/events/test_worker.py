"""A real worker process applies what was posted, at once by RQ, and later if nobody called it."""

import time
from functools import partial
from pathlib import Path

import pytest

from smtp_admin.delivery.doorbell import doorbell
from smtp_admin.delivery.maintenance.due import SWEEP_SECONDS
from smtp_admin.delivery.models import Delivery
from smtp_admin.installation import installation
from tests.app import ADMIN
from tests.events.hooking import Hooked
from tests.servers.redis_server import RedisServer
from tests.worker.running import PROMPTLY, Site, until


@pytest.fixture
def site(tmp_path: Path, redis: RedisServer) -> Site:
    made = Site(tmp_path, redis.url)
    made.host.actor = ADMIN
    return made


def test_called_by_the_request(site: Site) -> None:
    with site.opened() as host, site.worker() as worker:
        hooked = Hooked(host)
        path = hooked.turn_on("sparkpost")
        worker.ready()
        assert until(lambda: bool(doorbell(installation()).workers())), worker.output
        began = time.monotonic()
        for number in range(3):  # each call is heard, not only the first
            (mail,) = hooked.sent(f"{number}@example.org")
            told = {
                "type": "delivery",
                "event_id": str(number),
                "rcpt_to": mail.recipient,
                "rcpt_meta": {"smtp_admin_id": hooked.message_id(mail)},
            }
            assert hooked.post(path, [{"msys": {"message_event": told}}]).status_code == 200
            assert until(partial(_is_delivered, hooked, mail)), worker.output
        assert time.monotonic() - began < 1.9 * SWEEP_SECONDS, "two sweeps at least without a call"
        assert worker.stop() < PROMPTLY
        hooked.engine.dispose()


def _is_delivered(hooked: Hooked, mail: Delivery) -> bool:
    return hooked.state(mail) == "delivered"


def test_left_over_by_somebody(site: Site) -> None:
    """A worker that starts finds what nobody called it for; with ``--burst`` too."""
    with site.opened() as host:
        hooked = Hooked(host)
        path = hooked.turn_on("postmark")
        (mail,) = hooked.sent("you@example.org")
        metadata = {"smtp-admin-id": hooked.message_id(mail)}
        hooked.post(
            path,
            {"RecordType": "Bounce", "ID": 1, "Type": "HardBounce", "Email": "you@example.org",
             "Metadata": metadata, "MessageID": "x"},
        )  # fmt: skip
        with site.worker("--burst") as worker:
            assert worker.wait(60) == 0, worker.output
        assert hooked.state(mail) == "bounced"
        hooked.engine.dispose()
