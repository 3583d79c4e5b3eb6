"""Each certificate has the one fault it is named for, and no other."""

import smtplib
import ssl
import warnings
from collections.abc import Callable

import pytest

from .certificates import CertificateFactory, CertificatePair
from .reference_client import send, trusting
from .scripted import (
    ScriptedServer,
)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (CertificateFactory.valid, None),
        (CertificateFactory.expired, "certificate has expired"),
        (CertificateFactory.not_yet_valid, "certificate is not yet valid"),
        (CertificateFactory.self_signed, "self-signed certificate"),
        (CertificateFactory.wrong_name, "Hostname mismatch"),
        (CertificateFactory.unknown_ca, "unable to get local issuer certificate"),
    ],
)
def test_each_certificate_has_its_one_fault(
    certificates: CertificateFactory,
    make: Callable[[CertificateFactory], CertificatePair],
    complaint: str | None,
) -> None:
    context = certificates.server_context(make(certificates))
    trusted = trusting(certificates)
    trusted.verify_flags |= ssl.VERIFY_X509_STRICT
    assert make(certificates) is make(certificates)
    with ScriptedServer(implicit_tls=context) as server:
        if complaint is None:
            for name in ("localhost", "127.0.0.1"):
                with smtplib.SMTP_SSL(name, server.port, context=trusted) as client:
                    send(client)
        else:
            with pytest.raises(ssl.SSLCertVerificationError, match=complaint):
                smtplib.SMTP_SSL("localhost", server.port, context=trusted, timeout=5)
            assert server.sessions[0].finished.wait(2)


def test_common_name_only_depends_on_the_client(certificates: CertificateFactory) -> None:
    context = certificates.server_context(certificates.common_name_only())
    lenient, strict = trusting(certificates), trusting(certificates)
    lenient.hostname_checks_common_name = True
    strict.hostname_checks_common_name = False
    with ScriptedServer(implicit_tls=context) as server:
        with smtplib.SMTP_SSL("localhost", server.port, context=lenient, timeout=5) as client:
            send(client)
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            smtplib.SMTP_SSL("localhost", server.port, context=strict, timeout=5)
        with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
            smtplib.SMTP_SSL("127.0.0.1", server.port, context=lenient, timeout=5)


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3"])
def test_highest_tls_version(certificates: CertificateFactory, version: str) -> None:
    newest = ssl.TLSVersion[version]
    context = certificates.server_context(certificates.valid(), newest)
    trusted = trusting(certificates)
    trusted.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        trusted.minimum_version = ssl.TLSVersion.TLSv1
    with ScriptedServer(implicit_tls=context) as server:
        with smtplib.SMTP_SSL("localhost", server.port, context=trusted, timeout=5) as client:
            send(client)
        assert server.sessions[0].tls_version == version.replace("_", ".")
        if newest < ssl.TLSVersion.TLSv1_2:
            with pytest.raises(ssl.SSLError):
                smtplib.SMTP_SSL(
                    "localhost", server.port, context=trusting(certificates), timeout=5
                )
