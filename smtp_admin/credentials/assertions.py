"""Sign what proves who asks for a token (RFC 7523): with the key of an app or a service account."""

import base64
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from smtp_admin.credentials.oauth import OAuthLogin
from smtp_admin.credentials.token_failure import TokenFailure
from smtp_admin.translation import gettext

CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: Long enough for clocks that are a little apart, and what Google takes at most is an hour.
_LIFE_SECONDS, _SERVICE_LIFE_SECONDS = 600, 3600
#: A clock that is ahead would make an assertion that is not valid yet.
_EARLY_SECONDS = 60


def of_client(login: OAuthLogin, moment: float | None = None) -> str:
    """What an app with a certificate sends instead of a secret (RFC 7523 section 2.2).

    Raises:
        TokenFailure: key or certificate cannot be used.
    """
    issued = int(time.time() if moment is None else moment)
    header = {"alg": "PS256", "typ": "JWT"}
    if login.certificate:
        header["x5t#S256"] = _thumbprint(login.certificate)
    claims = {
        "aud": login.token_url,
        "iss": login.client_id,
        "sub": login.client_id,
        "jti": secrets.token_urlsafe(16),
        "iat": issued,
        "nbf": issued - _EARLY_SECONDS,
        "exp": issued + _LIFE_SECONDS,
    }
    return _signed(header, claims, login.key)


def of_service_account(login: OAuthLogin, moment: float | None = None) -> str:
    """What a service account sends to act for a mailbox (RFC 7523 section 2.1).

    Raises:
        TokenFailure: the key cannot be used.
    """
    issued = int(time.time() if moment is None else moment)
    claims = {
        "iss": login.client_id,
        "sub": login.username,
        "scope": login.scope,
        "aud": login.token_url,
        "iat": issued,
        "exp": issued + _SERVICE_LIFE_SECONDS,
    }
    return _signed({"alg": "RS256", "typ": "JWT"}, claims, login.key)


def _signed(header: Mapping[str, str], claims: Mapping[str, Any], key: str) -> str:
    try:
        private = load_pem_private_key(key.encode("ascii"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable() from error
    if not isinstance(private, rsa.RSAPrivateKey):
        raise _unusable()
    said = f"{_encoded(_json(header))}.{_encoded(_json(claims))}"
    scheme: padding.AsymmetricPadding = padding.PKCS1v15()
    if header["alg"] == "PS256":
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    return f"{said}.{_encoded(private.sign(said.encode(), scheme, hashes.SHA256()))}"


def _unusable() -> TokenFailure:
    return TokenFailure(
        "token_refused",
        gettext("The key that proves who asks for a token is not an RSA key that can be used."),
        hint=gettext("Enter the private key again, or make a new key pair."),
        cause="oauth_key_unusable",
    )


def _thumbprint(certificate: str) -> str:
    try:
        found = x509.load_pem_x509_certificate(certificate.encode("ascii"))
    except ValueError as error:
        raise _unusable() from error
    digest = hashes.Hash(hashes.SHA256())
    digest.update(found.public_bytes(Encoding.DER))
    return _encoded(digest.finalize())


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")
