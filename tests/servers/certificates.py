"""A private certificate authority with good certificates and each kind of bad one."""

import datetime
import ipaddress
import ssl
import warnings
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["CertificateFactory", "CertificatePair", "Fault", "server_context"]

DAY = datetime.timedelta(days=1)


class Fault(IntEnum):
    """OpenSSL's numbers for what is wrong with a certificate: its words differ by release."""

    NOT_YET_VALID = 9
    EXPIRED = 10
    SELF_SIGNED = 18
    UNKNOWN_ISSUER = 20
    OTHER_HOST = 62
    OTHER_IP_ADDRESS = 64


class CertificatePair(NamedTuple):
    """The files of one server certificate and its private key."""

    certfile: Path
    keyfile: Path


@dataclass(frozen=True)
class _Authority:
    """A name and the key that signs for it."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


class CertificateFactory:
    """Makes certificates on demand in one folder and keeps each for the next caller.

    The authority is valid for years on both sides, so that the only thing wrong with an expired
    certificate is its own date.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pairs: dict[str, CertificatePair] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = folder / "ca.pem"
        self.unknown_ca_file = folder / "unknown-authority.pem"
        self._authority = self._make_authority("Test authority", self.ca_file)

    def valid(self, name: str = "localhost") -> CertificatePair:
        """Return a certificate every client accepts for the name, 127.0.0.1 and ::1.

        The client must trust `ca_file`.
        """
        return self._leaf(f"valid-{name}", names=(name,))

    def client(self, name: str = "app.example") -> CertificatePair:
        """Return a certificate that a client shows to a server that trusts `ca_file`."""
        return self._leaf(f"client-{name}", names=(name,), purpose=ExtendedKeyUsageOID.CLIENT_AUTH)

    def expired(self) -> CertificatePair:
        """Return a certificate that ended yesterday.

        Name and authority are right, so a client can complain about the date alone.
        """
        return self._leaf("expired", starts=-60 * DAY, ends=-DAY)

    def ending(self, ends: datetime.datetime) -> CertificatePair:
        """Return a certificate that is good until *ends*, to the second."""
        return self._leaf(f"ending-{ends:%H%M%S.%f}", ends=ends - _now())

    def not_yet_valid(self) -> CertificatePair:
        """Return a certificate that starts tomorrow.

        In the field the usual cause is a wrong clock.
        """
        return self._leaf("not-yet-valid", starts=DAY, ends=60 * DAY)

    def self_signed(self) -> CertificatePair:
        """Return a certificate that only vouches for itself.

        Trusting its own `certfile` as an authority makes it acceptable.
        """
        key = _new_key()
        own = _Authority(_named("localhost"), key)
        return self._leaf("self-signed", authority=own, key=key)

    def wrong_name(self) -> CertificatePair:
        """Return a certificate for other.example only, with no address in it.

        It fails for localhost and for 127.0.0.1 alike.
        """
        return self._leaf("wrong-name", names=("other.example",), addresses=())

    def common_name_only(self) -> CertificatePair:
        """Return a certificate that says localhost in the common name and nowhere else.

        Old mail servers still carry such ones. A Python client accepts it for the name unless it
        turned `hostname_checks_common_name` off, and never for the address.
        """
        return self._leaf("common-name-only", names=(), addresses=())

    def unknown_ca(self) -> CertificatePair:
        """Return a faultless certificate from an authority that `ca_file` does not hold.

        Its authority's certificate lies in `unknown_ca_file`.
        """
        if "unknown-ca" in self._pairs:
            return self._pairs["unknown-ca"]
        stranger = self._make_authority("Unknown authority", self.unknown_ca_file)
        return self._leaf("unknown-ca", authority=stranger)

    def server_context(
        self, pair: CertificatePair, maximum_version: ssl.TLSVersion | None = None
    ) -> ssl.SSLContext:
        """Return the TLS settings of a server with this certificate.

        The same as the function of this name, for callers that hold a factory.
        """
        return server_context(pair, maximum_version)

    def _make_authority(self, common_name: str, file: Path) -> _Authority:
        authority = _Authority(_named(common_name), _new_key())
        public = authority.key.public_key()
        identifier = x509.SubjectKeyIdentifier.from_public_key(public)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(authority.name)
            .issuer_name(authority.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_now() - 1000 * DAY)
            .not_valid_after(_now() + 1000 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(authority.key, hashes.SHA256())
        )
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return authority

    def _leaf(
        self,
        label: str,
        *,
        names: tuple[str, ...] = ("localhost",),
        addresses: tuple[str, ...] = ("127.0.0.1", "::1"),
        starts: datetime.timedelta = -DAY,
        ends: datetime.timedelta = 60 * DAY,
        authority: _Authority | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    ) -> CertificatePair:
        if label in self._pairs:
            return self._pairs[label]
        issuer = authority or self._authority
        own_key = key or _new_key()
        public = own_key.public_key()
        issuer_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            issuer.key.public_key()
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(names[0] if names else "localhost"))
            .issuer_name(issuer.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_now() + starts)
            .not_valid_after(_now() + ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(issuer_identifier, critical=False)
        )
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
        if alternatives:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        return self._write(label, builder.sign(issuer.key, hashes.SHA256()), own_key)

    def _write(
        self, label: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> CertificatePair:
        pair = CertificatePair(self._folder / f"{label}.pem", self._folder / f"{label}.key")
        pair.certfile.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair.keyfile.touch(mode=0o600)
        pair.keyfile.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self._pairs[label] = pair
        return pair


def server_context(
    pair: CertificatePair, maximum_version: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """Return the TLS settings of a server with this certificate.

    A `maximum_version` below TLS 1.2 makes an outdated server: the library's own floor has to be
    lowered for it, which Python rightly warns about.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certfile, pair.keyfile)
    if maximum_version is not None:
        if maximum_version < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = min(maximum_version, ssl.TLSVersion.TLSv1_2)
            context.maximum_version = maximum_version
    return context
