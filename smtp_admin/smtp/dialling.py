"""Where we may dial, and the one way to do it: resolve once, check every answer, connect.

A host name that a partner types decides where our machines connect to. Without this policy the
test button would be a port scanner of the host's own network (CVE-2022-23080 and many others).
The name is resolved once and the *checked address* is dialled, so that a second, different DNS
answer (rebinding) cannot matter; TLS still verifies the name.
"""

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.hostname import IPAddress, ip_literal
from smtp_admin.translation import gettext, joined

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Iterable[str]]

# What `ipaddress.is_global` of Python 3.11 calls global, or what really is, but must not be
# dialled: cloud metadata, protocol assignments, IPv6 forms that carry an IPv4 address, and
# addresses that are no host at all.
_DENIED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        # Of IPv6 only 2000::/3 is given to anybody; everything else is special.
        "::/3",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "4000::/2",
        "8000::/1",
    )
)


#: How the second half of an ISATAP address begins (RFC 5214, section 6.1).
_ISATAP = {0x00005EFE, 0x02005EFE}


def _isatap(address: IPAddress) -> ipaddress.IPv4Address | None:
    """The IPv4 address to which a router of ISATAP would pass what is sent to *address*."""
    number = int(address)
    if address.version == 4 or (number >> 32) & 0xFFFFFFFF not in _ISATAP:  # noqa: PLR2004
        return None
    return ipaddress.IPv4Address(number & 0xFFFFFFFF)


def system_resolver(host: str, port: int) -> list[str]:
    """Every address that the system's resolver gives for *host*.

    Raises:
        OSError: the name does not resolve.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class DiallingPolicy:
    """Which destinations are allowed.

    Attributes:
        ports: the TCP ports a mail server may have.
        networks: networks that are allowed although they are not public.
        resolve: turns a name into addresses; tests pass their own.
    """

    ports: frozenset[int]
    networks: Sequence[Network] = ()
    resolve: Resolver = field(default=system_resolver)

    def allows(self, address: IPAddress) -> bool:
        """Whether *address* may be dialled."""
        mapped = getattr(address, "ipv4_mapped", None)
        if mapped is not None:
            return self.allows(mapped)
        if any(_within(address, network) for network in self.networks):
            return True
        if any(_within(address, network) for network in _DENIED):
            return False
        inner = _isatap(address)
        if inner is not None and not self.allows(inner):
            return False
        return address.is_global and not address.is_multicast

    def check_port(self, port: int) -> None:
        """Return if *port* may be dialled.

        Raises:
            SMTPFailure: ``destination_not_allowed``.
        """
        if port not in self.ports:
            listed = ", ".join(str(number) for number in sorted(self.ports))
            raise SMTPFailure(
                "destination_not_allowed",
                "validate",
                gettext("Port %(port)s is not allowed here.", port=port),
                hint=gettext(
                    "Mail servers listen on one of these: %(listed)s. If yours really "
                    "uses another, the platform's operator can allow it "
                    "(SMTP_ADMIN_ALLOWED_PORTS).",
                    listed=listed,
                ),
            )

    def addresses(self, host: str, port: int, deadline: Deadline) -> list[IPAddress]:
        """The addresses of *host*, every one of them allowed.

        Args:
            host: as :func:`smtp_admin.smtp.hostname.clean_host` returns it.
            port: only passed on to the resolver.
            deadline: when to stop waiting for the resolver.

        Raises:
            SMTPFailure: ``dns_failed``, ``timeout`` or ``destination_not_allowed``.
        """
        literal = ip_literal(host)
        answers = [literal] if literal else _parsed(_lookup(self.resolve, host, port, deadline))
        if not answers:
            raise _dns_failed(host)
        if not all(self.allows(answer) for answer in answers):
            # Which address it was stays unsaid: that would map the network inside.
            raise SMTPFailure(
                "destination_not_allowed",
                "dns",
                gettext(
                    "%(host)s has an address that this platform does not connect to.", host=host
                ),
                hint=gettext(
                    "Only mail servers on the public internet can be used. If this one is "
                    "in your own network, the platform's operator can allow that network "
                    "(SMTP_ADMIN_ALLOWED_NETWORKS)."
                ),
            )
        return answers


def dial(
    addresses: Sequence[IPAddress],
    port: int,
    deadline: Deadline,
    tried: Callable[[IPAddress, str], None] = lambda _address, _outcome: None,
) -> socket.socket:
    """A TCP connection to the first of *addresses* that answers.

    Args:
        tried: told each address with what came of it.

    Raises:
        SMTPFailure: ``connection_refused``, ``connection_lost``, ``timeout`` or ``unreachable``:
            the one that says most, with what came of each address.
    """
    problems: list[tuple[IPAddress, OSError]] = []
    for position, address in enumerate(addresses):
        # An address that swallows packets must leave time for the ones after it.
        share = deadline.remaining() / (len(addresses) - position)
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004
        try:
            made = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # no descriptor left, or no such kind of address here
            problems.append((address, error))
            tried(address, _outcome(error))
            continue
        try:
            made.settimeout(max(share, 0.01))
            made.connect((str(address), port))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            made.close()
            problems.append((address, error))
            tried(address, _outcome(error))
        else:
            tried(address, "connected")
            return made
    raise _none_answers(problems, port)


def _none_answers(problems: Sequence[tuple[IPAddress, OSError]], port: int) -> SMTPFailure:
    # Who refuses is there: that says more than silence, or that no way leads to another.
    said = [_outcome(problem) for _, problem in problems]
    telling = min(said, key=_TELLING.index, default="")
    failure = _connect_failure(problems[said.index(telling)][1] if problems else None, port)
    if len(problems) > 1:
        each = zip(problems, said, strict=True)
        tried = joined((joined((str(address), words), ": ") for (address, _), words in each), "; ")
        failure.message = gettext(
            "%(message)s Of its addresses: %(tried)s.", message=failure.message, tried=tried
        )
        failure.facts = {"tried": tried}
    return failure


_TELLING = (
    gettext("connection refused"),
    gettext("broken off at once"),
    gettext("no answer"),
    "unreachable",
)


def _outcome(problem: OSError) -> str:
    """What came of one address, in a few words."""
    if isinstance(problem, ConnectionRefusedError):
        return gettext("connection refused")
    if isinstance(problem, TimeoutError):
        return gettext("no answer")
    if isinstance(problem, ConnectionError):
        return gettext("broken off at once")
    return "unreachable"


def _connect_failure(problem: OSError | None, port: int) -> SMTPFailure:
    if isinstance(problem, ConnectionRefusedError):
        return SMTPFailure(
            "connection_refused",
            "connect",
            gettext("The server exists, but nothing listens on port %(port)s.", port=port),
            hint=gettext(
                "Check the port: 587 for STARTTLS, 465 for SSL. A firewall may also "
                "refuse the connection."
            ),
        )
    if problem is None or isinstance(problem, TimeoutError):
        return SMTPFailure(
            "timeout",
            "connect",
            gettext("No answer from port %(port)s.", port=port),
            hint=gettext(
                "Check host and port. Many networks and hosting providers block port "
                "25 and sometimes 587: try another of your provider's ports, such as "
                "2525."
            ),
        )
    if isinstance(problem, ConnectionError):
        return SMTPFailure(
            "connection_lost",
            "connect",
            gettext("The server closed the connection at once."),
            hint=gettext("It may block this platform's IP address, or be overloaded."),
        )
    return SMTPFailure(
        "unreachable",
        "connect",
        gettext("The server cannot be reached from here."),
        hint=gettext(
            "Its address exists, but there is no network route to it. Check the "
            "host name, and whether this platform may reach the internet."
        ),
    )


def _dns_failed(host: str) -> SMTPFailure:
    return SMTPFailure(
        "dns_failed",
        "dns",
        gettext("There is no server called %(host)s.", host=host),
        hint=gettext(
            "Check the spelling of the host. Your provider's help page names it, "
            "often as “outgoing server (SMTP)”."
        ),
    )


def _not_now(host: str) -> SMTPFailure:
    return SMTPFailure(
        "dns_failed",
        "dns",
        gettext("The name %(host)s could not be looked up right now.", host=host),
        hint=gettext(
            "The DNS server of this platform or of the domain does not answer. "
            "Try again in a minute."
        ),
        cause="name_service_away",
    )


#: Threads of a process that wait for the system's resolver, or were left to wait.
_MOST_LOOKUPS = 64
_LOOKUPS = threading.BoundedSemaphore(_MOST_LOOKUPS)


def _lookup(resolve: Resolver, host: str, port: int, deadline: Deadline) -> list[str]:
    # No socket timeout covers the system's resolver, so it runs in a thread that may be left.
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def look() -> None:
        try:
            answers.put(list(resolve(host, port)))
        except (OSError, UnicodeError) as error:
            answers.put(error)
        finally:
            _LOOKUPS.release()

    try:
        if not _LOOKUPS.acquire(timeout=max(deadline.remaining(), 0.01)):
            raise queue.Empty
        try:
            threading.Thread(target=look, name=f"resolve {host}", daemon=True).start()
        except BaseException:
            _LOOKUPS.release()
            raise
        found = answers.get(timeout=max(deadline.remaining(), 0.01))
    except queue.Empty:
        raise SMTPFailure(
            "timeout",
            "dns",
            gettext("The name %(host)s could not be looked up in time.", host=host),
            hint=gettext("The DNS server did not answer. Try again in a minute."),
        ) from None
    if isinstance(found, socket.gaierror) and found.errno == socket.EAI_AGAIN:
        raise _not_now(host) from found  # nobody knows yet whether there is such a server
    if isinstance(found, Exception):
        raise _dns_failed(host) from found
    return found


def _parsed(texts: Iterable[str]) -> list[IPAddress]:
    found = []
    for text in texts:
        with suppress(ValueError):
            found.append(ipaddress.ip_address(text.partition("%")[0]))
    return found


def _within(address: IPAddress, network: Network) -> bool:
    return address.version == network.version and address in network
