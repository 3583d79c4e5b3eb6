"""Secrets as the first version of the format sealed them: bound to a partner and six values."""

import base64
import hashlib
import json
import os
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from smtp_admin.encryption import key_bytes

__all__ = ["first_format"]


def first_format(key: str, secret: str, binding: Sequence[object]) -> str:
    """*secret* sealed with *key* for a partner's id and a list of six values."""
    raw, nonce = key_bytes(key), os.urandom(12)
    bound = json.dumps(["smtp_admin secret", "v1", *binding]).encode()
    body = base64.urlsafe_b64encode(nonce + AESGCM(raw).encrypt(nonce, secret.encode(), bound))
    fingerprint = hashlib.sha256(b"smtp_admin key " + raw).hexdigest()[:8]
    return f"v1.{fingerprint}.{body.decode()}"
