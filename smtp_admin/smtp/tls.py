"""Encryption of a connection: strict by default, described for people afterwards."""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from smtp_admin.smtp import explain


@dataclass(frozen=True, slots=True)
class TLSDescription:
    """What was negotiated, and whom the certificate names.

    Attributes:
        begins: when the certificate began to count, where that is at hand.
    """

    version: str
    cipher: str
    verified: bool
    subject: str
    issuer: str
    expires: datetime | None
    begins: datetime | None = None

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


def unnoted(_seen: TLSDescription) -> None:
    """Forget what was negotiated."""


def client_context(
    *,
    verify: bool = True,
    ca_file: Path | None = None,
    ca_certificate: str = "",
    client_certificate: str = "",
    client_key: str = "",
) -> ssl.SSLContext:
    """A context of TLS 1.2 or newer that checks chain and host name unless told otherwise.

    Many connections, of several threads, may have the same: it is not to be changed.

    Args:
        verify: off only where a person turned it off for one sender, and sees that marked.
        ca_file: a private authority of the installation, trusted beside the system's.
        ca_certificate: one of this sender (PEM), trusted beside both.
        client_certificate: shown to a server that asks for one (PEM), with its key.

    Raises:
        SMTPFailure: ``tls_failed``: one of them cannot be used.
    """
    if client_certificate:  # never kept: with it goes its key
        context = _trusting(ca_file, ca_certificate, verify=verify)
        _load_client_certificate(context, client_certificate, client_key)
        return context
    return _kept(ca_file, ca_certificate, _as_they_are(ca_file), verify=verify)


#: How many contexts a process keeps: to read the system's authorities takes some twenty
#: milliseconds of a core, as long as all else that sending a mail takes.
_MOST_KEPT = 32


@lru_cache(_MOST_KEPT)
def _kept(
    ca_file: Path | None, ca_certificate: str, _files: tuple[object, ...], *, verify: bool
) -> ssl.SSLContext:
    """The same for every connection that trusts the same; nobody changes it."""
    return _trusting(ca_file, ca_certificate, verify=verify)


def _as_they_are(ca_file: Path | None) -> tuple[object, ...]:
    """What changes when the files of authorities do: a certificate that is renewed counts at once.

    Asked for each time, since the environment may name others, too.
    """
    system = ssl.get_default_verify_paths()
    return tuple(map(_state, (system.cafile, system.capath, ca_file)))


def _state(path: str | Path | None) -> tuple[str, int, int, int] | None:
    if path is None:
        return None
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return str(path), found.st_ino, found.st_size, found.st_mtime_ns


def _trusting(ca_file: Path | None, ca_certificate: str, *, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A name in the subject alone stopped counting with RFC 6125; Python still accepts it.
    context.hostname_checks_common_name = False
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=str(ca_file))
        except OSError as error:
            raise explain.of_authorities() from error
    if ca_certificate:
        try:
            context.load_verify_locations(cadata=ca_certificate)
        except (OSError, ValueError) as error:
            raise explain.of_own_authority() from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def ended_on(certificate: str) -> datetime | None:
    """When the first certificate of a PEM text expired (aware, UTC); ``None`` if it has not."""
    ends = x509.load_pem_x509_certificate(certificate.encode("ascii")).not_valid_after_utc
    return ends if ends < datetime.now(UTC) else None


def is_key_of(certificate: str, key: str) -> bool:
    """Whether *key* is the private one of the first certificate in *certificate*; both are PEM."""
    shown = x509.load_pem_x509_certificate(certificate.encode("ascii")).public_key()
    return _bytes_of(shown) == _bytes_of(_known(key).public_key())


def is_rsa(key: str) -> bool:
    """Whether a private key (PEM) is an RSA key."""
    return isinstance(_known(key), RSAPrivateKey)


def _known(key: str) -> PrivateKeyTypes:
    """A private key whose numbers were checked when it was entered, which takes a while for RSA."""
    return load_pem_private_key(
        key.encode("ascii"), password=None, unsafe_skip_rsa_key_validation=True
    )


def _bytes_of(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _load_client_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    # OpenSSL takes them from a file only.
    with _file_of(f"{certificate}\n{key}".encode()) as path:
        try:
            # Without a password OpenSSL would ask for one on the terminal.
            context.load_cert_chain(path, password="")
        except ssl.SSLError as error:
            raise explain.of_client_certificate(error) from error


@contextmanager
def _file_of(content: bytes) -> Iterator[str]:
    """A file that only this user can read, for as long as it is needed; in memory if possible."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        with os.fdopen(os.memfd_create("client certificate"), "wb", buffering=0) as file:
            file.write(content)
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile(buffering=0) as named:
            named.write(content)
            yield named.name


def describe(sock: ssl.SSLSocket) -> TLSDescription:
    """What *sock* negotiated."""
    cipher = sock.cipher()
    verified = sock.context.verify_mode == ssl.CERT_REQUIRED
    raw = sock.getpeercert(binary_form=True)
    subject, issuer, begins, expires = "", "", None, None
    if raw:
        try:
            certificate = x509.load_der_x509_certificate(raw)
            subject = _name(certificate.subject)
            issuer = _name(certificate.issuer)
            begins, expires = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        except ValueError:  # an unverified certificate may be anything
            subject = "unreadable"
    return TLSDescription(
        version=sock.version() or "",
        cipher=cipher[0] if cipher else "",
        verified=verified,
        subject=subject,
        issuer=issuer,
        expires=expires,
        begins=begins,
    )


def _name(name: x509.Name) -> str:
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        found = name.get_attributes_for_oid(oid)
        if found:
            text = str(found[0].value)
            return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)[:200]
    return name.rfc4514_string()[:200]
