"""The SMTP driver as the registry knows it: what is read, what must fit together, what is open."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from smtp_admin.credentials.none import NoLogin
from smtp_admin.credentials.password import Password
from smtp_admin.providers.catalogue import replies
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.session import Dialler, Server
from smtp_admin.transports.driver import Setup, Surroundings
from smtp_admin.transports.registry import driver
from smtp_admin.transports.smtp.fields import FIELDS
from smtp_admin.transports.smtp.oauth_fields import OAUTH_FIELDS
from smtp_admin.transports.smtp.transport import SMTPTransport
from smtp_admin.transports.warm import WarmTransports, make_transport
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import ScriptedServer
from tests.setups import smtp_setup
from tests.transports.sending import ACCEPTED, LOOPBACK, mails, verdicts

SMTP = driver("smtp")
VALUES: dict[str, Any] = {
    "host": "mail.acme.example",
    "port": 587,
    "security": "tls",
    "username": "mia",
    "verify_tls": True,
    "ca_certificate": "",
    "client_certificate": "",
    "ehlo_name": "",
}
SURROUNDINGS = Surroundings(Dialler(DiallingPolicy(frozenset({587}))), replies())


def cleaned(name: str, text: str) -> Any:
    return next(one for one in FIELDS if one.name == name).clean(text)


def test_values_and_secrets_become_a_setup() -> None:
    settings = {"ehlo_name": "app.example", "ca_certificate": "ca", "client_certificate": "shown"}
    setup = SMTP.read(VALUES | settings, {"password": "a password", "client_key": "a key"})
    assert setup.settings == Server(
        "mail.acme.example", 587, "tls", True, "ca", "shown", "a key", "app.example"
    )
    assert setup.credential == Password("mia", "a password")
    assert (setup.driver, setup.place) == ("smtp", "mail.acme.example:587")
    assert "a password" not in repr(setup)


def test_without_a_login_no_password_is_read() -> None:
    setup = SMTP.read(VALUES | {"username": ""}, {"password": "left over"})
    assert setup.credential == NoLogin()


def test_every_field_is_read() -> None:
    """What a person enters reaches the server, or the login."""
    # Where bounces come to is written into each mail, not told to the driver.
    own = {one.name for one in OAUTH_FIELDS} | {"bounce_address"}
    assert {one.name for one in FIELDS} == {*VALUES, "password", "client_key"} | own
    first = SMTP.read(VALUES, {})
    others: dict[str, Any] = {"port": 25, "security": "ssl", "verify_tls": False}
    for name in VALUES:
        assert SMTP.read(VALUES | {name: others.get(name, "else")}, {}) != first, name
    for name in ("password", "client_key"):
        assert SMTP.read(VALUES, {name: "else"}) != first, name


def test_every_field_of_oauth_is_read() -> None:
    values = VALUES | {one.name: "" for one in OAUTH_FIELDS if not one.secret}
    values |= {"sign_in": "microsoft_mailbox", "oauth_tenant": "acme", "oauth_client_id": "4711"}
    first = SMTP.read(values, {})
    assert SMTP.read(values | {"sign_in": ""}, {}) != first
    for name in ("username", "oauth_tenant", "oauth_client_id", "oauth_authority",
                 "oauth_token_url", "oauth_scope"):  # fmt: skip
        assert SMTP.read(values | {name: "else"}, {}) != first, name
    assert SMTP.read(values, {"oauth_secret": "else"}) != first
    values["sign_in"] = "microsoft_app"
    first = SMTP.read(values, {})
    assert SMTP.read(values | {"oauth_certificate": "else"}, {}) != first
    assert SMTP.read(values, {"oauth_key": "else"}) != first


def test_certificate_and_key_must_fit(certificates: CertificateFactory) -> None:
    own, other = certificates.valid("a.example"), certificates.valid("b.example")
    shown = {"client_certificate": own.certfile.read_text()}
    assert SMTP.check(VALUES | shown | {"client_key": own.keyfile.read_text()}) == {}
    wrong = SMTP.check(VALUES | shown | {"client_key": other.keyfile.read_text()})
    assert wrong == {"client_key": ["This key does not belong to the client certificate."]}
    missing = SMTP.check(VALUES | shown | {"client_key": ""})
    assert missing == {"client_key": ["Enter the key of the client certificate."]}


def test_no_secret_comes_alone(certificates: CertificateFactory) -> None:
    key = certificates.valid("a.example").keyfile.read_text()
    assert SMTP.check(VALUES | {"client_key": key}) == {
        "client_certificate": ["Enter the certificate that belongs to this key."]
    }
    assert SMTP.check(VALUES | {"username": "", "password": "a password"}) == {
        "username": ["Enter the login that belongs to this password."]
    }


def test_a_client_certificate_that_has_expired_is_refused(certificates: CertificateFactory) -> None:
    pair = certificates.expired()
    texts = {
        "client_certificate": pair.certfile.read_text(),
        "client_key": pair.keyfile.read_text(),
    }
    (said,) = SMTP.check(VALUES | texts)["client_certificate"]
    assert said.startswith("It expired on ")


def test_a_key_that_is_not_known_is_not_judged(certificates: CertificateFactory) -> None:
    """The stored one of a sender, where only other fields were entered."""
    shown = {"client_certificate": certificates.valid().certfile.read_text()}
    assert SMTP.check(VALUES | shown) == {}
    assert SMTP.check(VALUES | {"client_key": ""}) == {}


def test_pem_texts_are_cleaned(certificates: CertificateFactory) -> None:
    pair = certificates.valid()
    certificate, key = pair.certfile.read_text(), pair.keyfile.read_text()
    for name, pem in (
        ("ca_certificate", certificate),
        ("client_certificate", certificate + certificates.ca_file.read_text()),
        ("client_key", key),
    ):
        windows = "\r\n\r\n  " + pem.replace("\n", " \r\n") + "\r\n"
        assert cleaned(name, windows) == pem
        assert cleaned(name, cleaned(name, windows)) == pem
        assert cleaned(name, " \n ") == ""


@pytest.mark.parametrize("text", ["no", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END", "é", "\0"])
@pytest.mark.parametrize("name", ["ca_certificate", "client_certificate", "client_key"])
def test_what_is_no_pem_is_refused(name: str, text: str) -> None:
    for given in (text, text * 70_000):
        with pytest.raises(ValueError, match=r"\.$"):
            cleaned(name, given)


def test_a_certificate_that_cannot_be_shown_is_refused() -> None:
    """It loads, and its names are read only later: by the history, for good."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "QQQQ")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    built = built.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    built = built.not_valid_after(datetime(2036, 1, 1, tzinfo=UTC)).public_key(key.public_key())
    good = built.sign(key, SHA256()).public_bytes(Encoding.DER)
    body = base64.encodebytes(good.replace(b"QQQQ", b"\xff\xfe\xff\xfe")).decode()
    broken = f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"
    assert x509.load_pem_x509_certificates(broken.encode())
    for field in ("ca_certificate", "client_certificate"):
        with pytest.raises(ValueError, match="not a certificate"):
            cleaned(field, broken)
    [shown] = [one for one in FIELDS if one.name == "ca_certificate"]
    assert shown.words(broken) == "not readable", "where it was saved before"


def test_a_key_in_the_wrong_field_is_refused(certificates: CertificateFactory) -> None:
    """Certificates are shown and stored as they are."""
    pair = certificates.valid()
    both = pair.certfile.read_text() + pair.keyfile.read_text()
    for name in ("ca_certificate", "client_certificate"):
        with pytest.raises(ValueError, match="private key"):
            cleaned(name, both)
    with pytest.raises(ValueError, match="not a private key"):
        cleaned("client_key", pair.certfile.read_text())


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_key_with_a_passphrase_is_refused(
    certificates: CertificateFactory, form: PrivateFormat
) -> None:
    key = load_pem_private_key(certificates.valid().keyfile.read_bytes(), None)
    sealed = key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret")).decode()
    with pytest.raises(ValueError, match="passphrase"):
        cleaned("client_key", sealed)


def test_a_transport_comes_from_the_driver() -> None:
    setup = SMTP.read(VALUES, {})
    transport = make_transport(setup, SURROUNDINGS)
    assert isinstance(transport, SMTPTransport)
    assert repr(transport) == "<SMTPTransport to mail.acme.example:587>"
    with pytest.raises(LookupError, match="no driver 'pigeon'"):
        make_transport(Setup("pigeon", (), NoLogin()), SURROUNDINGS)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"password": "else"}, False),
        ({"username": "else"}, False),
        ({"verify_tls": False}, False),
        ({"client_key": "else"}, False),
    ],
)
def test_a_warm_connection_serves_the_same_setup_only(change: dict[str, Any], same: bool) -> None:
    given: dict[str, Any] = {"username": "mia", "password": "a password"}
    setup = smtp_setup("mail.acme.example", 587, "tls", **given)
    warm = WarmTransports()
    first = warm.take(1, setup, SURROUNDINGS)
    warm.give_back(1, setup, first)
    again = smtp_setup("mail.acme.example", 587, "tls", **(given | change))
    assert (warm.take(1, again, SURROUNDINGS) is first) is same
    assert warm.take(1, setup, SURROUNDINGS) is not first, "it is in use, or closed"


def test_no_sender_gets_anothers_connection() -> None:
    warm = WarmTransports()
    setup = smtp_setup("mail.acme.example", 587, "tls", "mia", "a password")
    first = warm.take(1, setup, SURROUNDINGS)
    warm.give_back(1, setup, first)
    assert warm.take(2, setup, SURROUNDINGS) is not first
    assert warm.take(1, setup, SURROUNDINGS) is first


def test_a_warm_connection_stays_open() -> None:
    warm = WarmTransports()
    with ScriptedServer() as server:
        setup = smtp_setup("127.0.0.1", server.port, "none")
        policy = DiallingPolicy(frozenset({server.port}), LOOPBACK)
        surroundings = Surroundings(Dialler(policy, Timeouts(5, 5, final_dot=5)), replies())
        for _ in range(3):
            transport = warm.take(1, setup, surroundings)
            assert verdicts(dict(transport.deliver(mails(1)))) == {0: ACCEPTED}
            warm.give_back(1, setup, transport)
        warm.close_all()
        assert server.connections == 1
