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
        return self.keyring.seal(text, self._bound_to(name)) if text else ""

    def open(self, name: SealedName, sealed: str) -> str:
        """What is in *sealed*; empty for none.

        Raises:
            SecretError: its key is missing, or it was sealed for something else.
        """
        return self.keyring.open(sealed, self._bound_to(name)) if sealed else ""

    def _bound_to(self, name: SealedName) -> list[object]:
        return binding_of(name, self.partner_id, self.sender_id, self.source)


def binding_of(name: SealedName, partner_id: str, sender_id: int, source: str) -> list[object]:
    """What a secret of a webhook is sealed for."""
    return ["webhook", partner_id, sender_id, source, _PURPOSE[name]]
