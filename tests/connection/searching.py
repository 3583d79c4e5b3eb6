"""A search for mail settings on loopback: who answers, who was dialled, what nobody may see."""

import ipaddress
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import pytest

from smtp_admin.discovery.search import Discovery, Finding, KnownServer, discover
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.nameserver import NameService
from smtp_admin.smtp.session import Dialler, Security
from tests.servers import closed_port
from tests.servers.certificates import CertificateFactory, CertificatePair
from tests.servers.dns import DNSServer, Step, Then
from tests.servers.scripted import Script, ScriptedServer

ADDRESS = "robot@acme.example"
ACCOUNT = (ADDRESS, "pässword-canary-7731")
HARMLESS = ("EHLO", "STARTTLS", "QUIT")


class Scene:
    """A name server, mail servers, and ports that stay closed, for the time of one test."""

    def __init__(self, stack: ExitStack, certificates: CertificateFactory) -> None:
        self._stack = stack
        self._certificates = certificates
        self.dns = stack.enter_context(DNSServer())
        self.servers: list[ScriptedServer] = []

    def knows(self, records: Mapping[tuple[str, str], Step | Then]) -> None:
        """Tell the name server more."""
        for (name, kind), step in records.items():
            self.dns.set(name, kind, step)

    def serves(
        self,
        security: Security,
        name: str = "mail.acme.example",
        *,
        certificate: CertificatePair | None = None,
        auth: bool = True,
        methods: Sequence[str] = ("PLAIN", "LOGIN"),
        behaviours: Script | None = None,
    ) -> ScriptedServer:
        """A mail server that proves to be *name*."""
        pair = certificate or self._certificates.valid(name)
        context = self._certificates.server_context(pair)
        server = ScriptedServer(
            implicit_tls=context if security == "ssl" else None,
            starttls=context if security == "tls" else None,
            auth=ACCOUNT if auth else None,
            auth_methods=methods,
            behaviours=behaviours,
        )
        self.servers.append(self._stack.enter_context(server))
        return server

    def closed(self) -> int:
        """A port that refuses connections."""
        return self._stack.enter_context(closed_port())

    def dialler(
        self,
        ports: Collection[int],
        *,
        networks: Sequence[str] = ("127.0.0.0/8",),
        ca_file: Path | None = None,
        seconds: float = 3.0,
    ) -> Dialler:
        """One that asks our name server and may dial loopback."""
        policy = DiallingPolicy(
            frozenset(ports), [ipaddress.ip_network(one) for one in networks], self.names.resolve
        )
        return Dialler(
            policy, Timeouts(connect=seconds), ca_file or self._certificates.ca_file, "app.example"
        )

    @property
    def names(self) -> NameService:
        """Our name server, asked with some patience."""
        return NameService((self.dns.address,), 5.0)

    def search(
        self,
        *usual: tuple[ScriptedServer | int, Security],
        address: str = ADDRESS,
        more_ports: Collection[int] = (),
        networks: Sequence[str] = ("127.0.0.0/8",),
        providers: Mapping[str, KnownServer] | None = None,
        overall_seconds: float = 15.0,
        patience: float = 5.0,
    ) -> Discovery:
        """Search with these usual ports; *providers* are known by a domain or a host name.

        Whatever happens, no server gets a login or a mail, and all can be shown as JSON.
        """
        known = providers or {}
        ports: list[tuple[int, Security]] = [
            (one if isinstance(one, int) else one.port, security) for one, security in usual
        ]
        allowed = {port for port, _ in ports} | set(more_ports)
        found = discover(
            address,
            NameService((self.dns.address,), patience),
            self.dialler(allowed, networks=networks),
            provider_of_address=lambda one: known.get(one.rpartition("@")[2]),
            provider_of_host=known.get,
            usual_ports=ports,
            overall_seconds=overall_seconds,
        )
        check_form(found)
        for server in self.servers:
            assert server.messages == []
            for session in server.sessions:
                assert session.auth_attempts == []
                said = [line.split(" ")[0].upper() for line in session.commands]
                assert set(said) <= set(HARMLESS), said
        return found


@pytest.fixture
def scene(certificates: CertificateFactory) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(stack, certificates)


@pytest.fixture
def dialled(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Every TCP connection that this process begins, but for those to our name server."""
    begun: list[tuple[str, int]] = []
    connect = socket.socket.connect

    def recording(self: socket.socket, address: Any) -> None:
        if address != scene.dns.address:
            begun.append(address[:2])
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", recording)
    return begun


def findings(found: Discovery, where: str, status: str | None = None) -> list[Finding]:
    """What was found there, of one status or all."""
    return [one for one in found.findings if one.where == where and status in (None, one.status)]


def the(found: Discovery, where: str, status: Literal["ok", "warning", "failed", "skipped"]) -> str:
    """The sentence of the only finding of this kind."""
    (one,) = findings(found, where, status)
    return one.detail


def check_form(found: Discovery) -> None:
    """What every result fulfils: sentences for people, and fields for a page."""
    shown = found.as_json()
    assert set(shown) == {"address", "summary", "best", "others", "findings", "duration_ms"}
    assert shown["summary"].endswith(".")
    for one in found.findings:
        assert one.subject
        assert one.detail[:1].isupper() or "." in one.detail.split(" ", maxsplit=1)[0], one
        assert one.detail.endswith("."), one
        assert one.detail.isprintable()
        assert (one.code == "") or one.status in {"failed", "warning"}
    for suggestion in (found.best, *found.others):
        if suggestion is not None:
            assert suggestion.security in {"ssl", "tls"}, "never suggested without encryption"
            assert suggestion.proven or suggestion.caution
