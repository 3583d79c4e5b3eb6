"""Ask the domain name system: MX, SRV, TXT and addresses, with little patience and typed answers.

The system's resolver (``getaddrinfo``) knows addresses only and cannot be hurried. What is asked
for here are names that strangers chose, so an answer has a largest size, every wait has a
deadline, and text is made printable before anybody sees it. UDP comes first, TCP where an answer
did not fit.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from smtp_admin.errors import SMTPAdminError
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.redaction import printable
from smtp_admin.translation import gettext, known

#: For one lookup, over all servers, tries and the change to TCP.
PATIENCE_SECONDS = 4.0
_TRY_SECONDS = 1.5
_MOST_RECORDS = 100
_LONGEST_NAME = 253
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")

Reason = Literal["timeout", "refused", "unusable", "misconfigured"]
_SENTENCES: dict[Reason, tuple[str, str]] = {
    "timeout": (
        gettext("The DNS server did not answer in time when asked for {what} of {name}."),
        gettext(
            "Try again in a minute. If it fails again, the DNS servers of the domain may be down."
        ),
    ),
    "refused": (
        gettext("The DNS server has no answer for {what} of {name}."),
        gettext("The domain's DNS servers may be down or misconfigured (DNSSEC)."),
    ),
    "unusable": (
        gettext("The DNS server's answer for {what} of {name} cannot be used."),
        gettext("It is damaged, or has more than %(most)s records.", most=_MOST_RECORDS),
    ),
    "misconfigured": (
        gettext("This platform has no DNS server to ask for {what} of {name}."),
        gettext("Ask the platform's operator to check /etc/resolv.conf."),
    ),
}

T = TypeVar("T")


class LookupFailed(SMTPAdminError):
    """The domain name system gave no answer, which is not the same as the answer "nothing".

    Attributes:
        reason: why not, stable over versions.
    """

    code = "dns_failed"

    def __init__(self, reason: Reason, what: str, name: str) -> None:
        message, hint = _SENTENCES[reason]
        super().__init__(known(message, what=what, name=name), hint=hint)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What there is of one kind under one name.

    Attributes:
        records: in the order in which they are to be used; empty if there is none of this kind.
        exists: whether the name exists at all.
    """

    records: tuple[T, ...] = ()
    exists: bool = True


@dataclass(frozen=True, slots=True)
class MailHost:
    """An MX record; an empty *host* says that the domain takes no mail (RFC 7505)."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class Service:
    """An SRV record; an empty *host* says that the service is not offered (RFC 2782)."""

    priority: int
    weight: int
    port: int
    host: str


@dataclass(frozen=True, slots=True)
class NameService:
    """Name servers to ask, and how long to wait for them.

    Attributes:
        servers: address and port of each; empty for those of the system, read anew each time.
        patience: seconds for one lookup.
    """

    servers: Sequence[tuple[str, int]] = ()
    patience: float = PATIENCE_SECONDS

    def mx(self, name: str, overall: Deadline | None = None) -> Answer[MailHost]:
        """Where mail for *name* goes, the first choice first.

        Raises:
            LookupFailed: nobody knows.
        """
        found = self._ask(
            name, "MX", overall, lambda one: MailHost(one.preference, _host(one.exchange))
        )
        ordered = sorted(found.records, key=lambda one: (one.preference, one.host))
        return Answer(tuple(ordered), found.exists)

    def srv(self, name: str, overall: Deadline | None = None) -> Answer[Service]:
        """Who offers the service *name*, the first choice first.

        Among equal priorities the heaviest comes first, not one by lot: the same question should
        get the same answer.

        Raises:
            LookupFailed: nobody knows.
        """
        found = self._ask(
            name,
            "SRV",
            overall,
            lambda one: Service(one.priority, one.weight, one.port, _host(one.target)),
        )
        ordered = sorted(found.records, key=lambda one: (one.priority, -one.weight, one.host))
        return Answer(tuple(ordered), found.exists)

    def txt(self, name: str, overall: Deadline | None = None) -> Answer[str]:
        """The texts of *name*, the strings of each put together; sorted, as DNS has no order.

        Raises:
            LookupFailed: nobody knows.
        """
        found = self._ask(name, "TXT", overall, _text)
        return Answer(tuple(sorted(found.records)), found.exists)

    def addresses(self, name: str, overall: Deadline | None = None) -> Answer[str]:
        """The IPv4 addresses of *name*, then the IPv6 ones.

        If only one of the two questions is answered, that answer counts.

        Raises:
            LookupFailed: nobody knows.
        """
        found: list[str] = []
        exists = False
        failure: LookupFailed | None = None
        limit = Deadline(self.patience, overall)
        for kind in ("A", "AAAA"):
            try:
                answer = self._ask(name, kind, limit, lambda one: str(one.address))
            except LookupFailed as problem:
                failure = problem
            else:
                found += answer.records
                exists = exists or answer.exists
        if failure is not None and not found:
            raise failure
        return Answer(tuple(found), exists)

    def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of *host*, for :class:`smtp_admin.smtp.dialling.DiallingPolicy`.

        Raises:
            OSError: there is none, or nobody knows.
        """
        try:
            found = list(self.addresses(host).records)
        except LookupFailed as failure:
            raise OSError(failure.message) from failure
        if not found:
            raise OSError(gettext("%(host)s has no address", host=host))
        return found

    def _ask(
        self, name: str, kind: str, overall: Deadline | None, read: Callable[[Any], T]
    ) -> Answer[T]:
        labels = name.lower().removesuffix(".").split(".")
        if len(".".join(labels)) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)):
            return Answer(exists=False)  # no such name can be registered
        what = (
            gettext("the address")
            if kind in {"A", "AAAA"}
            else gettext("the %(kind)s record", kind=kind)
        )
        limit = Deadline(self.patience, overall)
        if limit.passed:
            raise LookupFailed("timeout", what, name)
        try:
            answer = self._resolver().resolve(
                dns.name.from_text(".".join(labels)),
                kind,
                raise_on_no_answer=False,
                lifetime=limit.remaining(),
                search=False,
            )
            records = list(answer) if answer.rrset is not None else []
            if len(records) > _MOST_RECORDS:
                raise LookupFailed("unusable", what, name)
            return Answer(tuple(map(read, records)))
        except dns.resolver.NXDOMAIN:
            return Answer(exists=False)
        except dns.resolver.LifetimeTimeout as error:
            raise LookupFailed("timeout", what, name) from error
        except dns.resolver.NoResolverConfiguration as error:
            raise LookupFailed("misconfigured", what, name) from error
        except dns.resolver.NoNameservers as error:
            raise LookupFailed(_why(error), what, name) from error
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise LookupFailed("unusable", what, name) from error

    def _resolver(self) -> dns.resolver.Resolver:
        resolver = dns.resolver.Resolver(configure=not self.servers)
        if self.servers:
            resolver.nameservers = [
                dns.nameserver.Do53Nameserver(address, port) for address, port in self.servers
            ]
        resolver.timeout = _TRY_SECONDS
        return resolver


def _host(name: dns.name.Name) -> str:
    return printable(name.to_text(omit_final_dot=True)).lower().removesuffix(".")


def _text(record: Any) -> str:
    return printable(b"".join(record.strings).decode("utf-8", "replace"))


def _why(error: dns.resolver.NoNameservers) -> Reason:
    """Whether the servers said no (``SERVFAIL``, ``REFUSED``), or something without sense."""
    garbled = any(
        isinstance(entry[3], dns.exception.DNSException) for entry in error.kwargs["errors"]
    )
    return "unusable" if garbled else "refused"
