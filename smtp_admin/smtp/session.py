"""Open a session with a mail server: the one sequence that test, workers and commands share.

Name, connection, greeting, EHLO, encryption, login; each step reported as it happens, so that the
connection test shows exactly what sending will do.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from smtp_admin.config import Config
from smtp_admin.smtp.client import SMTPClient, Timeouts
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.dialling import DiallingPolicy, dial
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.hostname import IPAddress
from smtp_admin.smtp.login import Credential
from smtp_admin.smtp.redaction import Redactor
from smtp_admin.smtp.reply import Reply
from smtp_admin.smtp.report import Report, StepResult
from smtp_admin.smtp.tls import TLSDescription, client_context, describe
from smtp_admin.smtp.wire import Wire
from smtp_admin.translation import gettext, joined

Security = Literal["none", "ssl", "tls"]
SECURITIES: tuple[Security, ...] = get_args(Security)


@dataclass(frozen=True, slots=True)
class Server:
    """One mail server, and how it is talked to.

    Attributes:
        host: as :func:`~smtp_admin.smtp.hostname.clean_host` returns it.
        security: ``tls`` requires STARTTLS, ``ssl`` is encrypted from the first byte, ``none``
            is plain.
        ca_certificate: an authority (PEM) that is trusted beside the others, for this server.
        client_certificate: what is shown to a server that asks who calls (PEM).
        ehlo_name: the name in EHLO; the installation's own if empty.
    """

    host: str
    port: int
    security: Security
    verify_tls: bool = True
    ca_certificate: str = ""
    client_certificate: str = ""
    client_key: str = field(default="", repr=False)
    ehlo_name: str = ""


@dataclass(frozen=True, slots=True)
class Dialler:
    """What this installation dials with: its policy, patience, trust and name."""

    policy: DiallingPolicy
    timeouts: Timeouts = field(default_factory=Timeouts)
    ca_file: Path | None = None
    ehlo_name: str = ""

    @classmethod
    def from_config(cls, config: Config) -> "Dialler":
        """As the host app configured it."""
        return cls(
            policy=DiallingPolicy(config.allowed_ports, config.allowed_networks),
            timeouts=Timeouts(connect=config.connect_timeout),
            ca_file=config.ca_file,
            ehlo_name=config.ehlo_name,
        )

    def connect(
        self, host: str, port: int, overall: Deadline | None, report: Report, *, name: str = ""
    ) -> Wire:
        """A connection to *host*, with the steps ``dns`` and ``connect`` in *report*.

        The port is not looked at: what may be dialled depends on the protocol.

        Args:
            name: said before the address, where no page says which machine is meant.

        Raises:
            SMTPFailure: with the code and the step.
        """
        deadline = Deadline(self.timeouts.connect, overall)
        found: list[IPAddress] = []
        wires: list[Wire] = []

        def resolve() -> tuple[str, None]:
            found.extend(self.policy.addresses(host, port, deadline))
            report.answers = [str(address) for address in found]
            more = gettext(" and %(number)s more", number=len(found) - 1) if found[1:] else ""
            return joined((f"{name}: {found[0]}" if name else str(found[0]), more), ""), None

        def tried(address: IPAddress, outcome: str) -> None:
            report.tried.append((str(address), outcome))

        def connect() -> tuple[str, None]:
            wires.append(Wire(dial(found, port, deadline, tried)))
            report.address = wires[0].peer_address
            return gettext("port %(port)s", port=port), None

        report.run("dns", resolve)
        report.run("connect", connect)
        return wires[0]


#: Where we end a conversation that goes well, so the server answers a QUIT.
_OUR_OWN_REFUSALS = {"tls_not_offered", "auth_not_offered"}


def open_session(
    server: Server,
    credential: Credential,
    dialler: Dialler,
    *,
    overall: Deadline | None = None,
    report: Report | None = None,
    dialled: Callable[[Wire], None] = lambda _: None,
) -> SMTPClient:
    """A logged-in session, ready for ``MAIL FROM``.

    The caller closes it with :meth:`SMTPClient.quit`; if this raises, it is closed already.

    Args:
        report: where everything is written down, what was said too; for tests, not for sending.
        dialled: told the connection as soon as there is one, for whoever may have to cut it.

    Raises:
        SMTPFailure: with the code and the step; *report* holds what happened until then.
    """
    redact = Redactor(credential.secrets, credential.username)
    note = None if report is None else report.note
    report = Report() if report is None else report
    dialler.policy.check_port(server.port)
    wire = dialler.connect(server.host, server.port, overall, report)
    client = SMTPClient(wire, timeouts=dialler.timeouts, overall=overall, redact=redact, note=note)
    dialled(wire)
    try:
        _introduce(client, server, dialler, report)
        _log_in(client, credential, report)
    except BaseException as error:
        # Always QUIT, also after a failure: some servers count sessions that just vanish.
        started = time.monotonic()
        talking = isinstance(error, SMTPFailure) and (
            error.reply is not None or error.code in _OUR_OWN_REFUSALS
        )
        reply = client.quit(wait=talking)
        if reply is not None:
            report.add(StepResult("quit", "ok", _ms(started), "", reply))
        raise
    return client


def _introduce(client: SMTPClient, server: Server, dialler: Dialler, report: Report) -> None:
    name = server.ehlo_name or dialler.ehlo_name or _address_literal(client.wire.local_address)

    def encrypt() -> tuple[str, None]:
        context = client_context(
            verify=server.verify_tls,
            ca_file=dialler.ca_file,
            ca_certificate=server.ca_certificate,
            client_certificate=server.client_certificate,
            client_key=server.client_key,
        )
        client.encrypt(context, server.host, at_once=server.security == "ssl")
        sock = client.wire.tls
        if sock is not None:
            report.tls = describe(sock)
        return _tls_detail(report.tls), None

    def ehlo() -> tuple[str, Reply]:
        reply = client.ehlo(name)
        offered = client.extensions.items()
        report.extensions = [client.redact(f"{key} {value}".strip()) for key, value in offered]
        report.auth_methods = [client.redact(method) for method in client.auth_methods]
        shown = ", ".join(client.redact(key) for key in client.extensions if key != "AUTH")
        return shown or gettext("no extensions"), reply

    def greeting() -> tuple[str, Reply]:
        reply = client.greeting()
        return reply.text, reply

    def starttls() -> tuple[str, Reply]:
        reply = client.starttls()
        return reply.text, reply

    if server.security == "ssl":
        report.run("tls", encrypt)
        _certificate_step(report, server)
    report.run("greeting", greeting)
    report.run("ehlo", ehlo)
    if server.security == "tls":
        report.run("starttls", starttls)
        report.run("tls", encrypt)
        _certificate_step(report, server)
        # What was said in plain text does not count any more (RFC 3207 section 4.2).
        report.again("ehlo", ehlo)
    elif server.security == "none":
        report.skip("starttls", gettext("no encryption was chosen"))


def _certificate_step(report: Report, server: Server) -> None:
    tls = report.tls
    if tls is None:
        return
    if not server.verify_tls:
        report.skip("certificate", gettext("not checked, as chosen for this sender"))
        return
    until = (
        gettext(", valid until %(expires)s", expires=str(tls.expires.date())) if tls.expires else ""
    )
    report.add(
        StepResult(
            "certificate",
            "ok",
            0.0,
            gettext(
                "%(subject)s, issued by %(issuer)s%(until)s",
                subject=tls.subject,
                issuer=tls.issuer,
                until=until,
            ),
        )
    )


def _log_in(client: SMTPClient, credential: Credential, report: Report) -> None:
    if not credential.username:
        report.skip("auth", gettext("no login was given"))
        return

    def login() -> tuple[str, Reply]:
        mechanism, reply = client.login(credential)
        return f"{mechanism}: {reply.text}", reply

    report.run("auth", login)


def _tls_detail(tls: TLSDescription | None) -> str:
    return f"{tls.version}, {tls.cipher}" if tls else ""


def _address_literal(address: str) -> str:
    # RFC 5321 section 4.1.3; a name of this machine would be looked up, and would leak.
    address = address or "127.0.0.1"  # the connection is gone: the next write says so
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _ms(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)
