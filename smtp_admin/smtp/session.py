"""Open a session with a mail server: the one sequence that test, workers and commands share.

Name, connection, greeting, EHLO, encryption, login; each step reported as it happens, so that the
connection test shows exactly what sending will do.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args

from smtp_admin.config import Config
from smtp_admin.smtp import explain
from smtp_admin.smtp.client import SMTPClient, Timeouts
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.dialling import DiallingPolicy, dial
from smtp_admin.smtp.failure import SMTPFailure, Step
from smtp_admin.smtp.redaction import Redactor
from smtp_admin.smtp.reply import Reply
from smtp_admin.smtp.tls import TLSDescription, client_context, describe
from smtp_admin.smtp.wire import Wire

Security = Literal["none", "ssl", "tls"]
SECURITIES: tuple[Security, ...] = get_args(Security)
Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a password may go: all that, if changed, makes it another destination.

    Attributes:
        host: as :func:`~smtp_admin.smtp.hostname.clean_host` returns it.
        security: ``tls`` requires STARTTLS, ``ssl`` is encrypted from the first byte, ``none``
            is plain.
    """

    host: str
    port: int
    security: Security
    username: str = ""
    verify_tls: bool = True
    driver: str = "smtp"

    @classmethod
    def of(cls, settings: Any) -> Self:
        """That of anything that has the same attributes: values, a row."""
        return cls(**{one.name: getattr(settings, one.name) for one in fields(cls)})

    def binding(self) -> tuple[str | int | bool, ...]:
        """What a stored password is sealed for."""
        return (
            self.driver,
            self.host,
            self.port,
            self.security,
            self.verify_tls,
            self.username,
        )


@dataclass(slots=True)
class StepResult:
    """How one step went; *ms* is its duration in milliseconds."""

    name: Step
    status: Status
    ms: float
    detail: str = ""
    reply: Reply | None = None


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


@dataclass(slots=True)
class Report:
    """What was learnt on the way, as far as it got.

    Attributes:
        watch: told each step as it ends, for whoever looks on; one that is done again, as EHLO
            is after STARTTLS, only if it fails then.
    """

    steps: list[StepResult] = field(default_factory=list)
    address: str | None = None
    tls: TLSDescription | None = None
    extensions: list[str] = field(default_factory=list)
    auth_methods: list[str] = field(default_factory=list)
    watch: Callable[[StepResult], None] = field(default=lambda _: None, repr=False)

    def add(self, step: StepResult) -> None:
        """Write down how a step went."""
        again = any(one.name == step.name for one in self.steps)
        self.steps.append(step)
        if not again or step.status == "failed":
            self.watch(step)

    def run(self, name: Step, act: Callable[[], tuple[str, Reply | None]]) -> None:
        """Do one step and write down how it went; *act* returns a detail and a reply."""
        started = time.monotonic()
        try:
            detail, reply = act()
        except SMTPFailure as failure:
            failed_at = failure.step
            if failed_at != name:  # a handshake that ends at the certificate
                self.add(StepResult(name, "ok", _ms(started), "agreed on encryption"))
                started = time.monotonic()
            self.add(StepResult(failed_at, "failed", _ms(started), failure.message, failure.reply))
            raise
        self.add(StepResult(name, "ok", _ms(started), detail, reply))

    def again(self, name: Step, act: Callable[[], tuple[str, Reply | None]]) -> None:
        """Do a step once more; what came of it takes the place of the first time."""
        first = next(at for at, step in enumerate(self.steps) if step.name == name)
        try:
            self.run(name, act)
        finally:
            self.steps[first] = self.steps.pop()

    def skip(self, name: Step, why: str) -> None:
        """Write down that a step was not needed, and why."""
        self.add(StepResult(name, "skipped", 0.0, why))


#: Where we end a conversation that goes well, so the server answers a QUIT.
_OUR_OWN_REFUSALS = {"tls_not_offered", "auth_not_offered"}


def open_session(
    destination: Destination,
    password: str,
    dialler: Dialler,
    *,
    overall: Deadline | None = None,
    report: Report | None = None,
    dialled: Callable[[Wire], None] = lambda _: None,
) -> SMTPClient:
    """A logged-in session, ready for ``MAIL FROM``.

    The caller closes it with :meth:`SMTPClient.quit`; if this raises, it is closed already.

    Args:
        dialled: told the connection as soon as there is one, for whoever may have to cut it.

    Raises:
        SMTPFailure: with the code and the step; *report* holds what happened until then.
    """
    report = report if report is not None else Report()
    redact = Redactor(password, destination.username)
    dialler.policy.check_port(destination.port)
    client = _connect(destination, dialler, overall, report, redact)
    dialled(client.wire)
    try:
        _introduce(client, destination, dialler, report)
        _log_in(client, destination, password, report)
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


def _connect(
    destination: Destination,
    dialler: Dialler,
    overall: Deadline | None,
    report: Report,
    redact: Redactor,
) -> SMTPClient:
    deadline = Deadline(dialler.timeouts.connect, overall)
    found = []

    def resolve() -> tuple[str, None]:
        found.extend(dialler.policy.addresses(destination.host, destination.port, deadline))
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return f"{found[0]}{more}", None

    wires: list[Wire] = []

    def connect() -> tuple[str, None]:
        wires.append(Wire(dial(found, destination.port, deadline)))
        report.address = wires[0].peer_address
        return f"port {destination.port}", None

    report.run("dns", resolve)
    report.run("connect", connect)
    return SMTPClient(wires[0], timeouts=dialler.timeouts, overall=overall, redact=redact)


def _introduce(
    client: SMTPClient, destination: Destination, dialler: Dialler, report: Report
) -> None:
    name = dialler.ehlo_name or _address_literal(client.wire.local_address)

    def encrypt() -> tuple[str, None]:
        try:
            context = client_context(verify=destination.verify_tls, ca_file=dialler.ca_file)
        except OSError as error:
            raise explain.of_authorities() from error
        client.encrypt(context, destination.host)
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
        return shown or "no extensions", reply

    def greeting() -> tuple[str, Reply]:
        reply = client.greeting()
        return reply.text, reply

    def starttls() -> tuple[str, Reply]:
        reply = client.starttls()
        return reply.text, reply

    if destination.security == "ssl":
        report.run("tls", encrypt)
        _certificate_step(report, destination)
    report.run("greeting", greeting)
    report.run("ehlo", ehlo)
    if destination.security == "tls":
        report.run("starttls", starttls)
        report.run("tls", encrypt)
        _certificate_step(report, destination)
        # What was said in plain text does not count any more (RFC 3207 section 4.2).
        report.again("ehlo", ehlo)
    elif destination.security == "none":
        report.skip("starttls", "no encryption was chosen")


def _certificate_step(report: Report, destination: Destination) -> None:
    tls = report.tls
    if tls is None:
        return
    if not destination.verify_tls:
        report.skip("certificate", "not checked, as chosen for this sender")
        return
    until = f", valid until {tls.expires:%Y-%m-%d}" if tls.expires else ""
    report.add(
        StepResult("certificate", "ok", 0.0, f"{tls.subject}, issued by {tls.issuer}{until}")
    )


def _log_in(client: SMTPClient, destination: Destination, password: str, report: Report) -> None:
    if not destination.username:
        report.skip("auth", "no login was given")
        return

    def login() -> tuple[str, Reply]:
        mechanism, reply = client.login(destination.username, password)
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
