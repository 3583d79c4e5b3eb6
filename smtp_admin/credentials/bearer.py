"""Log in with an access token: XOAUTH2 (Google's and Microsoft's) and OAUTHBEARER (RFC 7628)."""

import hashlib
import json
import secrets
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from smtp_admin.credentials.sign_ins import MECHANISMS
from smtp_admin.smtp.login import Exchange

_OF_THIS_PROCESS = secrets.token_bytes(32)
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Bearer:
    """A mailbox and a token for it; never shown.

    Attributes:
        username: the mailbox that sends; of a shared one its own address, whoever signed in.
        mechanism: the only one to use; empty for the first that the server offers.
    """

    username: str
    token: str = field(repr=False)
    mechanism: str = ""

    @property
    def identity(self) -> Hashable:
        """The same for the same mailbox with the same token, in this process only."""
        digest = hashlib.blake2b(self.token.encode(), key=_OF_THIS_PROCESS).digest()
        return ("bearer", self.username, digest)

    @property
    def secrets(self) -> Sequence[str]:
        """The token."""
        return (self.token,)

    def mechanisms(self, *, encrypted: bool) -> Sequence[str]:
        """Those that take a token, the best first."""
        del encrypted  # none of them hides it
        return (self.mechanism,) if self.mechanism else MECHANISMS

    def exchange(self, mechanism: str) -> Exchange:
        """A new conversation by *mechanism*."""
        if mechanism == "OAUTHBEARER":
            name = self.username.replace("=", "=3D").replace(",", "=2C")
            said = f"n,a={name},\1auth=Bearer {self.token}\1\1"
            return TokenExchange(said.encode(), b"\1")
        return TokenExchange(f"user={self.username}\1auth=Bearer {self.token}\1\1".encode(), b"")


class TokenExchange:
    """The server speaks first, and what it says after the token is why it refuses it.

    The token never goes along with AUTH itself: it is longer than a command line may be, and
    servers answer ``500 Line too long`` without saying what about.
    """

    initial = None

    def __init__(self, said: bytes, ending: bytes) -> None:
        self._answers = [said, ending]
        #: What the server said of a token that it refuses.
        self.refusal = ""

    def answer(self, challenge: bytes) -> bytes | None:
        """The token first; then what ends the login, so that the server gives its verdict."""
        if not self._answers:
            return None
        if len(self._answers) == 1:
            self.refusal = _words_of(challenge)
        return self._answers.pop(0)


def _words_of(challenge: bytes) -> str:
    """Status and scope, as the server's JSON names them; empty where it says something else."""
    try:
        said = json.loads(challenge)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(said, dict):
        return ""
    told = [
        f"{name} {said[name]}" for name in ("status", "scope") if isinstance(said.get(name), str)
    ]
    return ", ".join(told)[:_SHOWN]
