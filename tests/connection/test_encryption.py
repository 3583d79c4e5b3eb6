"""No password leaves over a connection that is not what was asked for."""

import ssl

import pytest

from tests.connection.answers import PASSWORD, USERNAME, assert_no_login, check_envelope
from tests.connection.conftest import Ask
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import InjectAfterStarttls, Raw, Reply, ScriptedServer, Stage, Step

ACCOUNT = (USERNAME, PASSWORD)
MODES = pytest.mark.parametrize("security", ["ssl", "tls"])


def server_with(context: ssl.SSLContext, security: str) -> ScriptedServer:
    """A server that encrypts at once, or after STARTTLS."""
    if security == "ssl":
        return ScriptedServer(implicit_tls=context, auth=ACCOUNT)
    return ScriptedServer(starttls=context, auth=ACCOUNT)


def test_ssl_on_a_plaintext_port(ask: Ask) -> None:
    with ScriptedServer(auth=ACCOUNT) as server:
        error = check_envelope(ask(server, security="ssl"), "tls_failed", "tls")
        assert "STARTTLS" in error["hint"]
        assert_no_login(server)


@pytest.mark.parametrize("overall_seconds", [1.5], indirect=True)
def test_starttls_on_an_encrypted_port(ask: Ask, certificates: CertificateFactory) -> None:
    context = certificates.server_context(certificates.valid())
    with ScriptedServer(implicit_tls=context, auth=ACCOUNT) as server:
        error = check_envelope(ask(server, security="tls"), "timeout", "greeting")
        assert "SSL" in error["hint"]
        assert_no_login(server)


def test_starttls_not_offered(ask: Ask) -> None:
    with ScriptedServer(auth=ACCOUNT) as server:
        check_envelope(ask(server, security="tls"), "tls_not_offered", "starttls")
        assert_no_login(server)
        assert "STARTTLS" not in server.sessions[0].commands
        assert server.sessions[0].commands[-1] == "QUIT"


@pytest.mark.parametrize(
    "refusal", [Reply("454 4.7.0 not now"), Reply("502 5.5.1 no"), Reply("250 Ok"), Reply("334 ")]
)
def test_starttls_refused(ask: Ask, certificates: CertificateFactory, refusal: Reply) -> None:
    context = certificates.server_context(certificates.valid())
    with ScriptedServer(starttls=context, auth=ACCOUNT, behaviours={"starttls": refusal}) as server:
        if str(refusal.text)[0] in "23":  # the server begins a handshake that we refuse
            answer = ask(server, security="tls")
        else:
            answer = ask(server, security="tls")
            assert server.sessions[0].commands[-1] == "QUIT"
        check_envelope(answer, "tls_failed", "starttls")
        assert_no_login(server)


@pytest.mark.parametrize(
    "extra",
    [b"250-localhost\r\n250 AUTH PLAIN\r\n", b"235 2.7.0 Welcome\r\n", b"x", b"\r\n"],
    ids=["ehlo", "login", "a byte", "an empty line"],
)
def test_injected_after_starttls(ask: Ask, certificates: CertificateFactory, extra: bytes) -> None:
    """CVE-2011-0411 from the client's side: such a connection is not used at all."""
    context = certificates.server_context(certificates.valid())
    behaviours: dict[Stage, Step] = {"starttls": InjectAfterStarttls(extra)}
    with ScriptedServer(starttls=context, auth=ACCOUNT, behaviours=behaviours) as server:
        check_envelope(ask(server, security="tls"), "tls_failed", "starttls")
        assert_no_login(server)
        assert not server.sessions[0].used_tls


def test_plain_text_where_the_handshake_is_due(ask: Ask, certificates: CertificateFactory) -> None:
    context = certificates.server_context(certificates.valid())
    plain = Raw(b"250 no need for encryption\r\n")
    with ScriptedServer(starttls=context, auth=ACCOUNT, behaviours={"handshake": plain}) as server:
        check_envelope(ask(server, security="tls"), "tls_failed", "tls")
        assert_no_login(server)


CERTIFICATES = {
    "self_signed": "self-signed",
    "expired": "expired",
    "not_yet_valid": "not valid yet",
    "wrong_name": "not for localhost",
    "common_name_only": "not for localhost",
    "unknown_ca": "cannot be trusted",
}


@MODES
@pytest.mark.parametrize("kind", CERTIFICATES)
def test_bad_certificate(
    ask: Ask, certificates: CertificateFactory, kind: str, security: str
) -> None:
    """Each fault of a certificate is told apart, and none gets to see the login."""
    context = certificates.server_context(getattr(certificates, kind)())
    with server_with(context, security) as server:
        answer = ask(server, security=security)
        error = check_envelope(answer, "certificate_error", "certificate")
        assert CERTIFICATES[kind] in error["message"]
        assert answer.steps["auth"] == "skipped"
        assert_no_login(server)


@MODES
def test_name_that_is_not_in_the_certificate(
    ask: Ask, certificates: CertificateFactory, security: str
) -> None:
    """The name that was typed is verified, not the address that it led to."""
    context = certificates.server_context(certificates.valid("other.example"))
    with server_with(context, security) as server:
        check_envelope(ask(server, security=security), "certificate_error", "certificate")
        assert_no_login(server)
        assert ask(server, security=security, host="127.0.0.1").status == 200


@MODES
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.parametrize("verify_tls", [True, False])
def test_outdated_version(
    ask: Ask,
    certificates: CertificateFactory,
    security: str,
    version: ssl.TLSVersion,
    verify_tls: bool,
) -> None:
    """Broken versions stay refused even where the certificate is not checked."""
    context = certificates.server_context(certificates.valid(), version)
    with server_with(context, security) as server:
        answer = ask(server, security=security, verify_tls=verify_tls)
        check_envelope(answer, "tls_failed", "tls")
        assert_no_login(server)


@MODES
@pytest.mark.parametrize("kind", CERTIFICATES)
def test_certificate_not_checked(
    ask: Ask, certificates: CertificateFactory, kind: str, security: str
) -> None:
    """What a person chose works, and is marked as what it is."""
    context = certificates.server_context(getattr(certificates, kind)())
    with server_with(context, security) as server:
        answer = ask(server, security=security, verify_tls=False)
        assert answer.status == 200, answer.text
        assert answer.warnings == ["certificate_not_checked"]
        assert answer.body["connection"]["tls"]["verified"] is False
        assert answer.steps["certificate"] == "skipped"
        assert server.sessions[0].auth_attempts == [("PLAIN", *ACCOUNT)]
