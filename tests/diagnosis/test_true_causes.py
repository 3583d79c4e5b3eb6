"""Real failures of a real connection test: the diagnosis names the true cause first."""

import ssl
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest

from smtp_admin.connection.probe import probe
from smtp_admin.diagnosis.diagnose import of_failure
from smtp_admin.providers.catalogue import replies
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy, Network
from smtp_admin.smtp.session import Dialler
from smtp_admin.transports.driver import Surroundings
from tests.connection.answers import PASSWORD, USERNAME
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import (
    Close,
    InjectAfterStarttls,
    Raw,
    Reply,
    ScriptedServer,
    Stage,
    Stall,
    Step,
)
from tests.setups import request_for

ACCOUNT = (USERNAME, PASSWORD)
FROM = "news@acme.example"
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.fixture
def first_cause(certificates: CertificateFactory) -> Callable[..., str]:
    """``first_cause(server_or_port, **settings)`` tests it and names the first cause."""

    def find(
        server: ScriptedServer | int,
        *,
        networks: tuple[Network, ...] = LOOPBACK,
        allowed: int | None = None,
        seconds: float = 5.0,
        **settings: Any,
    ) -> str:
        port = server if isinstance(server, int) else server.port
        plain = settings.get("security", "none") == "none"
        values: dict[str, Any] = {
            "host": "127.0.0.1" if plain else "localhost",
            "port": port,
            "security": "none",
            "username": USERNAME,
            "password": PASSWORD,
        }
        tested = request_for(**values | settings, from_email=FROM)
        dialler = Dialler(
            DiallingPolicy(frozenset({allowed or port}), networks),
            Timeouts(),
            certificates.ca_file,
        )
        result = probe(tested, Surroundings(dialler, replies()), seconds)
        assert result.failure is not None, "the test succeeded"
        found = of_failure(result.failure, tested.values)
        assert PASSWORD not in repr(found)
        return found.causes[0].key

    return find


Find = Callable[..., str]


def test_nothing_listens(first_cause: Find, closed_port: int) -> None:
    assert first_cause(closed_port) == "nothing_listens"


def test_no_such_host(first_cause: Find, closed_port: int) -> None:
    assert first_cause(closed_port, host="smtp.acme.invalid") == "host_misspelt"


def test_not_allowed(first_cause: Find, closed_port: int) -> None:
    assert first_cause(closed_port, networks=()) == "address_not_allowed"
    assert first_cause(closed_port, allowed=587) == "port_not_allowed"


@pytest.mark.parametrize(
    ("stage", "step", "cause"),
    [
        ("greeting", Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "not_a_mail_server"),
        ("greeting", Close(), "refused_caller"),
        ("greeting", Reply("554 5.7.1 go away"), "caller_refused"),
        ("greeting", Reply("421 4.3.2 not now"), "caller_refused"),
        ("greeting", Reply("554 Client host [198.51.100.7] blocked using zen.spamhaus.org"),
         "block_list"),
        ("ehlo", Reply("502 5.5.1 never heard of it"), "introduction_refused"),
        ("ehlo", Reply("501 5.5.4 Invalid HELO"), "name_refused"),
        ("ehlo", Close(), "interrupted"),
        ("auth", Reply("535 5.7.8 wrong"), "letters_in_password"),
        ("auth", Reply("534-5.7.9 Application-specific password required. Learn more at\r\n"
                       "534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor a1"),
         "gmail_app_password"),
        ("auth", Reply("454 4.3.0 try later"), "logins_away"),
        ("auth", Close(), "hung_up_at_login"),
        ("mail", Reply("550 5.7.1 not your address"), "sender_not_yours"),
        ("mail", Reply("550 5.7.60 Client does not have permissions to send as this sender"),
         "ms_send_as"),
        ("rcpt", Reply(f"553 5.7.1 <{FROM}>: Sender address rejected: not owned by user x"),
         "sender_not_owned"),
        ("rcpt", Reply("554 5.7.1 <x>: Relay access denied"), "relay_denied"),
    ],
)  # fmt: skip
def test_at_each_stage(first_cause: Find, stage: Stage, step: Step, cause: str) -> None:
    with ScriptedServer(auth=ACCOUNT, behaviours={stage: step}) as server:
        assert first_cause(server) == cause


def test_silence(first_cause: Find) -> None:
    with ScriptedServer(behaviours={"greeting": Stall()}) as server:
        assert first_cause(server, seconds=0.7) == "slow_greeting"
    with ScriptedServer(behaviours={"ehlo": Stall()}) as server:
        assert first_cause(server, seconds=0.7) == "server_slow"


def test_login_wanted_but_not_entered(first_cause: Find) -> None:
    with ScriptedServer(auth=ACCOUNT) as server:
        assert first_cause(server, username="") == "login_missing"


def test_login_not_offered(first_cause: Find, certificates: CertificateFactory) -> None:
    with ScriptedServer() as server:
        assert first_cause(server, security="none") == "encrypt_for_login"
    context = certificates.server_context(certificates.valid())
    with ScriptedServer(starttls=context) as server:
        assert first_cause(server, security="tls") == "no_login_needed"
    with ScriptedServer(starttls=context, auth=ACCOUNT, auth_methods=("XOAUTH2",)) as server:
        assert first_cause(server, security="tls") == "only_oauth"


def test_encryption(first_cause: Find, certificates: CertificateFactory) -> None:
    with ScriptedServer(auth=ACCOUNT) as server:
        assert first_cause(server, security="tls") == "no_starttls"
        assert first_cause(server, security="ssl") == "speaks_plain"
    context = certificates.server_context(certificates.valid())
    injected = InjectAfterStarttls(b"250 AUTH PLAIN\r\n")
    with ScriptedServer(starttls=context, behaviours={"starttls": injected}) as server:
        assert first_cause(server, security="tls") == "slipped_in"
    refusals: dict[str, str] = {
        "454 4.7.0 TLS not available due to local problem": "starttls_broken",
        "502 5.5.1 no": "starttls_failed",
    }
    for reply, cause in refusals.items():
        with ScriptedServer(starttls=context, behaviours={"starttls": Reply(reply)}) as server:
            assert first_cause(server, security="tls") == cause


def test_client_certificates(first_cause: Find, certificates: CertificateFactory) -> None:
    """With TLS 1.3 the server says so only after the handshake."""
    context = certificates.server_context(certificates.valid())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.ca_file)
    own, other = certificates.client(), certificates.client("other.example")
    shown = {
        "client_certificate": own.certfile.read_text(),
        "client_key": other.keyfile.read_text(),
    }
    with ScriptedServer(starttls=context) as server:
        assert first_cause(server, security="tls") == "client_certificate_refused"
        assert first_cause(server, security="tls", **shown) == "client_certificate_unusable"
    with ScriptedServer(implicit_tls=context) as server:
        assert first_cause(server, security="ssl") == "client_certificate_refused"


def test_old_encryption(first_cause: Find, certificates: CertificateFactory) -> None:
    context = certificates.server_context(certificates.valid())
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with ScriptedServer(implicit_tls=context) as server:
        assert first_cause(server, security="ssl") == "old_encryption"


@pytest.mark.parametrize("security", ["ssl", "tls"])
@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("expired", "certificate_expired"),
        ("not_yet_valid", "certificate_early"),
        ("wrong_name", "certificate_names"),
        ("common_name_only", "certificate_name"),
        ("self_signed", "certificate_self_signed"),
        ("unknown_ca", "certificate_unknown"),
    ],
)
def test_certificate(
    first_cause: Find, certificates: CertificateFactory, kind: str, cause: str, security: str
) -> None:
    context = certificates.server_context(getattr(certificates, kind)())
    if security == "ssl":
        server = ScriptedServer(implicit_tls=context, auth=ACCOUNT)
    else:
        server = ScriptedServer(starttls=context, auth=ACCOUNT)
    with server:
        assert first_cause(server, security=security) == cause


def test_certificate_for_a_name_and_an_address_entered(
    first_cause: Find, certificates: CertificateFactory
) -> None:
    context = certificates.server_context(certificates.wrong_name())
    with ScriptedServer(implicit_tls=context) as server:
        cause = first_cause(server, security="ssl", host="127.0.0.1")
        assert cause == "certificate_address_names"
