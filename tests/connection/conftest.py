"""One host app for all faults, and a function that tests a connection through it."""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from smtp_admin.connection import probe as probe_module
from smtp_admin.connection import service
from tests.app import ADMIN, HostApp, make_app
from tests.connection.answers import PASSWORD, USERNAME, Answer
from tests.servers.certificates import CertificateFactory
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer

ADDRESS = "/smtp-admin/partners/acme/test-connection"
Ask = Callable[..., Answer]


@pytest.fixture(scope="session")
def tested_host(
    tmp_path_factory: pytest.TempPathFactory,
    redis_server: RedisServer,
    certificates: CertificateFactory,
) -> HostApp:
    """An app that knows the tests' authority and lets one person test as often as they like."""
    made = make_app(
        f"sqlite:///{tmp_path_factory.mktemp('host') / 'host.db'}",
        {
            "REDIS_URL": redis_server.url,
            "CA_FILE": str(certificates.ca_file),
            "TEST_LIMIT": "100000 per 1 minute",
        },
    )
    made.actor = ADMIN
    return made


@pytest.fixture
def overall_seconds(request: pytest.FixtureRequest) -> float:
    """The deadline of one test: short enough to be waited for, long enough for a busy machine.

    A test that means to wait it out asks for less by ``@pytest.mark.parametrize(...,
    indirect=True)``.
    """
    return float(getattr(request, "param", 20.0))


@pytest.fixture
def ask(
    tested_host: HostApp, overall_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ask]:
    """``ask(server, **fields)`` posts the connection test of *server* (or a port) as JSON.

    Whatever happened, no server has got a mail, and the answer came within the deadline and what
    a busy machine takes.
    """
    short = functools.partial(probe_module.probe, overall_seconds=overall_seconds)
    monkeypatch.setattr(service, "probe", short)
    asked: list[ScriptedServer] = []

    def post(server: ScriptedServer | int, **fields: Any) -> Answer:
        port = server if isinstance(server, int) else server.port
        if not isinstance(server, int):
            asked.append(server)
        given = {
            "host": "localhost" if fields.get("security") in ("ssl", "tls") else "127.0.0.1",
            "port": port,
            "security": "none",
            "username": USERNAME,
            "password": PASSWORD,
            "from_email": "noreply@acme.example",
        }
        began = time.monotonic()
        response = tested_host.client.post(ADDRESS, json=given | fields)
        seconds = time.monotonic() - began
        assert seconds < overall_seconds + 10.0, f"it took {seconds:.1f} s"
        return Answer(response.status_code, response.get_json(), response.text, seconds)

    yield post
    for server in asked:
        assert server.messages == []
        assert not any(session.bodies for session in server.sessions)
