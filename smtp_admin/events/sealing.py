"""The secrets of webhooks, sealed for their sender and for what each is."""

from dataclasses import dataclass
from typing import Literal

from smtp_admin.encryption import Keyring
from smtp_admin.events.models import Webhook
from smtp_admin.senders.models import Sender

#: What a webhook keeps sealed: names of columns.
SealedName = Literal["key", "secret", "former_secret"]
NAMES: tuple[SealedName, ...] = ("key", "secret", "former_secret")
#: A former secret is the same secret.
_PURPOSE = {"key": "address", "secret": "signing", "former_secret": "signing"}


@dataclass(frozen=True, slots=True)
class SealedFor:
    """Whose webhook is meant, and of which provider."""

    keyring: Keyring
    partner_id: str
    sender_id: int
    source: str

    @classmethod
    def of(cls, keyring: Keyring, sender: Sender, webhook: Webhook) -> "SealedFor":
        """For this webhook."""
        return cls(keyring, sender.partner_id, sender.id, webhook.source)

    def seal(self, name: SealedName, text: str) -> str:
        """*text* sealed; empty for none.

        Raises:
            KeyMissing: there is no key at all.
        """
        return self.keyring.seal(text, self._binding(name)) if text else ""

    def open(self, name: SealedName, sealed: str) -> str:
        """What is in *sealed*; empty for none.

        Raises:
            SecretError: its key is missing, or it was sealed for something else.
        """
        return self.keyring.open(sealed, self._binding(name)) if sealed else ""

    def _binding(self, name: SealedName) -> list[object]:
        return ["webhook", self.partner_id, self.sender_id, self.source, _PURPOSE[name]]
