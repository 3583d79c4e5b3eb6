"""Each certificate has the one fault it is named for, and no other."""

import smtplib
import ssl
import warnings
from collections.abc import Callable

import pytest

from .certificates import CertificateFactory, CertificatePair, Fault
from .reference_client import send, trusting
from .scripted import (
    ScriptedServer,
)


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (CertificateFactory.valid, None),
        (CertificateFactory.expired, Fault.EXPIRED),
        (CertificateFactory.not_yet_valid, Fault.NOT_YET_VALID),
        (CertificateFactory.self_signed, Fault.SELF_SIGNED),
        (CertificateFactory.wrong_name, Fault.OTHER_HOST),
        (CertificateFactory.unknown_ca, Fault.UNKNOWN_ISSUER),
    ],
)
def test_each_certificate_has_its_one_fault(
    certificates: CertificateFactory,
    make: Callable[[CertificateFactory], CertificatePair],
    fault: Fault | None,
) -> None:
    context = certificates.server_context(make(certificates))
    trusted = trusting(certificates)
    trusted.verify_flags |= ssl.VERIFY_X509_STRICT
    assert make(certificates) is make(certificates)
    with ScriptedServer(implicit_tls=context) as server:
        if fault is None:
            for name in ("localhost", "127.0.0.1"):
                with smtplib.SMTP_SSL(name, server.port, context=trusted) as client:
                    send(client)
        else:
            with pytest.raises(ssl.SSLCertVerificationError) as caught:
                smtplib.SMTP_SSL("localhost", server.port, context=trusted, timeout=5)
            assert caught.value.verify_code == fault
            assert server.sessions[0].finished.wait(40)


def test_common_name_only_depends_on_the_client(certificates: CertificateFactory) -> None:
    context = certificates.server_context(certificates.common_name_only())
    lenient, strict = trusting(certificates), trusting(certificates)
    lenient.hostname_checks_common_name = True
    strict.hostname_checks_common_name = False
    with ScriptedServer(implicit_tls=context) as server:
        with smtplib.SMTP_SSL("localhost", server.port, context=lenient, timeout=5) as client:
            send(client)
        for name, context, fault in (
            ("localhost", strict, Fault.OTHER_HOST),
            ("127.0.0.1", lenient, Fault.OTHER_IP_ADDRESS),
        ):
            with pytest.raises(ssl.SSLCertVerificationError) as caught:
                smtplib.SMTP_SSL(name, server.port, context=context, timeout=5)
            assert caught.value.verify_code == fault


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
