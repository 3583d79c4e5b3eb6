"""The server's certificate expires in the middle: over what is open mail goes on, anew it does not.

TLS looks at a certificate once, when a connection is made. The next one finds it expired.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from smtp_admin import signals
from smtp_admin.delivery.engine import FIRST_BATCH, work_lane
from tests.app import HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import Workbench, deliveries, queue, sender_row
from tests.patience import SECONDS
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import Reply, ScriptedServer
from tests.worker.running import until

MakeBench = Callable[..., Workbench]

MAILS, BEFORE, OVER_OPEN = 10, 3, 7
#: Whole seconds, so two at least for a handshake on a busy machine.
LIFE = timedelta(seconds=3)


class Aging:
    """A server's certificate, and mails that wait until it has ended.

    It is made when somebody connects: what went before takes as long as it takes.
    """

    def __init__(self, server: ScriptedServer, certificates: CertificateFactory) -> None:
        self._ends = datetime.now(UTC)
        self._server = server
        self._certificates = certificates
        server.behave("connect", [self._begin, None])

    def _begin(self, *_: object) -> None:
        self._ends = (datetime.now(UTC) + LIFE).replace(microsecond=0)
        self.present(self._certificates.server_context(self._certificates.ending(self._ends)))

    def present(self, context: object) -> None:
        """Show another one from now on."""
        if self._server.starttls is not None:
            self._server.starttls = context  # type: ignore[assignment]  # a context
        else:
            self._server.implicit_tls = context  # type: ignore[assignment]  # a context

    def wait(self, *_: object) -> None:
        """Until it has ended."""
        assert until(lambda: datetime.now(UTC) > self._ends + timedelta(seconds=1))


@pytest.fixture(params=["tls", pytest.param("ssl", marks=pytest.mark.long)])
def tls_server(request: pytest.FixtureRequest, certificates: CertificateFactory) -> ScriptedServer:
    context = certificates.server_context(certificates.valid())
    if request.param == "tls":
        return ScriptedServer(starttls=context)
    return ScriptedServer(implicit_tls=context)


def test_open_connections_finish_the_next_is_refused_and_a_renewed_one_goes_on(
    opened: NewHost, bench_of: MakeBench, tls_server: ScriptedServer,
    certificates: CertificateFactory, redis: object,
) -> None:  # fmt: skip
    told: list[tuple[str, str]] = []

    def hear(_app: object, *, code: str, reason: str, **_more: object) -> None:
        told.append((code, reason))

    with tls_server as server, signals.sender_paused.connected_to(hear):
        host = opened()
        aging = Aging(server, certificates)
        host.save_sender(
            host="localhost",
            port=server.port,
            security="tls" if server.starttls else "ssl",
            ca_certificate=certificates.ca_file.read_text(),
            max_connections=1,
        )
        bench = bench_of(host)
        # The fourth waits until it has expired; after the seventh the server wants no more.
        worn = Reply("421 4.7.0 Too many messages in this session")
        server.behave("dot", [*[None] * BEFORE, aging.wait, None])
        server.behave("mail", [*[None] * OVER_OPEN, worn])
        queue(host, *(f"r{number}@example.org" for number in range(MAILS)))
        bench.work()
        check_paused(host, server, told)

        server.behave("mail", None)
        aging.present(certificates.server_context(certificates.valid()))
        bench.tick(timedelta(minutes=30))
        assert len(server.messages) == OVER_OPEN, "not before the pause is over"
        bench.tick(timedelta(minutes=61))
        assert {one.state for one in deliveries(host)} == {"sent"}
        assert len({one.recipients[0] for one in server.messages}) == MAILS == len(server.messages)
        assert sender_row(host).pause_code == ""
        assert len(told) == 1


def check_paused(host: HostApp, server: ScriptedServer, told: list[tuple[str, str]]) -> None:
    """Seven are sent, three wait unharmed, and the sender says why."""
    found = deliveries(host)
    assert [one.state for one in found].count("sent") == OVER_OPEN == len(server.messages)
    waiting = [one for one in found if one.state == "queued"]
    assert len(waiting) == MAILS - OVER_OPEN
    assert {(one.attempts, one.uncertains) for one in waiting} == {(0, 0)}
    sender = sender_row(host)
    assert (sender.pause_code, sender.pause_cause) == ("certificate_error", "certificate_expired")
    assert "expired" in sender.pause_reason
    assert told == [("certificate_error", sender.pause_reason)]


@pytest.mark.long
def test_what_an_open_connection_still_sends_ends_no_pause_of_another(
    opened: NewHost, bench_of: MakeBench, tls_server: ScriptedServer,
    certificates: CertificateFactory, redis: object,
) -> None:  # fmt: skip
    """Two connections: the second is made when the certificate has expired."""
    told: list[str] = []
    held, go = threading.Event(), threading.Event()

    def hear(_app: object, *, code: str, **_more: object) -> None:
        told.append(code)

    def hold(*_: object) -> None:
        held.set()
        assert go.wait(SECONDS)

    with (
        tls_server as server,
        signals.sender_paused.connected_to(hear),
        ThreadPoolExecutor(1) as threads,
    ):
        host = opened()
        aging = Aging(server, certificates)
        host.save_sender(
            host="localhost",
            port=server.port,
            security="tls" if server.starttls else "ssl",
            ca_certificate=certificates.ca_file.read_text(),
            max_connections=2,
        )
        bench = bench_of(host)
        server.behave("dot", [None, hold, None])
        queue(host, *(f"r{number}@example.org" for number in range(FIRST_BATCH + MAILS)))
        sender_id = sender_row(host).id

        def work_first() -> None:
            with host.app.app_context():
                work_lane(bench.context(), sender_id)

        first = threads.submit(work_first)
        assert held.wait(SECONDS)
        aging.wait()
        bench.work()
        assert told == ["certificate_error"]
        go.set()
        first.result(SECONDS)
        found = [one.state for one in deliveries(host)]
        assert (found.count("sent"), found.count("queued")) == (FIRST_BATCH, MAILS)
        assert sender_row(host).pause_cause == "certificate_expired"
        assert told == ["certificate_error"], "told once"
