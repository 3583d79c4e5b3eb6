"""Whatever DNS answers, a search dials nothing that is forbidden, and ends in time."""

import json
import time

import pytest

from smtp_admin.discovery.search import KnownServer
from tests.connection.searching import Scene, dialled, findings, scene, the
from tests.servers.dns import Delay, Fail, Garbage, Silence, Step, Then, Truncate
from tests.servers.scripted import Behaviour, Drip, Flood, ScriptedServer, Stage, Stall

__all__ = ["dialled", "scene"]  # fixtures

Dialled = list[tuple[str, int]]
SUBMISSIONS = ("_submissions._tcp.acme.example", "SRV")
SUBMISSION = ("_submission._tcp.acme.example", "SRV")
MX = ("acme.example", "MX")
HERE = ["127.0.0.1"]
SLACK = 15.0  # for a busy machine, and a goodbye of one second
FORBIDDEN: list[tuple[str, list[str]]] = [
    ("A", ["127.0.0.1"]),
    ("A", ["169.254.169.254"]),
    ("A", ["10.1.2.3"]),
    ("A", ["100.100.100.200"]),
    ("A", ["0.0.0.0"]),
    ("A", ["8.8.8.8", "192.168.1.1"]),
    ("AAAA", ["::1"]),
    ("AAAA", ["::ffff:127.0.0.1"]),
    ("AAAA", ["fd00:ec2::254"]),
    ("AAAA", ["64:ff9b::a9fe:a9fe"]),
]


def nothing_is_dialled(
    scene: Scene, server: ScriptedServer, dialled: Dialled, answers: list[str]
) -> None:
    """Search without any permission; the reason is said, but not which address it was."""
    found = scene.search((server, "ssl"), (server.port + 1, "tls"), networks=())
    assert dialled == []
    assert server.connections == 0
    assert found.best is None
    assert found.others == []
    refused = [one for one in findings(found, "probe") if one.code == "destination_not_allowed"]
    assert refused
    shown = json.dumps(found.as_json())
    assert not any(f'"{answer}' in shown or f" {answer}" in shown for answer in answers)


@pytest.mark.parametrize(("kind", "answers"), FORBIDDEN)
def test_srv_to_a_forbidden_address(
    scene: Scene, dialled: Dialled, kind: str, answers: list[str]
) -> None:
    server = scene.serves("ssl")
    scene.knows(
        {
            SUBMISSIONS: [f"0 1 {server.port} mail.acme.example."],
            SUBMISSION: ["0 1 587 mail.acme.example."],
            ("mail.acme.example", kind): answers,
        }
    )
    nothing_is_dialled(scene, server, dialled, answers)


@pytest.mark.parametrize(("kind", "answers"), FORBIDDEN)
def test_mx_to_a_forbidden_address(
    scene: Scene, dialled: Dialled, kind: str, answers: list[str]
) -> None:
    server = scene.serves("ssl", "mx.acme.example")
    scene.knows({MX: ["1 mx.acme.example."], ("mx.acme.example", kind): answers})
    nothing_is_dialled(scene, server, dialled, answers)


@pytest.mark.parametrize(("kind", "answers"), FORBIDDEN)
def test_usual_name_at_a_forbidden_address(
    scene: Scene, dialled: Dialled, kind: str, answers: list[str]
) -> None:
    server = scene.serves("ssl", "mail.acme.example")
    scene.knows({("mail.acme.example", kind): answers, ("smtp.acme.example", kind): answers})
    scene.knows({MX: ["0 ."]})
    nothing_is_dialled(scene, server, dialled, answers)


def test_alias_to_a_forbidden_address(scene: Scene, dialled: Dialled) -> None:
    server = scene.serves("ssl", "mail.acme.example")
    scene.knows(
        {
            MX: ["1 mail.acme.example."],
            ("mail.acme.example", "CNAME"): ["www.host.example."],
            ("www.host.example", "CNAME"): ["inside.host.example."],
            ("inside.host.example", "A"): HERE,
        }
    )
    nothing_is_dialled(scene, server, dialled, HERE)


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.1"])
def test_record_that_holds_an_address(scene: Scene, dialled: Dialled, address: str) -> None:
    """No host name at all: allowed nowhere, and some resolvers take it."""
    server = scene.serves("ssl")
    scene.knows({SUBMISSIONS: [f"0 1 {server.port} {address}."], MX: [f"0 {address}."]})
    found = scene.search((server, "ssl"), networks=())
    assert dialled == []
    assert found.best is None
    codes = {one.code for one in findings(found, "probe")}
    assert "destination_not_allowed" in codes


@pytest.mark.parametrize("port", [22, 80, 6379, 0])
def test_srv_to_a_forbidden_port(scene: Scene, dialled: Dialled, port: int) -> None:
    scene.knows({SUBMISSION: [f"0 1 {port} mail.acme.example."]})
    scene.knows({("mail.acme.example", "A"): HERE})
    found = scene.search((scene.closed(), "ssl"))
    assert port not in {one for _, one in dialled}
    assert found.best is None
    assert findings(found, "probe")[0].code == "destination_not_allowed"


def test_preset_obeys_the_policy_too(scene: Scene, dialled: Dialled) -> None:
    scene.knows({("smtp.known.example", "A"): ["10.1.2.3"]})
    known = KnownServer("Known", "smtp.known.example", 587, "tls", key="known")
    found = scene.search((587, "tls"), providers={"acme.example": known}, networks=())
    assert dialled == []
    assert found.best is None


def test_rebinding(scene: Scene, dialled: Dialled) -> None:
    """The first answer is checked and dialled, on every port; a second is not even asked for."""
    server = scene.serves("tls")
    scene.knows(
        {
            MX: ["10 mail.acme.example."],
            ("mail.acme.example", "A"): Then(["127.0.0.1"], ["10.1.2.3"], ["127.0.0.2"]),
        }
    )
    found = scene.search(
        (scene.closed(), "ssl"),
        (scene.closed(), "tls"),
        (scene.closed(), "tls"),
        (server, "tls"),
        networks=["127.0.0.1/32"],
    )
    assert found.best is not None
    assert found.best.port == server.port
    assert {address for address, _ in dialled} == {"127.0.0.1"}
    assert len(dialled) == 4
    assert scene.dns.asked("mail.acme.example", "A") == 1


# Time and number


@pytest.mark.parametrize(
    "step",
    [Silence(), Delay(60), Garbage(), Truncate(("0 1 587 a.example.",), tcp=False), Fail()],
    ids=repr,
)
def test_dns_that_does_not_help(scene: Scene, step: Step) -> None:
    scene.knows({SUBMISSION: step, SUBMISSIONS: step, MX: step, ("mail.acme.example", "A"): step})
    began = time.monotonic()
    found = scene.search((scene.closed(), "tls"), overall_seconds=2.0, patience=1.0)
    assert time.monotonic() - began < 2.0 + SLACK
    assert len(findings(found, "srv", "failed")) == 2
    assert {one.code for one in findings(found, "srv")} == {"dns_failed"}
    assert len(findings(found, "mx", "failed")) == 1
    assert found.best is None


@pytest.mark.parametrize(
    ("stage", "behaviour"),
    [
        ("connect", Stall()),
        ("greeting", Stall()),
        ("greeting", Drip("220 slow", interval=0.2)),
        ("greeting", Flood("220-on and on")),
        ("ehlo", Stall()),
        ("starttls", Stall()),
        ("handshake", Stall()),
        ("ehlo2", Drip("250 slow", interval=0.3)),
    ],
    ids=repr,
)
def test_server_that_keeps_us_waiting(scene: Scene, stage: Stage, behaviour: Behaviour) -> None:
    server = scene.serves("tls", behaviours={stage: behaviour})
    scene.knows({MX: ["1 mail.acme.example."], ("mail.acme.example", "A"): HERE})
    began = time.monotonic()
    found = scene.search((scene.closed(), "ssl"), (server, "tls"), overall_seconds=1.5)
    assert time.monotonic() - began < 1.5 + SLACK
    assert found.best is None
    assert found.duration_ms > 0
    codes = [one.code for one in findings(found, "probe") if str(server.port) in one.subject]
    assert codes in (["timeout"], ["not_smtp"])


def test_slow_server_does_not_hide_a_good_one(scene: Scene) -> None:
    """Both are tried at the same time."""
    slow = scene.serves("ssl", behaviours={"greeting": Stall()})
    good = scene.serves("tls")
    scene.knows({MX: ["1 mail.acme.example."], ("mail.acme.example", "A"): HERE})
    found = scene.search((slow, "ssl"), (good, "tls"), overall_seconds=10.0)
    assert found.best is not None
    assert found.best.port == good.port
    assert "timeout" in {one.code for one in findings(found, "probe", "failed")}


def test_what_there_was_no_time_for_is_said(scene: Scene) -> None:
    server = scene.serves("tls", behaviours={"greeting": Stall()})
    other = scene.serves("tls")
    scene.knows(
        {
            SUBMISSION: [f"0 1 {server.port} mail.acme.example."],
            ("mail.acme.example", "A"): HERE,
        }
    )
    found = scene.search(
        (scene.closed(), "ssl"), (other, "tls"), more_ports=[server.port], overall_seconds=2.0
    )
    assert found.best is not None
    assert not found.best.proven
    assert found.best.port == server.port
    assert len(findings(found, "probe", "skipped")) == 2
    assert other.connections == 0


def test_number_of_connections(scene: Scene, dialled: Dialled) -> None:
    """A hundred servers in DNS, and each name with many ports: few are tried."""
    closed = scene.closed()
    names = [f"s{number}.acme.example" for number in range(100)]
    scene.knows(
        {
            SUBMISSION: [f"{number} 1 {closed} {name}." for number, name in enumerate(names)],
            SUBMISSIONS: [f"{number} 1 {closed} {name}." for number, name in enumerate(names)],
            MX: [f"{number} {name}." for number, name in enumerate(names)],
        }
    )
    scene.knows({(name, "A"): HERE for name in (*names, "mail.acme.example", "smtp.acme.example")})
    usual = [scene.closed() for _ in range(4)]
    found = scene.search(*((port, "tls") for port in usual), more_ports=[closed])
    assert len(dialled) == 14
    assert the(found, "probe", "skipped") == "Enough places were tried."
    asked = {one.name for one in scene.dns.queries if one.kind == "A"}
    assert len(asked) < 8


def test_too_many_records(scene: Scene, dialled: Dialled) -> None:
    scene.knows({SUBMISSION: [f"0 1 587 s{number}.acme.example." for number in range(300)]})
    found = scene.search((587, "tls"))
    assert "cannot be used" in the(found, "srv", "failed")
    assert dialled == []


def test_same_server_is_tried_once(scene: Scene, dialled: Dialled) -> None:
    """Named by the domain, its MX and by custom: one place."""
    port = scene.closed()
    scene.knows(
        {
            SUBMISSION: [f"0 1 {port} mail.acme.example."],
            SUBMISSIONS: [f"0 1 {port} mail.acme.example."],
            MX: ["1 mail.acme.example."],
            ("mail.acme.example", "A"): HERE,
        }
    )
    scene.search((port, "tls"))
    assert dialled == [("127.0.0.1", port)]
