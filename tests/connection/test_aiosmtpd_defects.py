"""An aiosmtpd with one defect after another, from a wrong host to a refused sender."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.connection.trying import FROM, LOGIN, PASSWORD, try_settings
from tests.servers import free_port
from tests.servers.certificates import CertificateFactory

START_ATTEMPTS = 5


def authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
) -> AuthResult:
    """One account."""
    right = (login.login, login.password) == (LOGIN.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


class Handler:
    """Takes everything but what it was told to refuse."""

    def __init__(self, refusals: Mapping[str, str]) -> None:
        self._refusals = refusals

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """MAIL FROM."""
        if "mail" in self._refusals:
            return self._refusals["mail"]
        envelope.mail_from = address
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """RCPT TO."""
        if "rcpt" in self._refusals:
            return self._refusals["rcpt"]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"


@contextmanager
def aiosmtpd(
    starttls: ssl.SSLContext | None = None,
    *,
    implicit: ssl.SSLContext | None = None,
    auth: bool = True,
    auth_require_tls: bool = True,
    refusals: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """The port of a server of aiosmtpd."""
    for attempt in range(START_ATTEMPTS):
        options: dict[str, Any] = {
            "tls_context": starttls,
            "auth_require_tls": auth_require_tls,
            "authenticator": authenticate if auth else None,
            "auth_exclude_mechanism": None if auth else ["LOGIN", "PLAIN"],
        }
        controller = Controller(
            Handler(refusals or {}), "127.0.0.1", free_port(), ssl_context=implicit, **options
        )
        try:
            controller.start()
        except OSError:
            if attempt + 1 == START_ATTEMPTS:
                raise
            continue
        break
    try:
        yield controller.port
    finally:
        controller.stop()


def context(certificates: CertificateFactory, kind: str = "valid") -> ssl.SSLContext:
    return certificates.server_context(getattr(certificates, kind)())


def outcome(certificates: CertificateFactory, port: int, **entered: Any) -> tuple[str, str, str]:
    """Step, code and first cause."""
    result, cause = try_settings(port, certificates.ca_file, **entered)
    assert result.failure is not None, "the test succeeded"
    return result.failure.step, result.failure.code, cause


def test_without_a_defect_it_works(certificates: CertificateFactory) -> None:
    with aiosmtpd(context(certificates)) as port:
        assert try_settings(port, certificates.ca_file)[1] == ""
    with aiosmtpd(implicit=context(certificates), auth_require_tls=False) as port:
        assert try_settings(port, certificates.ca_file, security="ssl")[1] == ""


@pytest.mark.parametrize(
    ("entered", "expected"),
    [
        ({"host": "smtp.acme.invalid"}, ("dns", "dns_failed", "host_misspelt")),
        ({"password": "wrong"}, ("auth", "auth_failed", "wrong_password")),
        ({"security": "none"}, ("auth", "auth_not_offered", "encrypt_for_login")),
        ({"security": "ssl", "explained_for": 587}, ("tls", "tls_failed", "starttls_expected")),
    ],
)
def test_wrong_settings(
    certificates: CertificateFactory, entered: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    with aiosmtpd(context(certificates)) as port:
        assert outcome(certificates, port, **entered) == expected


def test_wrong_port(certificates: CertificateFactory, closed_port: int) -> None:
    found = outcome(certificates, closed_port)
    assert found == ("connect", "connection_refused", "nothing_listens")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # something else, that waits to be asked
        port = silent.getsockname()[1]
        found = outcome(certificates, port, seconds=0.7)
        assert found == ("greeting", "timeout", "slow_greeting")


def test_starttls_where_encryption_comes_first(certificates: CertificateFactory) -> None:
    with aiosmtpd(implicit=context(certificates), auth_require_tls=False) as port:
        found = outcome(certificates, port, seconds=1.0, explained_for=465)
        assert found == ("greeting", "timeout", "ssl_expected")


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("expired", "certificate_expired"),
        ("not_yet_valid", "certificate_early"),
        ("wrong_name", "certificate_names"),
        ("self_signed", "certificate_self_signed"),
        ("unknown_ca", "certificate_unknown"),
    ],
)
def test_bad_certificate(
    certificates: CertificateFactory, kind: str, cause: str, *, implicit: bool
) -> None:
    bad = context(certificates, kind)
    with aiosmtpd(
        None if implicit else bad, implicit=bad if implicit else None, auth_require_tls=False
    ) as port:
        found = outcome(certificates, port, security="ssl" if implicit else "tls")
        assert found == ("certificate", "certificate_error", cause)


def test_no_encryption_offered(certificates: CertificateFactory) -> None:
    with aiosmtpd(auth_require_tls=False) as port:
        found = outcome(certificates, port)
        assert found == ("starttls", "tls_not_offered", "no_starttls")


def test_no_login_offered(certificates: CertificateFactory) -> None:
    with aiosmtpd(context(certificates), auth=False) as port:
        found = outcome(certificates, port)
        assert found == ("auth", "auth_not_offered", "no_login_needed")


@pytest.mark.parametrize(
    ("stage", "reply", "cause"),
    [
        ("mail", f"553 5.7.1 <{FROM}>: Sender address rejected: not owned by user",
         "sender_not_owned"),
        ("mail", "550 5.7.60 Client does not have permissions to send as this sender",
         "ms_send_as"),
        ("mail", "550 5.7.1 You may not send from this address", "sender_not_yours"),
        ("rcpt", f"554 5.7.1 <{FROM}>: Relay access denied", "relay_denied"),
        ("rcpt", f"553 5.7.1 <{FROM}>: Sender address rejected: not owned by user",
         "sender_not_owned"),
    ],
)  # fmt: skip
def test_refused_sender(
    certificates: CertificateFactory, stage: str, reply: str, cause: str
) -> None:
    with aiosmtpd(context(certificates), refusals={stage: reply}) as port:
        assert outcome(certificates, port) == ("sender", "sender_refused", cause)
