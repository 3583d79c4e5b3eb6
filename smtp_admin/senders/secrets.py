"""Secrets of a sender, sealed by name: what each is bound to, and opening and sealing them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from smtp_admin.encryption import Keyring
from smtp_admin.senders.values import Destination
from smtp_admin.transports.fields import Field

#: What the first version bound a password to, in its order.
_FIRST = ("driver", "host", "port", "security", "verify_tls", "username")


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A sealed secret of a revision, and when somebody entered it."""

    sealed: str = field(repr=False)
    set_at: datetime | None = None

    def as_json(self) -> dict[str, str | None]:
        """As the revision's document has it."""
        return {"sealed": self.sealed, "set_at": self.set_at.isoformat() if self.set_at else None}


def read_secrets(document: Mapping[str, Mapping[str, str | None]]) -> dict[str, StoredSecret]:
    """The secrets of a revision's document."""
    found = {}
    for name, one in document.items():
        set_at = one.get("set_at")
        moment = datetime.fromisoformat(set_at).astimezone(UTC) if set_at else None
        found[name] = StoredSecret(str(one["sealed"]), moment)
    return found


@dataclass(frozen=True, slots=True)
class Bound:
    """Whose secrets are meant, and for which settings.

    Attributes:
        raw: the driver and its fields as the database has them: what the first version was bound
            to must be read as it was written.
    """

    partner_id: str
    sender_id: int
    destination: Destination
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def open(self, keyring: Keyring, of: Field, sealed: str) -> str:
        """The secret *sealed* of the field *of*.

        Raises:
            SecretError: its key is missing, or it was sealed for something else.
        """
        return keyring.open(sealed, self._binding(of), self._first_binding(of))

    def seal(self, keyring: Keyring, of: Field, secret: str) -> str:
        """*secret* sealed for the field *of*.

        Raises:
            KeyMissing: there is no key at all.
        """
        return keyring.seal(secret, self._binding(of))

    def _first_binding(self, of: Field) -> tuple[object, ...]:
        """In the first version there were passwords only, and nothing else told where they go.

        What could be added to such a row since, an authority above all, must not go with it.
        """
        if of.name != "password" or {name for name, _ in self.destination.binding()} - {*_FIRST}:
            return ()
        return self.partner_id, [self.raw.get(name) for name in _FIRST]

    def _binding(self, of: Field) -> list[object]:
        # Another driver's secret of the same name is another secret, wherever it may go.
        to = self.destination.binding() if of.bound == "destination" else self.destination.driver
        return [self.partner_id, self.sender_id, of.name, to]
