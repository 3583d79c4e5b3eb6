"""How providers prove what they post: over the bytes as they came, and compared in constant time.

What does not fit raises :class:`~smtp_admin.events.arrived.Refused`, whatever it is made of: a
header may hold anything.
"""

import base64
import binascii
import hashlib
import hmac
import re
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from smtp_admin.events.arrived import Arrived, Known, Proof, Refused
from smtp_admin.events.readers import mailgun
from smtp_admin.events.readers.values import at_path

#: How far a request's time may be from ours, in seconds, both ways.
WINDOW_SECONDS = 300
_SIGNATURE_OF_SENDGRID = "x-twilio-email-event-webhook-signature"
_TIMESTAMP_OF_SENDGRID = "x-twilio-email-event-webhook-timestamp"
#: The names that Standard Webhooks has for its headers, and those from before it had any.
_PREFIXES = ("webhook-", "svix-")
_SECRET_PREFIX = "whsec_"  # noqa: S105 - the beginning of every such secret
_MOST_SIGNATURES = 20
_TOKEN = re.compile(r"[!-~]{8,200}")


def refuse_unless_fresh(arrived: Arrived, timestamp: str, window: int = WINDOW_SECONDS) -> None:
    """Return if *timestamp*, seconds since 1970 as digits, is near enough to now.

    Raises:
        Refused: it is not, or is no such time.
    """
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise Refused("stale")
    if abs(arrived.at.timestamp() - int(timestamp)) > window:
        raise Refused("stale")


def by_secret_address(_arrived: Arrived, _known: Known) -> Proof:
    """Proven by nothing but the address, which nobody else knows."""
    return Proof()


def mailgun_token(arrived: Arrived, known: Known) -> Proof:
    """Mailgun signs a time and a token, and not the rest: the token may come only once.

    Raises:
        Refused: the signature does not fit, or is old.
        NotUnderstood: there is nothing that could be signed.
    """
    document = mailgun.contents(arrived)
    signed = document if mailgun.is_form(arrived) else at_path(document, "signature")
    timestamp, token, signature = (
        _word(at_path(signed, name)) for name in ("timestamp", "token", "signature")
    )
    if not (timestamp and token and signature):
        raise Refused("unsigned")
    if not _TOKEN.fullmatch(token):
        raise Refused("signature")
    said = signature.encode("utf-8", "replace")
    expected = [
        hmac.new(one.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest().encode()
        for one in known.secrets
    ]
    _refuse_unless_any([hmac.compare_digest(said, one) for one in expected])
    refuse_unless_fresh(arrived, timestamp)
    return Proof(nonce=token)


def standard(arrived: Arrived, known: Known) -> Proof:
    """The way of Standard Webhooks: over id, time and body.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

    Raises:
        Refused: no signature fits, or the time is old.
    """
    for prefix in _PREFIXES:
        name, timestamp, given = (
            arrived.headers.get(prefix + one, "") for one in ("id", "timestamp", "signature")
        )
        if name and timestamp and given:
            break
    else:
        raise Refused("unsigned")
    if "." in name or len(name) > _MOST_NAME:
        raise Refused("signature")
    said = [
        one.removeprefix("v1,").encode("utf-8", "replace")
        for one in given.split()[:_MOST_SIGNATURES]
        if one.startswith("v1,")
    ]
    signed = f"{name}.{timestamp}.".encode("utf-8", "replace") + arrived.body
    expected = [standard_signature(one, signed) for one in known.secrets]
    _refuse_unless_any([hmac.compare_digest(one, mine) for one in said for mine in expected])
    refuse_unless_fresh(arrived, timestamp)
    return Proof()


_MOST_NAME = 200


def standard_signature(secret: str, signed: bytes) -> bytes:
    """The signature of Standard Webhooks, in Base64.

    Raises:
        ValueError: the secret is none.
    """
    return base64.b64encode(hmac.digest(standard_key(secret), signed, hashlib.sha256))


def standard_key(secret: str) -> bytes:
    """The key that a secret of Standard Webhooks stands for.

    Raises:
        ValueError: it is no Base64, or too short to be one.
    """
    try:
        encoded = secret.removeprefix(_SECRET_PREFIX).rstrip("=")
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not Base64") from error
    if len(key) < _LEAST_KEY:
        raise ValueError("too short")
    return key


_LEAST_KEY = 16


def sendgrid(arrived: Arrived, known: Known) -> Proof:
    """SendGrid signs a time and the body with a key of its own, whose public half is saved here.

    Raises:
        Refused: the signature does not fit, or is old.
    """
    timestamp = arrived.headers.get(_TIMESTAMP_OF_SENDGRID, "")
    given = arrived.headers.get(_SIGNATURE_OF_SENDGRID, "")
    if not (timestamp and given):
        raise Refused("unsigned")
    try:
        signature = base64.b64decode(given.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Refused("signature") from error
    signed = timestamp.encode("utf-8", "replace") + arrived.body
    _refuse_unless_any([_is_signed(one, signature, signed) for one in known.secrets])
    refuse_unless_fresh(arrived, timestamp)
    return Proof()


def _is_signed(key: str, signature: bytes, signed: bytes) -> bool:
    try:
        sendgrid_key(key).verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=100)
def sendgrid_key(text: str) -> ec.EllipticCurvePublicKey:
    """The verification key as SendGrid shows it: DER in Base64.

    Raises:
        ValueError: it is no public key of an elliptic curve.
    """
    try:
        key = load_der_public_key(base64.b64decode("".join(text.split()), validate=True))
    except (ValueError, UnicodeEncodeError) as error:
        raise ValueError("not a public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("not a key of an elliptic curve")
    return key


def _word(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _refuse_unless_any(fit: list[bool]) -> None:
    if not any(fit):
        raise Refused("signature")
