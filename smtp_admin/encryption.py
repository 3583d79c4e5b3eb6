"""Seal and open secrets, bound to whose they are and to the destination they were saved for.

AES-256-GCM with that binding as associated data (NIST SP 800-38D): a ciphertext copied to another
row, or a row whose host was changed, does not open. A plain encrypted token, such as Fernet's,
would still open anywhere.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from smtp_admin.errors import KeyMissing, SecretUnreadable
from smtp_admin.translation import gettext

#: What is sealed today; the first version was bound to less, and still opens.
_FORMAT, _FIRST_FORMAT = "v2", "v1"
_KEY_BYTES = 32
_NONCE_BYTES = 12

_GENERATE = "Run `flask smtp-admin keys generate` and put the key into SMTP_ADMIN_SECRET_KEYS."


def generate_key() -> str:
    """A new random key of 256 bits as URL-safe text, for ``SMTP_ADMIN_SECRET_KEYS``."""
    return base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)).decode("ascii")


def key_bytes(text: str) -> bytes:
    """The 32 bytes of a key.

    Raises:
        ValueError: *text* is not the URL-safe base64 of 32 bytes.
    """
    try:
        raw = base64.b64decode(text.strip().encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not URL-safe base64") from error
    if len(raw) != _KEY_BYTES:
        raise ValueError(f"{len(raw)} bytes long instead of {_KEY_BYTES}")
    return raw


class Keyring:
    """The keys of ``SMTP_ADMIN_SECRET_KEYS``: the first seals, all of them open.

    Args:
        keys: keys as text, newest first.

    Raises:
        ValueError: a key is malformed.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        raws = self._raws = [key_bytes(key) for key in keys]
        self._ciphers = {_fingerprint(raw): AESGCM(raw) for raw in raws}
        self._first = _fingerprint(raws[0]) if raws else None

    def __bool__(self) -> bool:
        return self._first is not None

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(self._ciphers) or 'empty'}>"

    def require(self) -> None:
        """Return if there is a key to seal with.

        Raises:
            KeyMissing: there is none.
        """
        if self._first is None:
            raise KeyMissing("No key for encrypting passwords is configured.", hint=_GENERATE)

    def derived(self, purpose: str) -> list[bytes]:
        """A secret for *purpose* from each key, the first key's first; they tell nothing of it.

        Without any key there is one all the same, which is no secret then.
        """
        what = f"smtp_admin {purpose}".encode()
        return [hmac.digest(raw, what, hashlib.sha256) for raw in self._raws or [b""]]

    def seal(self, secret: str, binding: Sequence[object]) -> str:
        """*secret* sealed for *binding*, as text for a database column.

        Args:
            binding: what JSON can write; the same must be given to open it.

        Raises:
            KeyMissing: there is no key at all.
        """
        self.require()
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[str(self._first)].encrypt(
            nonce, secret.encode("utf-8"), _associated(_FORMAT, binding)
        )
        body = base64.urlsafe_b64encode(nonce + sealed).decode("ascii")
        return f"{_FORMAT}.{self._first}.{body}"

    def open(
        self, token: str, binding: Sequence[object], first_binding: Sequence[object] = ()
    ) -> str:
        """The secret that *token* holds, if it was sealed for this binding.

        Args:
            first_binding: the same in the words of the first version.

        Raises:
            KeyMissing: its key is not in the ring.
            SecretUnreadable: it is damaged, or was sealed for something else.
        """
        kind, _, rest = token.partition(".")
        fingerprint, _, body = rest.partition(".")
        bound = {_FORMAT: binding, _FIRST_FORMAT: first_binding}.get(kind)
        if bound is None:
            raise SecretUnreadable(
                gettext("A stored password has a format that this version cannot read.")
            )
        cipher = self._ciphers.get(fingerprint)
        if cipher is None:
            raise KeyMissing(
                gettext(
                    "The key %(fingerprint)s that a stored password was encrypted with is not in "
                    "SMTP_ADMIN_SECRET_KEYS.",
                    fingerprint=fingerprint,
                ),
                hint=gettext(
                    "Add the old key at the end of SMTP_ADMIN_SECRET_KEYS, or enter the password "
                    "again."
                ),
            )
        try:
            raw = base64.urlsafe_b64decode(body.encode("ascii"))
            opened = cipher.decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _associated(kind, bound)
            )
        except (InvalidTag, ValueError) as error:
            raise SecretUnreadable(
                gettext("A stored password does not match these settings, or is damaged."),
                hint=gettext("Enter the password again."),
            ) from error
        return opened.decode("utf-8")

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The names of the keys, as sealed texts have them, the first key's first."""
        return tuple(self._ciphers)

    def is_current(self, token: str) -> bool:
        """Whether *token* was sealed with the first key, and in today's format."""
        return token.split(".")[:2] == [_FORMAT, self._first]


def fingerprint_in(token: str) -> str:
    """The name of the key that a sealed text needs; empty where it names none."""
    parts = token.split(".")
    return parts[1] if len(parts) == 3 else ""  # noqa: PLR2004 - format, key, body


def _fingerprint(raw: bytes) -> str:
    return hashlib.sha256(b"smtp_admin key " + raw).hexdigest()[:8]


def _associated(version: str, binding: Sequence[object]) -> bytes:
    return json.dumps(["smtp_admin secret", version, *binding]).encode("utf-8")
