"""Whether a DKIM key that stands in DNS can be used (RFC 6376 section 3.6.1, RFC 8463)."""

import base64
import binascii

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from smtp_admin.translation import gettext

_SHORTEST_RSA = 1024
_ED25519_BYTES = 32
_DAMAGED = gettext("The key is damaged. Perhaps it was not copied completely.")


def key_problem(text: str) -> str:
    """What is wrong with the DKIM record *text*, in a sentence, or ``""``."""
    tags = {
        name.strip(): "".join(value.split())
        for name, equals, value in (part.partition("=") for part in text.split(";"))
        if equals
    }
    if tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags:
        return gettext("This is not a DKIM record.")
    if not tags["p"]:
        return gettext("The key was withdrawn.")
    if "y" in tags.get("t", "").split(":"):
        return gettext("The key is marked as a test, so receivers may ignore it.")
    try:
        raw = base64.b64decode(tags["p"], validate=True)
        if tags.get("k") == "ed25519":
            return "" if len(raw) == _ED25519_BYTES else _DAMAGED
        key = load_der_public_key(raw)
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        return _DAMAGED
    if not isinstance(key, RSAPublicKey):
        return gettext("The key type does not match the record.")
    if key.key_size < _SHORTEST_RSA:
        return gettext(
            "The key has %(key_size)s bits; receivers ignore keys under %(least)s.",
            key_size=key.key_size,
            least=_SHORTEST_RSA,
        )
    return ""
