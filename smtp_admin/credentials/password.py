"""Log in with a user name and a password: PLAIN, LOGIN and CRAM-MD5."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from smtp_admin.smtp.login import Exchange

#: Those that take a password, the best first.
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")
#: Where anybody can read along, the one that does not show the password comes first.
_PLAIN_TEXT = ("CRAM-MD5", "PLAIN", "LOGIN")
# Without this key nobody can try passwords against a digest that got into a log.
_OF_THIS_PROCESS = secrets.token_bytes(32)


@dataclass(frozen=True, slots=True)
class Password:
    """A user name and its password; never shown."""

    username: str
    secret: str = field(repr=False)

    @property
    def identity(self) -> Hashable:
        """The same for the same login with the same password, in this process only."""
        digest = hashlib.blake2b(self.secret.encode("utf-8"), key=_OF_THIS_PROCESS).digest()
        return ("password", self.username, digest)

    @property
    def secrets(self) -> Sequence[str]:
        """The password."""
        return (self.secret,)

    def mechanisms(self, *, encrypted: bool) -> Sequence[str]:
        """Those that take a password, the best first."""
        return MECHANISMS if encrypted else _PLAIN_TEXT

    def exchange(self, mechanism: str) -> Exchange:
        """A new conversation by *mechanism*."""
        return _EXCHANGES[mechanism](self)


@dataclass(slots=True)
class _Plain:
    """PLAIN (RFC 4616): both at once, as UTF-8."""

    who: Password

    @property
    def initial(self) -> bytes:
        return f"\0{self.who.username}\0{self.who.secret}".encode()

    def answer(self, challenge: bytes) -> None:
        return None


class _Login:
    """LOGIN, which was never standardized: one after the other."""

    initial = None

    def __init__(self, who: Password) -> None:
        self._answers: Iterator[str] = iter((who.username, who.secret))

    def answer(self, challenge: bytes) -> bytes | None:
        said = next(self._answers, None)
        return None if said is None else said.encode("utf-8")


class _CramMD5:
    """CRAM-MD5 (RFC 2195): the password itself is not sent."""

    initial = None

    def __init__(self, who: Password) -> None:
        self._who: Password | None = who

    def answer(self, challenge: bytes) -> bytes | None:
        who, self._who = self._who, None
        if who is None:
            return None
        digest = hmac.new(who.secret.encode("utf-8"), challenge, hashlib.md5).hexdigest()
        return f"{who.username} {digest}".encode()


_EXCHANGES: Mapping[str, Callable[[Password], Exchange]] = {
    "PLAIN": _Plain,
    "LOGIN": _Login,
    "CRAM-MD5": _CramMD5,
}
