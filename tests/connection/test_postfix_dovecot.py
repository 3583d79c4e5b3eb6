"""A real Postfix whose logins Dovecot checks, with a private authority: each mistake by its name.

What a scripted server says, we wrote; these replies are what people meet.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from smtp_admin.connection.probe import TestResult
from tests.app import ADMIN, HostApp
from tests.connection.trying import FROM, LOGIN, PASSWORD, try_settings
from tests.servers.certificates import CertificateFactory
from tests.servers.postfix import PostfixWithDovecot
from tests.servers.skipping import skipped_if_unavailable


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> CertificateFactory:
    """A private authority of this module's own."""
    return CertificateFactory(tmp_path_factory.mktemp("postfix"))


@pytest.fixture(scope="module")
def postfix(authorities: CertificateFactory) -> Iterator[PostfixWithDovecot]:
    def shows(kind: str) -> dict[str, str]:
        pair = getattr(authorities, kind)()
        return {"smtpd_tls_cert_file": str(pair.certfile), "smtpd_tls_key_file": str(pair.keyfile)}

    doors: dict[str, Mapping[str, str]] = {
        "usual": {},
        "implicit": {"smtpd_tls_wrappermode": "yes"},
        "plain": {"smtpd_tls_security_level": "none", "smtpd_tls_auth_only": "no"},
        "no_login": {"smtpd_sasl_auth_enable": "no"},
        **{kind: shows(kind) for kind in ("expired", "wrong_name", "self_signed", "unknown_ca")},
    }
    with (
        skipped_if_unavailable(),
        PostfixWithDovecot(
            certificate=authorities.valid(),
            accounts={LOGIN: PASSWORD, "tom@acme.example": "another"},
            owners={FROM: LOGIN, "boss@acme.example": "tom@acme.example"},
            doors=doors,
        ) as running,
    ):
        yield running


@dataclass(frozen=True)
class Client:
    """Tries one door after another, trusting one authority."""

    server: PostfixWithDovecot
    ca_file: Path | None

    def test(self, door: str, **entered: Any) -> tuple[TestResult, str]:
        """What comes of it, and the first cause."""
        port = entered.pop("port", None) or self.server.ports[door]
        return try_settings(port, self.ca_file, **entered)


@pytest.fixture
def client(postfix: PostfixWithDovecot, authorities: CertificateFactory) -> Client:
    return Client(postfix, authorities.ca_file)


@pytest.mark.parametrize(("door", "security"), [("usual", "tls"), ("implicit", "ssl")])
def test_right_settings_work(client: Client, door: str, security: str) -> None:
    result, cause = client.test(door, security=security)
    assert cause == ""
    assert result.warnings == []
    steps = {step.name: step.status for step in result.report.steps}
    assert set(steps.values()) == {"ok"}
    assert {"tls", "certificate", "auth", "sender", "quit"} <= set(steps)
    assert "PLAIN" in result.report.auth_methods


#: What is wrong → door, what is entered otherwise, step, code, first cause.
MISTAKES: dict[str, tuple[str, dict[str, Any], str, str, str]] = {
    "wrong host": ("usual", {"host": "smtp.acme.invalid"}, "dns", "dns_failed", "host_misspelt"),
    "wrong password": ("usual", {"password": "wrong"}, "auth", "auth_failed", "wrong_password"),
    "wrong login": (
        # Its letters are a likelier mistake of others than of the one who typed the login.
        "usual", {"username": "mai@acme.example"}, "auth", "auth_failed", "letters_in_password",
    ),
    "login without its domain": (
        "usual", {"username": "mia", "password": "wrong"}, "auth", "auth_failed", "whole_address",
    ),
    "STARTTLS where encryption comes first": (
        "implicit", {"seconds": 2.0, "explained_for": 465}, "greeting", "timeout", "ssl_expected",
    ),
    "encryption first where STARTTLS belongs": (
        "usual", {"security": "ssl", "explained_for": 587}, "tls", "tls_failed",
        "starttls_expected",
    ),
    "encryption first, on a port of its own": (
        "usual", {"security": "ssl"}, "tls", "tls_failed", "speaks_plain",
    ),
    "no encryption offered": ("plain", {}, "starttls", "tls_not_offered", "no_starttls"),
    "no encryption chosen": (
        "usual", {"security": "none"}, "auth", "auth_not_offered", "encrypt_for_login",
    ),
    "no login offered": ("no_login", {}, "auth", "auth_not_offered", "no_login_needed"),
    "expired": ("expired", {}, "certificate", "certificate_error", "certificate_expired"),
    "for another name": ("wrong_name", {}, "certificate", "certificate_error", "certificate_names"),
    "self-signed": (
        "self_signed", {}, "certificate", "certificate_error", "certificate_self_signed",
    ),
    "another authority": (
        "unknown_ca", {}, "certificate", "certificate_error", "certificate_unknown",
    ),
    "an address of somebody else's": (
        "usual", {"from_email": "boss@acme.example"}, "sender", "sender_refused",
        "sender_not_owned",
    ),
    "no login entered": (
        "usual", {"username": "", "from_email": "else@acme.example"}, "sender", "sender_refused",
        "login_missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_first(client: Client, mistake: str) -> None:
    door, entered, step, code, cause = MISTAKES[mistake]
    result, first = client.test(door, **entered)
    assert result.failure is not None
    assert (result.failure.step, result.failure.code, first) == (step, code, cause)


def test_wrong_port(client: Client, closed_port: int) -> None:
    result, first = client.test("usual", port=closed_port)
    assert result.failure is not None
    assert (result.failure.code, first) == ("connection_refused", "nothing_listens")


def test_the_private_authority_must_be_trusted(postfix: PostfixWithDovecot) -> None:
    result, first = Client(postfix, None).test("usual")
    assert result.failure is not None
    assert (result.failure.code, first) == ("certificate_error", "certificate_unknown")


def test_a_password_never_goes_where_nobody_proved_who_they_are(client: Client) -> None:
    """Postfix writes down each login that it was offered."""
    for door in ("expired", "wrong_name", "self_signed", "unknown_ca", "plain"):
        client.test(door)
        assert f"postfix/{door}/smtpd" in client.server.log
    for line in client.server.log.splitlines():
        if "disconnect" in line and "/usual/" not in line and "/implicit/" not in line:
            assert "auth=" not in line


def test_a_test_mail_goes_out(
    new_app: Callable[..., HostApp], postfix: PostfixWithDovecot, authorities: CertificateFactory
) -> None:
    site = new_app(CA_FILE=authorities.ca_file)
    site.actor = ADMIN
    entered = {
        "host": "localhost", "port": postfix.ports["usual"], "security": "tls", "username": LOGIN,
        "password": PASSWORD, "from_email": FROM, "revision": 0, "verify_tls": "true",
        "to": "somebody@else.example",
    }  # fmt: skip
    url = "/smtp-admin/partners/acme/test-email"
    answer = site.client.post(url, data=entered, headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.get_json()["reply"].startswith("250 2.0.0 Ok: queued as ")
    entered["from_email"] = "boss@acme.example"
    refused = site.client.post(url, data=entered, headers={"Accept": "application/json"})
    error = refused.get_json()["error"]
    assert (refused.status_code, error["code"], error["reply"]["code"]) == (
        400, "sender_refused", 553,
    )  # fmt: skip
    assert PASSWORD not in refused.text
