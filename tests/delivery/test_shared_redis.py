"""All that a request asks Redis for shares one client, and one wait where it does not answer."""

import json
import time
from collections.abc import Callable, Iterator
from unittest.mock import patch

import pytest
from werkzeug.test import TestResponse

from smtp_admin.delivery.doorbell import doorbell
from smtp_admin.delivery.shared_redis import redis_client, shared_redis
from smtp_admin.installation import installation
from smtp_admin.monitor import kept_order
from smtp_admin.monitor.kept_order import KEPT
from tests.api.conftest import Program, a_token
from tests.app import HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import letter
from tests.events.hooking import STANDARD_SECRET, Hooked, generic, standard_headers
from tests.scene import HTML, PREFIX
from tests.servers.redis_server import RedisServer
from tests.servers.silent import SilentServer

#: Seconds; so much longer than in life that whatever a test asks for meanwhile comes in them.
LEFT_ALONE = 120.0


@pytest.fixture
def silent() -> Iterator[SilentServer]:
    """A Redis that takes connections and never answers."""
    with SilentServer("greeting") as server:
        yield server


@pytest.fixture
def site(
    opened: NewHost,
    silent: SilentServer,
    monkeypatch: pytest.MonkeyPatch,
    redis_seconds: float,
) -> HostApp:
    """A host of which every page asks for the order of senders."""
    monkeypatch.setattr(kept_order, "FEW", 0)
    monkeypatch.setattr("smtp_admin.delivery.shared_redis._SILENT_SECONDS", LEFT_ALONE)
    host = opened(REDIS_URL=f"redis://127.0.0.1:{silent.port}/0")
    host.save_sender()

    @host.app.post("/order")
    def order() -> str:
        host.plugin.send_message(letter(), partner_id="acme")
        host.db.session.commit()
        return "thanks"

    return host


def test_a_request_waits_once(site: HostApp, silent: SilentServer) -> None:
    """Whatever it asks for, and the next few seconds nobody waits at all."""
    hooked = Hooked(site)
    hook = hooked.turn_on("generic", secret=STANDARD_SECRET)
    program = Program(site, a_token(site))
    event = json.dumps(generic("delivered", recipient="you@example.org")).encode()
    # Counts and a bell; counts and listeners; the order and listeners; a bell.
    requests: dict[str, Callable[[], TestResponse]] = {
        "an event": lambda: hooked.post(hook, event, standard_headers(event)),
        "a program": lambda: program("GET", "/senders"),
        "the overview": lambda: site.client.get(f"{PREFIX}/", headers=HTML),
        "mail": lambda: site.client.post("/order"),
    }
    for name, request in requests.items():
        shared_redis().ask_at_once()
        silent.came()
        assert request().status_code == 200, name
        assert silent.came() == 1, name
    for name, request in requests.items():
        assert request().status_code == 200, name
    assert silent.came() == 0
    later = time.monotonic() + LEFT_ALONE + 1
    with patch("smtp_admin.delivery.shared_redis.monotonic", lambda: later):
        assert doorbell().workers() is None
    assert silent.came() == 1


def test_it_is_no_longer_than_one_time_out(site: HostApp, redis_seconds: float) -> None:
    shared_redis().ask_at_once()
    began = time.monotonic()
    assert doorbell().workers() is None
    assert redis_seconds <= time.monotonic() - began < 2 * redis_seconds
    began = time.monotonic()
    assert KEPT.of(installation()).read() is None
    assert not doorbell().ring(1)
    assert not doorbell().call_for_events()
    assert not doorbell().call_for_test(1)
    assert time.monotonic() - began < redis_seconds


def test_a_refusal_ends_these_questions_alone(host: HostApp, redis: RedisServer) -> None:
    """Redis is there: what somebody wrote in one place is in nobody else's way."""
    order = KEPT.of(installation())
    client = shared_redis().client
    client.lpush(order.key, "no text")
    assert order.read() is None
    assert doorbell().ring(1)
    client.delete(order.key)
    order.write("{}")
    assert not client.exists(order.key), "it is not asked again for some seconds"
    shared_redis().ask_at_once()
    order.write("{}")
    assert client.get(order.key) == b"{}"


def test_a_connection_does_not_look_up_its_own_version(redis: RedisServer) -> None:
    """To read the papers of a package takes longer than to connect."""
    client = redis_client(redis.url)
    with client, patch("importlib.metadata.version", side_effect=AssertionError):
        assert client.ping()
