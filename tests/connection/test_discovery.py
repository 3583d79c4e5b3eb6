"""Settings from an e-mail address alone: what is found, what is suggested, what is only said."""

import json

import pytest

from smtp_admin.discovery.search import KnownServer
from tests.connection.searching import ADDRESS, Scene, dialled, findings, scene, the
from tests.servers.certificates import CertificateFactory
from tests.servers.dns import Fail
from tests.servers.scripted import Raw, Reply

__all__ = ["dialled", "scene"]  # fixtures

SUBMISSIONS = ("_submissions._tcp.acme.example", "SRV")
SUBMISSION = ("_submission._tcp.acme.example", "SRV")
MX = ("acme.example", "MX")
MAIL_HOST = ("mail.acme.example", "A")
HERE = ["127.0.0.1"]


# A provider that is known


def test_address_of_a_known_provider(scene: Scene) -> None:
    server = scene.serves("tls", "smtp.known.example")
    scene.knows({("smtp.known.example", "A"): HERE})
    known = KnownServer("Known", "smtp.known.example", server.port, "tls", "apikey", "known")
    found = scene.search((server, "tls"), providers={"acme.example": known})
    assert found.best is not None
    assert found.best.as_json() == {
        "host": "smtp.known.example",
        "port": server.port,
        "security": "tls",
        "username": "apikey",
        "source": "preset",
        "provider": "known",
        "proven": True,
        "caution": "",
    }
    assert {one.kind for one in scene.dns.queries} == {"A", "AAAA"}, "DNS need not be asked where"
    assert "Known" in the(found, "preset", "ok")
    assert server.connections == 1


def test_known_provider_on_another_port(scene: Scene) -> None:
    """The usual one is blocked: another of the same host is found."""
    server = scene.serves("tls", "smtp.known.example")
    scene.knows({("smtp.known.example", "A"): HERE})
    blocked = scene.closed()
    known = KnownServer("Known", "smtp.known.example", blocked, "tls", key="known")
    found = scene.search(
        (scene.closed(), "ssl"),
        (blocked, "tls"),
        (server, "tls"),
        providers={"acme.example": known},
    )
    assert found.best is not None
    assert (found.best.port, found.best.proven) == (server.port, True)
    assert found.best.username == ADDRESS
    refused = findings(found, "probe", "failed")
    assert [one.code for one in refused] == ["connection_refused"] * 2


def test_known_provider_that_cannot_be_reached(scene: Scene) -> None:
    """A blocked network must not hide what is known."""
    scene.knows({("smtp.known.example", "A"): HERE})
    closed = scene.closed()
    known = KnownServer("Known", "smtp.known.example", closed, "tls", key="known")
    found = scene.search((closed, "tls"), providers={"acme.example": known})
    assert found.best is not None
    assert not found.best.proven
    assert found.best.host == "smtp.known.example"
    assert "could not be reached from here" in found.best.caution
    assert "could not be tested" in found.summary


def test_known_provider_whose_name_is_unknown_here(scene: Scene) -> None:
    known = KnownServer("Known", "smtp.known.example", 587, "tls", key="known")
    found = scene.search((587, "tls"), providers={"acme.example": known})
    assert found.best is not None
    assert not found.best.proven
    assert [one.code for one in findings(found, "probe")] == ["dns_failed"]


def test_impostor_of_a_known_provider(scene: Scene, certificates: CertificateFactory) -> None:
    """Reached, but it cannot prove who it is: said, and not suggested."""
    server = scene.serves("tls", certificate=certificates.self_signed())
    scene.knows({("smtp.known.example", "A"): HERE})
    known = KnownServer("Known", "smtp.known.example", server.port, "tls", key="known")
    found = scene.search((server, "tls"), providers={"acme.example": known})
    assert found.best is None
    assert "certificate is not valid" in the(found, "probe", "warning")


def test_provider_by_its_mx(scene: Scene) -> None:
    server = scene.serves("ssl", "smtp.known.example")
    scene.knows({MX: ["5 in1.known.example."], ("smtp.known.example", "A"): HERE})
    known = KnownServer("Known", "smtp.known.example", server.port, "ssl", key="known")
    found = scene.search((server, "ssl"), providers={"in1.known.example": known})
    assert found.best is not None
    assert (found.best.source, found.best.provider) == ("mx", "known")
    assert found.best.username == ADDRESS
    assert found.best.caution == ""
    assert scene.dns.asked(*MAIL_HOST) == 0, "nothing is guessed"


# What the domain says of itself


def test_srv_only(scene: Scene) -> None:
    server = scene.serves("ssl")
    scene.knows({SUBMISSIONS: [f"0 1 {server.port} mail.acme.example."], MAIL_HOST: HERE})
    found = scene.search(more_ports=[server.port])
    assert found.best is not None
    assert found.best.source == "srv"
    assert (found.best.host, found.best.port) == ("mail.acme.example", server.port)
    assert (found.best.security, found.best.username) == ("ssl", ADDRESS)
    assert found.best.caution == ""
    assert "offers a login" in the(found, "probe", "ok")
    assert server.connections == 1
    json.dumps(found.as_json())


def test_immediate_encryption_comes_first(scene: Scene) -> None:
    """RFC 8314 prefers it; the other is kept as an alternative."""
    implicit, upgraded = scene.serves("ssl"), scene.serves("tls")
    scene.knows(
        {
            SUBMISSION: [f"0 1 {upgraded.port} mail.acme.example."],
            SUBMISSIONS: [f"5 1 {implicit.port} mail.acme.example."],
            MAIL_HOST: HERE,
        }
    )
    found = scene.search(more_ports=[implicit.port, upgraded.port])
    assert found.best is not None
    assert (found.best.security, found.best.port) == ("ssl", implicit.port)
    assert [one.port for one in found.others] == [upgraded.port]


def test_first_choice_of_the_domain_that_works(scene: Scene) -> None:
    server = scene.serves("tls")
    scene.knows(
        {
            SUBMISSION: [
                f"20 1 {server.port} mail.acme.example.",
                f"10 1 {scene.closed()} mail.acme.example.",
                "5 1 26 mail.acme.example.",
            ],
            MAIL_HOST: HERE,
        }
    )
    found = scene.search((server, "tls"))
    assert found.best is not None
    assert found.best.port == server.port
    codes = [one.code for one in findings(found, "probe", "failed")]
    assert codes == ["destination_not_allowed"] * 2


def test_server_of_somebody_else(scene: Scene) -> None:
    """Records that nobody signed may name anybody's server: a person must know it."""
    server = scene.serves("tls", "smtp.host.example")
    scene.knows(
        {SUBMISSION: [f"0 1 {server.port} smtp.host.example."], ("smtp.host.example", "A"): HERE}
    )
    found = scene.search(more_ports=[server.port])
    assert found.best is not None
    assert "smtp.host.example does not belong to acme.example" in found.best.caution


def test_service_that_is_not_offered(scene: Scene) -> None:
    """The target “.” means no; nothing is guessed behind the domain's back."""
    server = scene.serves("tls")
    scene.knows({SUBMISSION: ["0 0 0 ."], SUBMISSIONS: ["0 0 0 ."], MAIL_HOST: HERE})
    found = scene.search((server, "tls"))
    assert found.best is None
    assert server.connections == 0
    details = [one.detail for one in findings(found, "srv")]
    assert details == ["The domain says that it does not offer this."] * 2


def test_one_kind_that_is_not_offered(scene: Scene) -> None:
    implicit, upgraded = scene.serves("ssl"), scene.serves("tls")
    scene.knows({SUBMISSION: ["0 0 0 ."], MAIL_HOST: HERE})
    found = scene.search((implicit, "ssl"), (upgraded, "tls"))
    assert found.best is not None
    assert found.best.security == "ssl"
    assert upgraded.connections == 0


def test_port_465_is_not_starttls(scene: Scene) -> None:
    """Some domains announce it under the name that means STARTTLS."""
    scene.knows({SUBMISSION: ["0 1 465 mail.acme.example."]})
    known = KnownServer("Known", "smtp.known.example", 587, "tls", key="known")
    found = scene.search((587, "tls"), providers={"mail.acme.example": known})
    assert "mail.acme.example port 465" in the(found, "srv", "ok")
    assert found.best is not None
    assert (found.best.port, found.best.security) == (465, "ssl")
    assert found.best.provider == "known", "its hints are shown beside the form"


# What is usual


def test_mx_only(scene: Scene) -> None:
    """Neither mail. nor smtp. exists; the server that takes the domain's mail has a login, too."""
    server = scene.serves("tls", "mx1.acme.example")
    scene.knows({MX: ["10 mx1.acme.example."], ("mx1.acme.example", "A"): HERE})
    found = scene.search((scene.closed(), "ssl"), (server, "tls"))
    assert found.best is not None
    assert (found.best.host, found.best.source) == ("mx1.acme.example", "mx")
    assert "mx1.acme.example" in the(found, "mx", "ok")
    gone = [one.subject for one in findings(found, "probe") if one.code == "dns_failed"]
    assert gone == ["mail.acme.example", "smtp.acme.example"]


@pytest.mark.parametrize("host", ["mail.acme.example", "smtp.acme.example"])
def test_usual_name(scene: Scene, host: str) -> None:
    server = scene.serves("ssl", host)
    scene.knows({MX: ["10 mx.host.example."], (host, "A"): HERE})
    found = scene.search((server, "ssl"), (scene.closed(), "tls"))
    assert found.best is not None
    assert (found.best.host, found.best.source) == (host, "guess")


def test_less_usual_port(scene: Scene) -> None:
    server = scene.serves("tls")
    scene.knows({MX: ["10 mail.acme.example."], MAIL_HOST: HERE})
    found = scene.search(
        (scene.closed(), "ssl"), (scene.closed(), "tls"), (server, "tls"), (scene.closed(), "tls")
    )
    assert found.best is not None
    assert found.best.port == server.port


def test_nothing(scene: Scene, dialled: list[tuple[str, int]]) -> None:
    """A domain with a web page and no mail."""
    scene.knows({("acme.example", "A"): HERE})
    found = scene.search((scene.closed(), "ssl"), (scene.closed(), "tls"))
    assert found.best is None
    assert found.others == []
    assert dialled == []
    assert "no mail server for incoming mail" in the(found, "mx", "warning")
    assert ADDRESS in found.summary


def test_domain_that_does_not_exist(scene: Scene, dialled: list[tuple[str, int]]) -> None:
    found = scene.search((scene.closed(), "ssl"), (scene.closed(), "tls"))
    assert found.best is None
    assert dialled == []
    assert the(found, "mx", "failed") == "There is no domain acme.example."
    assert scene.dns.asked(*MAIL_HOST) == 0


def test_domain_that_takes_no_mail(scene: Scene) -> None:
    """It may send all the same."""
    server = scene.serves("tls")
    scene.knows({MX: ["0 ."], MAIL_HOST: HERE})
    found = scene.search((scene.closed(), "ssl"), (server, "tls"))
    assert "accepts no mail" in the(found, "mx", "warning")
    assert found.best is not None


def test_dns_that_fails_for_some_questions(scene: Scene) -> None:
    server = scene.serves("tls")
    scene.knows({MX: Fail(), SUBMISSION: Fail("REFUSED"), SUBMISSIONS: Fail(), MAIL_HOST: HERE})
    found = scene.search((scene.closed(), "ssl"), (server, "tls"))
    assert len(findings(found, "srv", "failed")) == 2
    assert len(findings(found, "mx", "failed")) == 1
    assert found.best is not None


def test_names_that_are_none(scene: Scene) -> None:
    """What a stranger writes into DNS is not taken for a host name."""
    odd = ["0 1 587 a\\032b.example.", "0 1 587 \\@.", "0 1 587 -x.example.", "0 1 587 1.2.3."]
    scene.knows({SUBMISSION: odd, MX: ["1 \\<script\\>.example."]})
    found = scene.search((scene.closed(), "tls"))
    assert the(found, "srv", "failed") == "The host name in the record cannot be used."
    assert found.best is None


# What is said and not suggested


def test_wrong_certificate_is_said(scene: Scene, certificates: CertificateFactory) -> None:
    """Two servers answer; the one that proves who it is comes into the form."""
    bad = scene.serves("ssl", certificate=certificates.self_signed())
    good = scene.serves("tls")
    scene.knows({MX: ["10 mail.acme.example."], MAIL_HOST: HERE})
    found = scene.search((bad, "ssl"), (good, "tls"))
    assert found.best is not None
    assert found.best.port == good.port
    (warning,) = findings(found, "probe", "warning")
    assert warning.code == "certificate_error"
    assert "self-signed" in warning.detail
    assert warning.hint


def test_only_a_wrong_certificate(scene: Scene, certificates: CertificateFactory) -> None:
    server = scene.serves("tls", certificate=certificates.wrong_name())
    scene.knows({MX: ["10 mail.acme.example."], MAIL_HOST: HERE})
    found = scene.search((scene.closed(), "ssl"), (server, "tls"))
    assert found.best is None
    assert "not for mail.acme.example" in the(found, "probe", "warning")


def test_server_without_encryption(scene: Scene) -> None:
    server = scene.serves("none")
    scene.knows({MX: ["10 mail.acme.example."], MAIL_HOST: HERE})
    found = scene.search((scene.closed(), "ssl"), (server, "tls"))
    assert found.best is None
    assert "offers no encryption" in the(found, "probe", "warning")


def test_server_without_login(scene: Scene) -> None:
    """As on port 25 of every MX host: it takes mail from other servers, not from ours."""
    server = scene.serves("tls", auth=False)
    scene.knows({MX: ["10 mail.acme.example."], MAIL_HOST: HERE})
    found = scene.search((scene.closed(), "ssl"), (server, "tls"))
    assert found.best is None
    assert "offers no login" in the(found, "probe", "warning")


def test_login_that_we_do_not_have(scene: Scene) -> None:
    server = scene.serves("tls", methods=("XOAUTH2",))
    scene.knows({MX: ["10 mail.acme.example."], MAIL_HOST: HERE})
    found = scene.search((scene.closed(), "ssl"), (server, "tls"))
    assert found.best is None
    assert "XOAUTH2" in the(found, "probe", "warning")


@pytest.mark.parametrize(
    "answer", [Raw(b"SSH-2.0-canary\r\n"), Raw(b"-ERR canary\r\n"), Reply("554 go away canary")]
)
def test_other_services_are_not_shown(scene: Scene, answer: Raw | Reply) -> None:
    server = scene.serves("tls", behaviours={"greeting": answer})
    scene.knows({MX: ["10 mail.acme.example."], MAIL_HOST: HERE})
    found = scene.search((scene.closed(), "ssl"), (server, "tls"))
    assert found.best is None
    assert "canary" not in json.dumps(found.as_json())


@pytest.mark.parametrize("address", ["", "robot", "robot@", "@acme.example", "a@127.0.0.1", "a@b"])
def test_no_address(scene: Scene, address: str) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        scene.search((587, "tls"), address=address)
    assert scene.dns.queries == []


def test_international_domain(scene: Scene) -> None:
    scene.knows({("xn--bcher-kva.example", "MX"): ["0 ."]})
    found = scene.search((587, "tls"), address="info@bücher.example")
    assert found.address == "info@xn--bcher-kva.example"
    assert scene.dns.asked("xn--bcher-kva.example", "MX") == 1
