"""Ten thousand events in a burst, while the database dies twice and the worker is killed.

A provider sends again what was not answered with a 200, and forgets what was: so whatever was
answered must be applied in the end.
"""

import json
import time
from collections import deque
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import TimeoutError as PoolTimeout

from smtp_admin.clock import now
from smtp_admin.database import transaction
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.senders.resolve import load_sender
from tests.app import HostApp
from tests.events.hooking import Hooked
from tests.servers.redis_server import RedisServer
from tests.servers.skipping import skipped_if_unavailable
from tests.worker.running import Site, until

from .surroundings import FAILING, Query, ready

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

EVENTS, IN_ONE, SENDERS = 10_000, 10, 4
ENDS = ("delivered", "bounced", "complained")
_NAMES = {"delivered": "delivery", "bounced": "bounce", "complained": "spam_complaint"}


def sent(hooked: Hooked) -> None:
    """Mail to ten thousand, each with an id of the provider's."""
    sender_id = load_sender(hooked.host.db.session(), "acme").sender_id
    hooked.host.db.session.rollback()
    with transaction(hooked.engine) as session:
        message = Message(
            public_id="f" * 32, partner_id="acme", type_name="ready", subject="x", content=b"x",
            size=1, message_id="<x@acme.example>", from_email="a@acme.example",
        )  # fmt: skip
        session.add(message)
        session.flush()
        session.execute(
            insert(Delivery),
            [
                {"message_pk": message.id, "sender_id": sender_id, "partner_id": "acme",
                 "recipient": f"r{n}@example.org", "domain": "example.org", "mailbox": f"r{n}",
                 "state": "sent", "finished_at": now(), "provider_message_id": f"p{n}"}
                for n in range(EVENTS)
            ],
        )  # fmt: skip


def posts() -> list[bytes]:
    """What is posted: each event in one of three kinds, ten in a request."""
    found = []
    for start in range(0, EVENTS, IN_ONE):
        batch = [
            {"msys": {"message_event": {
                "type": _NAMES[ENDS[n % 3]], "event_id": f"e{n}", "bounce_class": "10",
                "rcpt_to": f"r{n}@example.org", "transmission_id": f"p{n}"}}}
            for n in range(start, start + IN_ONE)
        ]  # fmt: skip
        found.append(json.dumps(batch).encode())
    return found


class Provider:
    """Posts from a few threads until each request was answered with 200."""

    def __init__(self, host: HostApp, path: str) -> None:
        self._host = host
        self._path = path
        self._left = deque(posts())
        self.total = len(self._left)
        self.done = 0
        self.statuses: dict[int, int] = {}
        self._threads = [Thread(target=self._post, daemon=True) for _ in range(SENDERS)]

    def start(self) -> None:
        for one in self._threads:
            one.start()

    def join(self) -> None:
        for one in self._threads:
            one.join()

    def _post(self) -> None:
        client = self._host.app.test_client()
        while True:
            try:
                body = self._left.popleft()
            except IndexError:
                return
            status = self._status(client, body)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status == 200:
                self.done += 1
                continue
            self._left.append(body)
            time.sleep(0.05)

    def _status(self, client: Any, body: bytes) -> int:
        try:
            answer = client.post(
                self._path, data=body, headers={"Content-Type": "application/json"}
            )
        except PoolTimeout:
            return 500
        return int(answer.status_code)


@pytest.mark.parametrize("kind", FAILING)
def test_nothing_that_was_answered_is_lost(kind: str, tmp_path: Any) -> None:
    with (
        skipped_if_unavailable(),
        FAILING[kind](tmp_path / "database") as database,
        RedisServer(tmp_path / "redis") as redis,
    ):
        uri = database.create_database()
        site = Site(tmp_path / "site", redis.url, uri=uri)
        query = Query(uri)
        with site.opened() as host:
            hooked = Hooked(host)
            path = hooked.turn_on("sparkpost")
            sent(hooked)
            hooked.engine.dispose()
            provider = Provider(host, path)
            with site.worker() as first:
                ready(first)
                provider.start()
                assert until(lambda: provider.done > provider.total * 0.2, 120)
                first.kill()
            with site.worker() as worker:
                ready(worker)
                for share in (0.35, 0.6):
                    assert until(lambda part=share: provider.done > provider.total * part, 120)  # type: ignore[misc]
                    database.crash()
                    time.sleep(1)
                    database.come_back()
                provider.join()

                def states() -> dict[str, int]:
                    rows = query("SELECT state, count(*) FROM smtp_admin_delivery GROUP BY state")
                    return {str(state): int(count) for state, count in rows}

                wanted = {end: len(range(n, EVENTS, 3)) for n, end in enumerate(ENDS)}
                assert until(lambda: states() == wanted, 120), (states(), worker.output)
                assert worker.alive
                assert "Traceback" not in worker.output
        assert provider.statuses.pop(200) == provider.total
        assert set(provider.statuses) <= {503}, provider.statuses
        assert provider.statuses  # the database was away while they posted
        (waiting,) = query("SELECT count(*) FROM smtp_admin_event WHERE state <> 'applied'")
        assert waiting == (0,)
        (kept,) = query("SELECT count(*) FROM smtp_admin_event")
        assert kept == (EVENTS,)
