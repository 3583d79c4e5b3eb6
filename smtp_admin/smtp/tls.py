"""Encryption of a connection: strict by default, described for people afterwards."""

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class TLSDescription:
    """What was negotiated, and whom the certificate names."""

    version: str
    cipher: str
    verified: bool
    subject: str
    issuer: str
    expires: datetime | None

    def as_json(self) -> dict[str, str | bool | None]:
        """As the connection test's answer shows it."""
        return {
            "version": self.version,
            "cipher": self.cipher,
            "verified": self.verified,
            "subject": self.subject,
            "issuer": self.issuer,
            "expires": self.expires.strftime("%Y-%m-%dT%H:%M:%SZ") if self.expires else None,
        }


def client_context(*, verify: bool, ca_file: Path | None) -> ssl.SSLContext:
    """A context of TLS 1.2 or newer that checks chain and host name unless told otherwise.

    Args:
        verify: off only where a person turned it off for one sender, and sees that marked.
        ca_file: a private CA, trusted beside the system's.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A name in the subject alone stopped counting with RFC 6125; Python still accepts it.
    context.hostname_checks_common_name = False
    if ca_file is not None:
        context.load_verify_locations(cafile=str(ca_file))
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def describe(sock: ssl.SSLSocket) -> TLSDescription:
    """What *sock* negotiated."""
    cipher = sock.cipher()
    verified = sock.context.verify_mode == ssl.CERT_REQUIRED
    raw = sock.getpeercert(binary_form=True)
    subject, issuer, expires = "", "", None
    if raw:
        try:
            certificate = x509.load_der_x509_certificate(raw)
            subject = _name(certificate.subject)
            issuer = _name(certificate.issuer)
            expires = certificate.not_valid_after_utc
        except ValueError:  # an unverified certificate may be anything
            subject = "unreadable"
    return TLSDescription(
        version=sock.version() or "",
        cipher=cipher[0] if cipher else "",
        verified=verified,
        subject=subject,
        issuer=issuer,
        expires=expires,
    )


def _name(name: x509.Name) -> str:
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        found = name.get_attributes_for_oid(oid)
        if found:
            text = str(found[0].value)
            return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)[:200]
    return name.rfc4514_string()[:200]
