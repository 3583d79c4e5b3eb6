"""Where we may dial, however the place is spelled; and the one way in which it is dialled."""

import ipaddress
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.credentials.none import NoLogin
from smtp_admin.providers.catalogue import replies
from smtp_admin.smtp import session as opening
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.dialling import DiallingPolicy, dial
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.hostname import IPAddress, clean_host
from smtp_admin.smtp.report import Report
from smtp_admin.transports.outcome import SenderHealth, Verdict
from smtp_admin.transports.verdicts import of_opening
from tests.patience import SECONDS
from tests.servers import free_port

PORTS = frozenset({25, 465, 587, 2525})


def resolving(*answers: str) -> Callable[[str, int], Sequence[str]]:
    """A name service that always gives these answers."""

    def resolve(host: str, port: int) -> Sequence[str]:
        return answers

    return resolve


def policy(*answers: str, networks: Sequence[str] = ()) -> DiallingPolicy:
    """The default policy, on a name service that gives these answers."""
    allowed = [ipaddress.ip_network(network) for network in networks]
    return DiallingPolicy(PORTS, allowed, resolving(*answers))


def fails(code: str, step: str, act: Callable[[], object]) -> SMTPFailure:
    """The failure that *act* ends with, which has this code and step."""
    with pytest.raises(SMTPFailure) as caught:
        act()
    assert (caught.value.code, caught.value.step) == (code, step), str(caught.value)
    return caught.value


INSIDE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200",
    "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254", "169.254.170.2",
    "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255",
]  # fmt: skip
INSIDE_6 = [
    "::", "::1", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "2002:7f00:1::",
    "2002:a9fe:a9fe::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254",
    "fdff::1", "fe80::1", "fec0::1", "ff02::1", "ff0e::1", "2606:4700::5efe:7f00:1",
    "2606:4700::5efe:a9fe:a9fe", "2a00:1450:1:2:200:5efe:10.0.0.1", "2606:4700:0:1:0:5efe:a00:1",
]  # fmt: skip
MAPPED = [f"::ffff:{address}" for address in INSIDE]
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.1", "172.15.255.255", "172.32.0.0", "192.167.255.255",
    "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111",
    "2a00:1450:4001::1a", "::ffff:8.8.8.8", "2606:4700::5efe:8.8.8.8", "2606:4700::5eff:a00:1",
]  # fmt: skip


@pytest.mark.parametrize("address", [*INSIDE, *INSIDE_6, *MAPPED])
def test_inner_address(address: str) -> None:
    """Refused as it is typed, and as what a name leads to."""
    assert not policy().allows(ipaddress.ip_address(address))
    host = clean_host(address)
    fails("destination_not_allowed", "dns", lambda: policy().addresses(host, 25, Deadline(1)))
    named = policy(address)
    failure = fails(
        "destination_not_allowed", "dns", lambda: named.addresses("a.example", 25, Deadline(1))
    )
    assert address not in str(failure) + failure.hint, "which one it was stays unsaid"


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address(address: str) -> None:
    expected = [ipaddress.ip_address(address)]
    assert policy().addresses(clean_host(address), 25, Deadline(1)) == expected
    assert policy(address).addresses("a.example", 25, Deadline(1)) == expected


SPELLINGS = ["127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "0177.1", "①②⑦.⓪.⓪.①",
             "１２７.0.0.1", "127。0。0。1", "127.0.0.1.", "127.0.0.0x1", "017700000001", "127.0.1",
             "0x7F.0X0.0.1", "0", "00.0.0.0", "1.2.3.4.5", "0x", "example.0x7f"]  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_other_spelling_of_an_address(spelling: str) -> None:
    """Never even asks the name service, which would read it as an address."""
    with pytest.raises(ValueError, match=r"host|address"):
        clean_host(spelling)


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST.", "localhost.localdomain", "ip6-localhost"]
)
def test_name_of_this_machine(name: str) -> None:
    """With the real name service: whatever such a name leads to, it is not dialled."""
    real = DiallingPolicy(PORTS)
    with pytest.raises(SMTPFailure) as caught:
        real.addresses(clean_host(name), 25, Deadline(5))
    assert caught.value.code in {"destination_not_allowed", "dns_failed"}


@given(st.ip_addresses(v=4))
def test_mapped_form_is_the_same_address(address: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.ip_address(f"::ffff:{address}")
    assert policy().allows(mapped) == policy().allows(address)
    if policy().allows(address):
        assert address.is_global


@given(st.ip_addresses())
def test_what_is_not_global_is_not_allowed(address: IPAddress) -> None:
    if not address.is_global or address.is_private or address.is_multicast or address.is_reserved:
        mapped = getattr(address, "ipv4_mapped", None)
        assert mapped is not None or not policy().allows(address)


@pytest.mark.parametrize(
    ("answers", "allowed"),
    [
        (("8.8.8.8", "10.0.0.1"), False),
        (("10.0.0.1", "8.8.8.8"), False),
        (("8.8.8.8", "::1"), False),
        (("2606:4700::1111", "fe80::1%eth0"), False),
        (("8.8.8.8", "::ffff:169.254.169.254"), False),
        ((*(f"8.8.8.{number}" for number in range(100)), "127.0.0.1"), False),
        (("8.8.8.8", "2606:4700::1111"), True),
    ],
)
def test_every_answer_counts(answers: tuple[str, ...], allowed: bool) -> None:
    mixed = policy(*answers)
    if allowed:
        assert [str(one) for one in mixed.addresses("a.example", 25, Deadline(1))] == list(answers)
    else:
        fails(
            "destination_not_allowed", "dns", lambda: mixed.addresses("a.example", 25, Deadline(1))
        )


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (["10.1.2.0/24"], "10.1.2.3", True),
        (["10.1.2.0/24"], "10.1.3.3", False),
        (["10.1.2.0/24"], "::ffff:10.1.2.3", True),
        (["10.1.2.0/24"], "::ffff:10.1.3.3", False),
        (["::1/128"], "::1", True),
        (["::1/128"], "127.0.0.1", False),
        (["127.0.0.0/8"], "::1", False),
        (["127.0.0.0/8"], "169.254.169.254", False),
        (["fd00::/8"], "fd12::1", True),
        (["8.8.8.0/24"], "1.1.1.1", True),
        (["0.0.0.0/0"], "fd00:ec2::254", False),
    ],
)
def test_allowed_network(networks: list[str], address: str, allowed: bool) -> None:
    """It opens itself and nothing else; what is public stays allowed."""
    assert policy(networks=networks).allows(ipaddress.ip_address(address)) is allowed


@pytest.mark.parametrize("port", [25, 465, 587, 2525])
def test_port_of_mail(port: int) -> None:
    policy().check_port(port)


@pytest.mark.parametrize("port", [0, -1, 22, 24, 26, 80, 110, 443, 993, 3306, 6379, 65535, 65561])
def test_other_port(port: int) -> None:
    failure = fails("destination_not_allowed", "validate", lambda: policy().check_port(port))
    assert "25, 465, 587, 2525" in failure.hint


def test_name_is_asked_for_once() -> None:
    """Rebinding: the second, inner answer is never asked for, since the checked one is dialled."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["8.8.8.8"] if len(asked) == 1 else ["127.0.0.1"]

    rebound = DiallingPolicy(PORTS, resolve=rebinding)
    assert [str(one) for one in rebound.addresses("a.example", 25, Deadline(1))] == ["8.8.8.8"]
    assert asked == ["a.example"]


def test_dialled_is_what_was_checked(listener: socket.socket) -> None:
    """Through the whole opening: one question, and the connection goes to its answer."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return [f"127.0.0.{len(asked)}"]

    port = listener.getsockname()[1]
    loopback = [ipaddress.ip_network("127.0.0.1/32")]
    dialler = opening.Dialler(
        DiallingPolicy(frozenset({port}), loopback, rebinding), Timeouts(connect=2, command=0.2)
    )
    report = Report()
    fails(
        "timeout",
        "greeting",
        lambda: opening.open_session(
            opening.Server("rebinding.example", port, "none"), NoLogin(), dialler, report=report
        ),
    )
    assert asked == ["rebinding.example"]
    assert report.address == "127.0.0.1"


def test_address_asks_nobody() -> None:
    def never(host: str, port: int) -> list[str]:
        raise AssertionError(host)

    literal = DiallingPolicy(PORTS, resolve=never)
    assert literal.addresses("8.8.8.8", 25, Deadline(1)) == [ipaddress.ip_address("8.8.8.8")]


@pytest.mark.parametrize(
    "problem",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        OSError("anything"),
        UnicodeError("label too long"),
    ],
    ids=repr,
)
def test_name_service_fails(problem: Exception) -> None:
    def failing(host: str, port: int) -> list[str]:
        raise problem

    failing_policy = DiallingPolicy(PORTS, resolve=failing)
    fails("dns_failed", "dns", lambda: failing_policy.addresses("a.example", 25, Deadline(1)))


def test_name_service_is_away() -> None:
    """Nobody knows then whether there is such a server, and the mail waits as for any failure."""

    def away(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with pytest.raises(SMTPFailure) as caught:
        DiallingPolicy(PORTS, resolve=away).addresses("a.example", 25, Deadline(1))
    assert (caught.value.code, caught.value.step) == ("dns_failed", "dns")
    assert caught.value.message == "The name a.example could not be looked up right now."
    assert "no server" not in caught.value.message
    outcome = of_opening(caught.value, replies())
    assert (outcome.verdict, outcome.health) == (Verdict.RELEASED, SenderHealth.DOWN)


@pytest.mark.parametrize("answers", [(), ("nonsense", "8.8.8.8.8")])
def test_no_usable_answer(answers: tuple[str, ...]) -> None:
    empty = policy(*answers)
    fails("dns_failed", "dns", lambda: empty.addresses("a.example", 25, Deadline(1)))


def test_a_name_service_that_hangs_does_not_fill_the_process_with_threads() -> None:
    enough = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        enough.wait(2 * SECONDS)
        return ["8.8.8.8"]

    def names() -> int:
        return sum(one.name.startswith("resolve ") for one in threading.enumerate())

    slow_policy = DiallingPolicy(PORTS, resolve=slow)
    with ThreadPoolExecutor(100) as askers:
        asked = [
            askers.submit(slow_policy.addresses, "a.example", 25, Deadline(2)) for _ in range(100)
        ]
        assert {type(one.exception(SECONDS)) for one in asked} == {SMTPFailure}
        assert names() == 64
        enough.set()
    while names():
        time.sleep(0.01)
    assert policy("8.8.8.8").addresses("a.example", 25, Deadline(5))


def test_slow_name_service() -> None:
    """The system's resolver has no timeout of ours, and must not hold anybody up all the same."""
    enough = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        enough.wait(2 * SECONDS)
        return ["8.8.8.8"]

    slow_policy = DiallingPolicy(PORTS, resolve=slow)
    began = time.monotonic()
    fails("timeout", "dns", lambda: slow_policy.addresses("a.example", 25, Deadline(0.3)))
    assert 0.2 < time.monotonic() - began < 10
    enough.set()


# Dialling


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Accepts connections on 127.0.0.1 and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def full() -> Iterator[socket.socket]:
    """Answers no more connection requests: its queue is full, as behind a firewall that drops."""
    made = socket.socket()
    made.bind(("127.0.0.3", free_port("127.0.0.3")))
    made.listen(0)
    waiting = []
    try:
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(made.getsockname())
            waiting.append(one)
        yield made
    finally:
        for one in waiting:
            one.close()
        made.close()


def addresses(*texts: str) -> list[IPAddress]:
    return [ipaddress.ip_address(text) for text in texts]


def test_first_that_answers(listener: socket.socket) -> None:
    """In the order given, an address that refuses is passed over."""
    port = listener.getsockname()[1]
    with dial(addresses("127.0.0.2", "127.0.0.1", "127.0.0.4"), port, Deadline(2)) as made:
        assert made.getpeername() == ("127.0.0.1", port)
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_first_comes_first() -> None:
    with socket.create_server(("", 0)) as everywhere:
        port = everywhere.getsockname()[1]
        for first in ("127.0.0.9", "127.0.0.8"):
            with dial(addresses(first, "127.0.0.1"), port, Deadline(2)) as made:
                assert made.getpeername()[0] == first


def test_silent_address_leaves_time_for_the_next(full: socket.socket) -> None:
    port = full.getsockname()[1]
    with (
        socket.create_server(("127.0.0.1", port)),
        dial(addresses("127.0.0.3", "127.0.0.1"), port, Deadline(1)) as made,
    ):
        assert made.getpeername()[0] == "127.0.0.1"


def test_nobody_listens(closed_port: int) -> None:
    fails(
        "connection_refused",
        "connect",
        lambda: dial(addresses("127.0.0.1"), closed_port, Deadline(2)),
    )


def test_nobody_answers(full: socket.socket) -> None:
    port = full.getsockname()[1]
    began = time.monotonic()
    fails("timeout", "connect", lambda: dial(addresses("127.0.0.3"), port, Deadline(0.3)))
    assert 0.2 < time.monotonic() - began < 10


def test_a_hundred_silent_addresses(full: socket.socket) -> None:
    """A name with many answers has no more time than one with a single one."""
    port = full.getsockname()[1]
    began = time.monotonic()
    fails("timeout", "connect", lambda: dial(addresses(*["127.0.0.3"] * 100), port, Deadline(0.5)))
    assert time.monotonic() - began < 10


def test_no_way_there() -> None:
    """The kernel itself refuses: broadcast addresses have no TCP."""
    fails("unreachable", "connect", lambda: dial(addresses("255.255.255.255"), 25, Deadline(2)))


def test_no_socket_to_be_had() -> None:
    """No more files may be opened, or the kernel has no IPv6: a failure like others."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises((SMTPFailure, OSError)) as caught:
            dial(addresses("::1", "127.0.0.1"), 25, Deadline(2))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert isinstance(caught.value, SMTPFailure)
    assert caught.value.code == "unreachable"


def test_reset_before_the_first_look(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between connecting and asking whom we are connected to, the server may break off.

    The real ``dial`` is slowed down until the reset is there; busy machines do so by themselves.
    """

    def slow_dial(
        found: Sequence[IPAddress], port: int, deadline: Deadline, tried: Callable[..., None]
    ) -> socket.socket:
        made = dial(found, port, deadline, tried)
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
        time.sleep(0.05)
        opened.append(made)
        return made

    opened: list[socket.socket] = []
    monkeypatch.setattr(opening, "dial", slow_dial)
    port = listener.getsockname()[1]
    loopback = [ipaddress.ip_network("127.0.0.0/8")]
    dialler = opening.Dialler(DiallingPolicy(frozenset({port}), loopback))
    report = Report()
    server = opening.Server("127.0.0.1", port, "none")
    try:
        with pytest.raises((SMTPFailure, OSError)) as caught:
            opening.open_session(server, NoLogin(), dialler, report=report)
        assert isinstance(caught.value, SMTPFailure), repr(caught.value)
        assert caught.value.code == "connection_lost"
        assert opened[0].fileno() == -1, "it is closed"
    finally:
        opened[0].close()
