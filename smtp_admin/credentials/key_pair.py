"""Make a key pair for an app: the key stays here, and its certificate is uploaded to the vendor.

A secret that somebody copied may be anywhere, and ends after two years at most; this key has never
left the platform.
"""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_BITS = 2048
_LIFE = timedelta(days=2 * 365)
#: Clocks of others may be behind.
_EARLIER = timedelta(hours=1)
_LONGEST_NAME = 64


def new_key_pair(name: str, life: timedelta = _LIFE) -> tuple[str, str]:
    """A certificate that vouches for itself, and its private key, both as PEM.

    Args:
        name: what the vendor's page shows beside the certificate.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_LONGEST_NAME] or "smtp_admin")])
    moment = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _EARLIER)
        .not_valid_after(moment + life)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    return certificate.public_bytes(Encoding.PEM).decode("ascii"), pem
