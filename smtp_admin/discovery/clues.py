"""Where the mail server of an e-mail address may be: what is known, published or usual.

The surest first: the provider whose address it is; what the domain says of itself in SRV records
(RFC 6186, RFC 8314); the provider that takes its mail (MX); and names that are usual. Nothing
here is dialled, and nothing of it is believed before it was tried.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from smtp_admin.smtp.address import domain_of
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.hostname import clean_host
from smtp_admin.smtp.nameserver import Answer, LookupFailed, MailHost, NameService, Service
from smtp_admin.smtp.session import Security
from smtp_admin.translation import gettext

DNS_SECONDS = 4.0
_MOST_TARGETS = 3
_MOST_MX = 5
_IMPLICIT_TLS_PORT = 465
WORDS: dict[Security, str] = {"ssl": "SSL", "tls": "STARTTLS", "none": gettext("no encryption")}

Source = Literal["preset", "srv", "mx", "guess"]
Where = Literal["preset", "srv", "mx", "probe"]
Status = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class KnownServer:
    """What is known of a provider.

    Attributes:
        name: for people.
        key: of its preset.
        username: what it wants as login, if that is not the address.
    """

    name: str
    host: str
    port: int
    security: Security
    username: str = ""
    key: str = ""


ProviderOf = Callable[[str], KnownServer | None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what came of it.

    Attributes:
        where: which of the sources, or the probe.
        subject: what was looked at, for people.
        code: of the failure, as in a connection test; empty where there was none.
    """

    where: Where
    subject: str
    status: Status
    detail: str
    hint: str = ""
    code: str = ""
    ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place to try, and why."""

    host: str
    port: int
    security: Security
    source: Source
    known: KnownServer | None = None

    def __str__(self) -> str:
        return gettext(
            "%(host)s, port %(port)s, %(security)s",
            host=self.host,
            port=self.port,
            security=WORDS[self.security],
        )


@dataclass(slots=True)
class Clues:
    """What was gathered.

    Attributes:
        certain: places that somebody named with their ports, the best first.
        hosts: hosts of which the port is to be guessed, each with its source and provider.
        denied: kinds of encryption whose service the domain says it does not offer.
    """

    findings: list[Finding] = field(default_factory=list)
    certain: list[Candidate] = field(default_factory=list)
    hosts: dict[str, tuple[Source, KnownServer | None]] = field(default_factory=dict)
    denied: set[Security] = field(default_factory=set)


def gather(
    address: str,
    names: NameService,
    pool: Executor,
    overall: Deadline,
    *,
    provider_of_address: ProviderOf,
    provider_of_host: ProviderOf,
) -> Clues:
    """Everything that can be learnt of *address* without dialling a mail server."""
    clues = Clues()
    domain = domain_of(address)
    known = provider_of_address(address)
    if known is not None:
        clues.findings.append(
            Finding(
                "preset",
                domain,
                "ok",
                gettext("This address belongs to %(name)s.", name=known.name),
            )
        )
        clues.certain.append(_place_of(known, "preset"))
        clues.hosts[known.host] = ("preset", known)
        return clues
    clues.findings.append(
        Finding("preset", domain, "skipped", gettext("No known provider uses this domain."))
    )
    mail_hosts, exists = _ask(clues, domain, names, pool, overall, provider_of_host)
    provider = _provider_of(clues, mail_hosts, provider_of_host)
    if provider is not None:
        clues.certain.append(_place_of(provider, "mx"))
    for one in clues.certain:
        clues.hosts.setdefault(one.host, (one.source, one.known))
    if provider is None and exists and clues.denied != {"ssl", "tls"}:
        for host in (f"mail.{domain}", f"smtp.{domain}", *mail_hosts[:1]):
            clues.hosts.setdefault(host, ("mx" if host in mail_hosts else "guess", None))
    return clues


def _place_of(known: KnownServer, source: Source) -> Candidate:
    return Candidate(known.host, known.port, known.security, source, known)


def _ask(
    clues: Clues,
    domain: str,
    names: NameService,
    pool: Executor,
    overall: Deadline,
    provider_of_host: ProviderOf,
) -> tuple[list[str], bool]:
    """The three questions at the same time; returns the MX hosts and whether the domain exists."""
    limit = Deadline(DNS_SECONDS, overall)
    services: tuple[tuple[str, Security], ...] = (
        (f"_submissions._tcp.{domain}", "ssl"),
        (f"_submission._tcp.{domain}", "tls"),
    )
    asked = [pool.submit(names.srv, name, limit) for name, _ in services]
    asked_mx = pool.submit(names.mx, domain, limit)
    for (name, security), answer in zip(services, asked, strict=True):
        _read_srv(clues, name, security, answer.result, provider_of_host)
    hosts, exists = _read_mx(clues, domain, asked_mx.result)
    return hosts, exists or bool(clues.certain or clues.denied)


def _read_srv(
    clues: Clues,
    name: str,
    security: Security,
    answer: Callable[[], Answer[Service]],
    provider_of_host: ProviderOf,
) -> None:
    subject = gettext("DNS: SRV of %(name)s", name=name)
    try:
        records = answer().records
    except LookupFailed as failure:
        clues.findings.append(_failed("srv", subject, failure))
        return
    found = []
    for record in records[:_MOST_TARGETS]:
        with suppress(ValueError):
            host = clean_host(record.host)
            # Some domains announce their port 465 under the name that means STARTTLS.
            real: Security = "ssl" if record.port == _IMPLICIT_TLS_PORT else security
            found.append(Candidate(host, record.port, real, "srv", provider_of_host(host)))
    clues.certain += found
    status: Status = "ok"
    if found:
        detail = gettext(
            "The domain names %(names)s.",
            names=", ".join(f"{one.host} port {one.port}" for one in found),
        )
    elif not records:
        status, detail = "skipped", gettext("The domain has no such record.")
    elif not any(record.host for record in records):
        clues.denied.add(security)
        detail = gettext("The domain says that it does not offer this.")
    else:
        status, detail = "failed", gettext("The host name in the record cannot be used.")
    clues.findings.append(Finding("srv", subject, status, detail))


def _read_mx(
    clues: Clues, domain: str, answer: Callable[[], Answer[MailHost]]
) -> tuple[list[str], bool]:
    subject = gettext("DNS: MX of %(domain)s", domain=domain)
    try:
        found = answer()
    except LookupFailed as failure:
        clues.findings.append(_failed("mx", subject, failure))
        return [], True
    hosts = []
    for record in found.records[:_MOST_MX]:
        with suppress(ValueError):
            hosts.append(clean_host(record.host))
    status: Status = "warning"
    hint = code = ""
    if hosts:
        status, detail = (
            "ok",
            gettext("Mail for the domain goes to %(names)s.", names=", ".join(hosts)),
        )
    elif not found.exists:
        status, detail = "failed", gettext("There is no domain %(domain)s.", domain=domain)
        hint, code = gettext("Check the spelling of the address."), "dns_failed"
    elif found.records:
        detail = gettext("The domain says that it accepts no mail.")
    else:
        detail = gettext("The domain has no mail server for incoming mail.")
    clues.findings.append(Finding("mx", subject, status, detail, hint, code))
    return hosts, found.exists


def _provider_of(
    clues: Clues, mail_hosts: Iterable[str], provider_of_host: ProviderOf
) -> KnownServer | None:
    for host in mail_hosts:
        known = provider_of_host(host)
        if known is not None:
            clues.findings.append(
                Finding(
                    "preset",
                    host,
                    "ok",
                    gettext("This is a mail server of %(name)s.", name=known.name),
                )
            )
            return known
    return None


def _failed(where: Where, subject: str, failure: LookupFailed) -> Finding:
    return Finding(where, subject, "failed", failure.message, failure.hint, failure.code)
