"""The envelope sender of each mail, with a signed tag where its sender wants that.

A mail that comes back to ``bounce+TAG@domain`` names the one delivery that it is about, even where
nothing else of it is left, and nobody can make a tag up. Servers on the way may lower its letters
(RFC 5321 lets them not, but they do), so a tag has small letters and digits only.
"""

import hashlib
import hmac
import re
from base64 import b32decode, b32encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from smtp_admin.delivery.claim import Batch, Claimed
from smtp_admin.encryption import Keyring
from smtp_admin.smtp.address import domain_of, is_within
from smtp_admin.transports.base import Outgoing

_PURPOSE = "bounce address"
#: 80 bits, as many as sixteen letters hold.
_SIGNATURE_BYTES = 10
_TAGGED = re.compile(r"[^@+]{1,64}\+([a-z2-7]{16})([a-z2-7]{1,13})@", re.IGNORECASE)
_WHOLE = 8  # letters that Base32 decodes at a time


class ReturnPaths:
    """Makes and reads tags with the keys of one installation.

    Without a key there are no tags: what anybody can sign proves nothing.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keys: Sequence[bytes] = keyring.derived(_PURPOSE) if keyring else ()

    def of(self, values: Mapping[str, Any], mail: Claimed) -> str:
        """The envelope sender of *mail*, which a sender with *values* sends."""
        address = str(values.get("bounce_address", ""))
        plain = mail.mail_from
        if not address or not self._keys or not plain:
            return plain
        if mail.envelope_from not in (None, values["envelope_from"]):
            return plain  # the host's own
        if not is_within(domain_of(address), domain_of(str(values["from_email"]))):
            return plain
        mailbox, _, domain = address.rpartition("@")
        return f"{mailbox}+{self.tag(mail.id)}@{domain}"

    def outgoing(self, batch: Batch) -> list[Outgoing]:
        """The mails of a batch, for its transport."""
        values = batch.sender.values
        return [
            Outgoing(one.id, self.of(values, one), one.recipient, one.content)
            for one in batch.deliveries
        ]

    def tag(self, delivery_id: int) -> str:
        """The tag of a delivery, signed with the first key."""
        return _tag(self._keys[0], delivery_id)

    def deliveries_in(self, addresses: Iterable[str]) -> list[int]:
        """The deliveries whose tags are in *addresses*, each signed with a key of this ring."""
        found: list[int] = []
        for address in addresses:
            tagged = _TAGGED.match(address)
            if tagged is None:
                continue
            number = _number(tagged[2].lower())
            given = (tagged[1] + tagged[2]).lower()
            if number is not None and any(
                hmac.compare_digest(_tag(key, number), given) for key in self._keys
            ):
                found.append(number)
        return list(dict.fromkeys(found))


def _tag(key: bytes, delivery_id: int) -> str:
    number = delivery_id.to_bytes(max(1, (delivery_id.bit_length() + 7) // 8), "big")
    signature = hmac.digest(key, number, hashlib.sha256)[:_SIGNATURE_BYTES]
    return (b32encode(signature) + b32encode(number)).decode("ascii").rstrip("=").lower()


def _number(letters: str) -> int | None:
    padded = letters.upper() + "=" * (-len(letters) % _WHOLE)
    try:
        return int.from_bytes(b32decode(padded), "big")
    except ValueError:
        return None
