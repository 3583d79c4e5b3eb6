"""Tokens sealed for their sender and for what they were issued for."""

from dataclasses import dataclass
from typing import Literal, get_args

from smtp_admin.encryption import Keyring

Kind = Literal["access", "refresh"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class SealedFor:
    """Whose tokens are meant.

    The purpose names token server, client, scope and mailbox: a row whose settings were changed,
    or that was copied to another sender, does not open.
    """

    keyring: Keyring
    partner_id: str
    sender_id: int

    def seal(self, kind: Kind, purpose: str, token: str) -> str:
        """*token* sealed; empty for none.

        Raises:
            KeyMissing: there is no key at all.
        """
        return self.keyring.seal(token, self._bound_to(kind, purpose)) if token else ""

    def open(self, kind: Kind, purpose: str, sealed: str) -> str:
        """The token in *sealed*; empty for none.

        Raises:
            SecretError: its key is missing, or it was sealed for something else.
        """
        return self.keyring.open(sealed, self._bound_to(kind, purpose)) if sealed else ""

    def _bound_to(self, kind: Kind, purpose: str) -> list[object]:
        return binding_of(kind, self.partner_id, self.sender_id, purpose)


def binding_of(kind: Kind, partner_id: str, sender_id: int, purpose: str) -> list[object]:
    """What a token is sealed for."""
    return ["oauth token", partner_id, sender_id, kind, purpose]
