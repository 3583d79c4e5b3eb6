"""Find the settings of a mail server from an e-mail address alone.

What :mod:`smtp_admin.discovery.clues` names is tried: connection, encryption, certificate and
whether a login is offered, but no login and no mail. All of it goes through the dialling policy,
at addresses that were looked up and checked once for each host, so that no answer of a name
service leads to a forbidden place.

Only a server that encrypts, proves who it is and offers a login is put into the form. Everything
else is said, with the reason.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from smtp_admin.credentials.none import NoLogin
from smtp_admin.credentials.password import MECHANISMS
from smtp_admin.discovery.clues import (
    DNS_SECONDS,
    WORDS,
    Candidate,
    Clues,
    Finding,
    KnownServer,
    ProviderOf,
    Source,
    Status,
    gather,
)
from smtp_admin.smtp.address import clean_address, domain_of
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.hostname import IPAddress
from smtp_admin.smtp.nameserver import NameService
from smtp_admin.smtp.report import Report
from smtp_admin.smtp.session import Dialler, Security, Server, open_session
from smtp_admin.translation import gettext, joined

__all__ = ["USUAL_PORTS", "Discovery", "Finding", "KnownServer", "Suggestion", "discover"]

OVERALL_SECONDS = 15.0
_ATTEMPT_SECONDS = 4.5
_AT_A_TIME = 6
_MOST_CONNECTIONS = 14
#: Usual ports with the encryption that goes with each, the best first (RFC 8314).
USUAL_PORTS: tuple[tuple[int, Security], ...] = (
    (465, "ssl"), (587, "tls"), (2525, "tls"), (25, "tls"),
)  # fmt: skip
_COMMON_PORTS = 2
#: Failures that may be this platform's network and say nothing against the settings.
_NOT_REACHED = {"timeout", "connection_refused", "unreachable", "connection_lost"}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Settings to fill in.

    Attributes:
        source: how the server was found.
        provider: the key of the preset that it belongs to, if any.
        proven: whether the server was reached and did what it should.
        caution: what a person should know before using it; may be empty.
    """

    host: str
    port: int
    security: Security
    username: str
    source: Source
    provider: str = ""
    proven: bool = True
    caution: str = ""

    def as_json(self) -> dict[str, Any]:
        """As a page takes it; the first four are fields of the form."""
        return {
            "host": self.host,
            "port": self.port,
            "security": self.security,
            "username": self.username,
            "source": self.source,
            "provider": self.provider,
            "proven": self.proven,
            "caution": self.caution,
        }


@dataclass(slots=True)
class Discovery:
    """What was found for *address*: the best settings, if any, others, and how it came to that."""

    address: str
    findings: list[Finding] = field(default_factory=list)
    best: Suggestion | None = None
    others: list[Suggestion] = field(default_factory=list)
    duration_ms: float = 0.0

    @property
    def summary(self) -> str:
        """The result in one sentence."""
        best = self.best
        if best is None:
            return gettext(
                "No suitable mail server was found for %(address)s.", address=self.address
            )
        words = gettext(
            "%(host)s, port %(port)s with %(security)s",
            host=best.host,
            port=best.port,
            security=WORDS[best.security],
        )
        if not best.proven:
            return gettext(
                "%(words)s, is probably correct, but could not be tested from here.", words=words
            )
        return gettext(
            "%(words)s, answers, encrypts, has a valid certificate and offers a login.", words=words
        )

    def as_json(self) -> dict[str, Any]:
        """As the page shows it."""
        return {
            "address": self.address,
            "summary": self.summary,
            "best": self.best.as_json() if self.best else None,
            "others": [one.as_json() for one in self.others],
            "findings": [
                {
                    "where": one.where,
                    "subject": one.subject,
                    "status": one.status,
                    "detail": one.detail,
                    "hint": one.hint,
                    "code": one.code,
                    "ms": one.ms,
                }
                for one in self.findings
            ],
            "duration_ms": self.duration_ms,
        }


def discover(
    address: str,
    names: NameService,
    dialler: Dialler,
    *,
    provider_of_address: ProviderOf = lambda _: None,
    provider_of_host: ProviderOf = lambda _: None,
    usual_ports: Sequence[tuple[int, Security]] = USUAL_PORTS,
    overall_seconds: float = OVERALL_SECONDS,
) -> Discovery:
    """Look for the mail server that *address* sends through. Nothing secret is known or sent.

    Args:
        address: as typed.
        names: whom to ask for SRV and MX records.
        dialler: policy, trust and patience; its policy resolves host names, as it does for
            sending.
        provider_of_address: the provider of an address, if its domain is a known one's.
        provider_of_host: the provider whose mail server *host* is, MX hosts included.
        usual_ports: what to try where only a host is known, the first two before the others.
        overall_seconds: when to stop, whatever was not tried by then.

    Raises:
        ValueError: this is no e-mail address; with a sentence that says why.
    """
    started = time.monotonic()
    overall = Deadline(overall_seconds)
    result = Discovery(clean_address(address))
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="discovery") as pool:
        clues = gather(
            result.address,
            names,
            pool,
            overall,
            provider_of_address=provider_of_address,
            provider_of_host=provider_of_host,
        )
        result.findings += clues.findings
        trial = _Trial(result, dialler, pool, overall)
        for wave in _waves(clues, usual_ports):
            trial.run(wave)
            if result.best is not None:
                break
    if result.best is None:
        result.best = trial.unproven(clues.certain)
    result.duration_ms = _ms(started)
    return result


def _waves(clues: Clues, ports: Sequence[tuple[int, Security]]) -> Iterator[list[Candidate]]:
    """What is named with its port; then the usual ports; then the less usual ones."""
    yield clues.certain
    for some in (ports[:_COMMON_PORTS], ports[_COMMON_PORTS:]):
        yield [
            Candidate(host, port, security, source, known)
            for host, (source, known) in clues.hosts.items()
            for port, security in some
            if security not in clues.denied
        ]


class _Trial:
    """Tries places, some at the same time, and writes down what came of each."""

    def __init__(
        self, result: Discovery, dialler: Dialler, pool: ThreadPoolExecutor, overall: Deadline
    ) -> None:
        patience = min(dialler.timeouts.connect, _ATTEMPT_SECONDS)
        self._result = result
        self._dialler = replace(
            dialler, timeouts=Timeouts(connect=patience, command=_ATTEMPT_SECONDS)
        )
        self._pool = pool
        self._overall = overall
        self._addresses: dict[str, list[IPAddress] | SMTPFailure] = {}
        self._failures: dict[tuple[str, int], SMTPFailure | None] = {}
        self._connections = 0

    def run(self, wave: Sequence[Candidate]) -> None:
        """Try all of *wave*; the first of them, in its order, that will do is the best."""
        fresh: dict[tuple[str, int], Candidate] = {}
        for one in wave:
            if (one.host, one.port) not in self._failures:
                fresh.setdefault((one.host, one.port), one)
        self._resolve(sorted({one.host for one in fresh.values()} - self._addresses.keys()))
        attempts = []
        left_out = 0
        for place, one in fresh.items():
            found = self._addresses[one.host]
            if isinstance(found, SMTPFailure):
                self._failures[place] = found
                continue
            if self._connections >= _MOST_CONNECTIONS:
                left_out += 1
                continue
            self._connections += 1
            attempts.append((place, one, self._pool.submit(self._probe, one, found)))
        for place, one, attempt in attempts:
            finding, self._failures[place] = attempt.result()
            self._result.findings.append(finding)
            if finding.status != "ok":
                continue
            suggestion = self._suggestion(one)
            if self._result.best is None:
                self._result.best = suggestion
            else:
                self._result.others.append(suggestion)
        if left_out:
            subject = gettext("%(left_out)s more places", left_out=left_out)
            self._result.findings.append(
                Finding("probe", subject, "skipped", gettext("Enough places were tried."))
            )

    def unproven(self, certain: Sequence[Candidate]) -> Suggestion | None:
        """What is known or published, although it was not reached: the network here may block it.

        A server that was reached and failed is not suggested, nor is one that may not be dialled.
        """
        for one in certain:
            failure = self._failures.get((one.host, one.port))
            if failure is None:
                continue
            unknown_here = failure.code == "dns_failed" and one.known is not None
            if failure.code in _NOT_REACHED or unknown_here:
                return self._suggestion(one, failure)
        return None

    def _resolve(self, hosts: Sequence[str]) -> None:
        """Look new hosts up, once: every port is then dialled at the addresses checked here."""
        limit = Deadline(DNS_SECONDS, self._overall)
        addresses = self._dialler.policy.addresses
        asked = {host: self._pool.submit(addresses, host, 0, limit) for host in hosts}
        for host, answer in asked.items():
            try:
                self._addresses[host] = answer.result()
            except SMTPFailure as failure:
                self._addresses[host] = failure
                self._result.findings.append(
                    Finding("probe", host, "failed", failure.message, failure.hint, failure.code)
                )

    def _probe(
        self, candidate: Candidate, checked: Sequence[IPAddress]
    ) -> tuple[Finding, SMTPFailure | None]:
        started = time.monotonic()
        subject = str(candidate)
        if self._overall.passed:
            return Finding(
                "probe", subject, "skipped", gettext("There was no time to try it.")
            ), None
        policy = replace(self._dialler.policy, resolve=lambda *_: map(str, checked))
        server = Server(candidate.host, candidate.port, candidate.security)
        report = Report()
        failure = None
        try:
            open_session(
                server,
                NoLogin(),
                replace(self._dialler, policy=policy),
                overall=Deadline(_ATTEMPT_SECONDS, self._overall),
                report=report,
            ).quit()
        except SMTPFailure as problem:
            failure = problem
        status, detail, hint = _explained(failure) if failure else _about_login(report)
        code = failure.code if failure else ""
        return Finding("probe", subject, status, detail, hint, code, _ms(started)), failure

    def _suggestion(self, one: Candidate, failure: SMTPFailure | None = None) -> Suggestion:
        known = one.known
        cautions = []
        if failure is not None:
            cautions.append(
                gettext("It could not be reached from here: %(message)s", message=failure.message)
            )
        domain = domain_of(self._result.address)
        # RFC 6186 section 6: records that nobody signed may name anybody's server.
        if known is None and one.host != domain and not one.host.endswith(f".{domain}"):
            cautions.append(
                gettext(
                    "%(host)s does not belong to %(domain)s: use it only if you know this "
                    "provider.",
                    host=one.host,
                    domain=domain,
                )
            )
        return Suggestion(
            host=one.host,
            port=one.port,
            security=one.security,
            username=(known.username if known else "") or self._result.address,
            source=one.source,
            provider=known.key if known else "",
            proven=failure is None,
            caution=joined(cautions),
        )


_UNTRUSTED = gettext(
    "A mail server answers, but its certificate is not valid, so it is not suggested."
)
_PLAIN = gettext(
    "A mail server answers, but offers no encryption, so it is not "
    "suggested. It would get the password in plain text."
)
_NO_LOGIN = gettext("but it offers no login. It only accepts mail from other servers.")


def _explained(failure: SMTPFailure) -> tuple[Status, str, str]:
    """What a failure means here: status, sentence, hint."""
    if failure.code == "certificate_error":
        return "warning", joined((_UNTRUSTED, failure.message)), failure.hint
    if failure.code == "tls_not_offered":
        return "warning", _PLAIN, gettext("Ask the provider for a port with encryption.")
    return "failed", failure.message, failure.hint


def _about_login(report: Report) -> tuple[Status, str, str]:
    """What a server that answered and encrypted is good for: status, sentence, hint."""
    tls = report.tls
    safe = gettext(
        "Answers and encrypts (%(version)s), and its certificate is good",
        version=tls.version if tls else "TLS",
    )
    listed = ", ".join(report.auth_methods)
    if any(one in MECHANISMS for one in report.auth_methods):
        return (
            "ok",
            gettext("%(safe)s. It offers a login (%(listed)s).", safe=safe, listed=listed),
            "",
        )
    if listed:
        hint = gettext("It may require OAuth2 instead of a password.")
        return (
            "warning",
            gettext(
                "%(safe)s, but it only offers logins that this platform does not "
                "support (%(listed)s).",
                safe=safe,
                listed=listed,
            ),
            hint,
        )
    hint = gettext("Your provider has another host or port for programs that send mail.")
    return "warning", joined((safe, _NO_LOGIN), ", "), hint


def _ms(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)
