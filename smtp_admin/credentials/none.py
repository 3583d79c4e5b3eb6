"""No login: for servers that know us by our address, and for drivers that need none."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from smtp_admin.smtp.login import Exchange


@dataclass(frozen=True, slots=True)
class NoLogin:
    """Nobody logs in."""

    @property
    def username(self) -> str:
        """Nobody's."""
        return ""

    @property
    def identity(self) -> Hashable:
        """The same for all."""
        return ("none",)

    @property
    def secrets(self) -> Sequence[str]:
        """There are none."""
        return ()

    def mechanisms(self, *, encrypted: bool) -> Sequence[str]:
        """There are none."""
        return ()

    def exchange(self, mechanism: str) -> Exchange:
        """Never asked for, because there is no mechanism."""
        raise LookupError(f"Nobody logs in by {mechanism}.")
