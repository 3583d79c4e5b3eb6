"""Whom a connection trusts, and what it shows to a server that asks who calls."""

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from smtp_admin.credentials.none import NoLogin
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.report import Report
from smtp_admin.smtp.session import Dialler, Server, open_session
from smtp_admin.smtp.tls import client_context, is_key_of
from tests.servers.certificates import CertificateFactory, CertificatePair
from tests.servers.scripted import ScriptedServer
from tests.transports.sending import LOOPBACK


def texts(pair: CertificatePair) -> tuple[str, str]:
    """A certificate and its key, as a person enters them."""
    return pair.certfile.read_text(), pair.keyfile.read_text()


def talk(server: ScriptedServer, ca_file: Path | None = None, **settings: str) -> Report:
    """Open a session with STARTTLS, and end it."""
    report = Report()
    dialler = Dialler(DiallingPolicy(frozenset({server.port}), LOOPBACK), Timeouts(5, 5), ca_file)
    to = Server("localhost", server.port, "tls", **settings)  # type: ignore[arg-type]
    open_session(to, NoLogin(), dialler, report=report).quit()
    return report


def failing(server: ScriptedServer, ca_file: Path | None = None, **settings: str) -> SMTPFailure:
    """How it fails."""
    with pytest.raises(SMTPFailure) as caught:
        talk(server, ca_file, **settings)
    return caught.value


def test_the_senders_own_authority_is_trusted_beside_the_others(
    certificates: CertificateFactory,
) -> None:
    stranger = certificates.unknown_ca()
    own = certificates.unknown_ca_file.read_text()
    with ScriptedServer(starttls=certificates.server_context(stranger)) as server:
        assert failing(server, certificates.ca_file).code == "certificate_error"
        assert talk(server, certificates.ca_file, ca_certificate=own).tls is not None
    with ScriptedServer(starttls=certificates.server_context(certificates.valid())) as server:
        assert talk(server, certificates.ca_file, ca_certificate=own).tls is not None
        assert failing(server, None, ca_certificate=own).code == "certificate_error"


def test_the_system_is_still_trusted_beside_it(certificates: CertificateFactory) -> None:
    own = certificates.ca_file.read_text()
    with_own = client_context(ca_certificate=own).cert_store_stats()["x509_ca"]
    assert with_own == client_context().cert_store_stats()["x509_ca"] + 1


def test_an_authority_that_is_none(certificates: CertificateFactory) -> None:
    with ScriptedServer(starttls=certificates.server_context(certificates.valid())) as server:
        failure = failing(server, certificates.ca_file, ca_certificate="not a certificate")
    assert (failure.code, failure.step) == ("tls_failed", "tls")
    assert "certificate authority of this sender" in failure.message


def open_files() -> Iterator[str]:
    """What this process has open, as Linux calls it."""
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield str(one.readlink())


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_client_certificate_is_shown(
    certificates: CertificateFactory,
    in_memory: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """And the file that OpenSSL wants is gone at once."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    certificate, key = texts(certificates.client())
    context = certificates.server_context(certificates.valid())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.ca_file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # later ones say so only after the handshake
    with ScriptedServer(starttls=context) as server:
        shown = talk(server, certificates.ca_file, client_certificate=certificate, client_key=key)
        assert shown.steps[-1].status == "skipped", "nobody logs in"
        assert failing(server, certificates.ca_file).step == "tls"
    assert list(tmp_path.iterdir()) == []
    # None that is only in memory either; of others, some of earlier tests may be closed meanwhile.
    assert not [one for one in open_files() if "memfd:" in one or str(tmp_path) in one]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("shown", ["none", "a server's"])
def test_a_server_that_wants_another_client_certificate(
    certificates: CertificateFactory, version: ssl.TLSVersion, shown: str
) -> None:
    context = certificates.server_context(certificates.valid())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.ca_file)
    context.minimum_version = context.maximum_version = version
    settings = {}
    if shown != "none":
        certificate, key = texts(certificates.valid())
        settings = {"client_certificate": certificate, "client_key": key}
    with ScriptedServer(starttls=context) as server:
        failure = failing(server, certificates.ca_file, **settings)
    assert failure.code == "tls_failed"
    if (version, shown) == (ssl.TLSVersion.TLSv1_2, "none"):
        return  # that version has no word for it
    assert "client certificate" in failure.hint


def test_a_key_of_another_certificate(certificates: CertificateFactory) -> None:
    certificate, _ = texts(certificates.client())
    _, other = texts(certificates.client("other.example"))
    with ScriptedServer(starttls=certificates.server_context(certificates.valid())) as server:
        failure = failing(
            server, certificates.ca_file, client_certificate=certificate, client_key=other
        )
    assert (failure.code, failure.step) == ("tls_failed", "tls")
    assert failure.message == "The key does not belong to the client certificate."
    assert other.splitlines()[1] not in f"{failure!r} {failure}"


def test_a_key_with_a_passphrase_asks_nobody(certificates: CertificateFactory) -> None:
    """OpenSSL would ask on the terminal of the worker, and wait."""
    certificate, key = texts(certificates.client())
    sealed = load_pem_private_key(key.encode(), None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    for wrong in (sealed.decode(), "", "not a key"):
        with pytest.raises(SMTPFailure) as caught:
            client_context(client_certificate=certificate, client_key=wrong)
        assert caught.value.message == "The client certificate or its key cannot be used."


def test_whose_key_it_is(certificates: CertificateFactory) -> None:
    first, second = (texts(certificates.valid(name)) for name in ("a.example", "b.example"))
    chain = first[0] + certificates.ca_file.read_text()
    assert is_key_of(first[0], first[1])
    assert is_key_of(chain, first[1]), "its own certificate comes first"
    assert not is_key_of(first[0], second[1])


def test_connections_that_trust_the_same_share_what_was_read(
    certificates: CertificateFactory, tmp_path: Path
) -> None:
    """The system's authorities take twenty milliseconds, and hundreds of connections need them."""
    file = tmp_path / "ca.pem"
    file.write_bytes(certificates.ca_file.read_bytes())
    first = client_context(ca_file=file)
    assert client_context(ca_file=file) is first
    assert client_context(ca_file=file, verify=False) is not first
    assert client_context() is not first
    stranger = certificates.unknown_ca()
    with ScriptedServer(starttls=certificates.server_context(stranger)) as server:
        assert failing(server, file).code == "certificate_error"
        file.write_bytes(certificates.unknown_ca_file.read_bytes())
        assert talk(server, file).tls is not None, "a file that is replaced counts at once"


def test_the_environment_says_whom_the_system_trusts(
    certificates: CertificateFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = client_context().cert_store_stats()["x509_ca"]
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca_file))
    assert client_context().cert_store_stats()["x509_ca"] == 1 != everybody


def test_what_shows_a_certificate_is_not_kept(certificates: CertificateFactory) -> None:
    certificate, key = texts(certificates.client())
    first = client_context(client_certificate=certificate, client_key=key)
    assert client_context(client_certificate=certificate, client_key=key) is not first
