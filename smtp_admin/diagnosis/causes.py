"""What a failure can come from: one row of the table for each cause, and when it applies.

The rows stand in :mod:`.provider_replies`, :mod:`.server_replies` and :mod:`.situations`, in the
order in which they are looked at. Whoever knows another reply of another server adds a row.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """One likely cause: what it is, and what to do about it."""

    what: str
    do: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a failure; what is not known is empty or ``None``.

    Attributes:
        code: of the connection test, or of a delivery.
        said: the server's reply in one line: code, enhanced code, words.
        message: our own words, which say more than the code about certificates and encryption.
        username: ``""`` means that no login was used, ``None`` that nobody knows.
    """

    code: str
    step: str = ""
    said: str = ""
    message: str = ""
    provider: str = ""
    host: str = ""
    port: int | None = None
    security: str = ""
    username: str | None = None
    from_email: str = ""

    def words(self) -> dict[str, str]:
        """What the placeholders of the texts stand for. The login is none: it may be a token."""
        return {
            "sender": self.from_email or "the from address",
            "domain": self.from_email.rpartition("@")[2] or "your domain",
            "port": f"port {self.port}" if self.port else "this port",
            "host": self.host or "the server",
        }


@dataclass(frozen=True, slots=True)
class Row:
    """A cause and its conditions: all that are given must hold.

    Attributes:
        key: its name, for tests and the documentation.
        what: the cause, in one or two sentences, with the placeholders of :meth:`Facts.words`.
        do: what to do about it.
        codes: words; so are ``steps``, ``providers``, ``ports`` and ``security``, where ``-``
            stands for what is not known.
        says: a pattern in the server's reply; so are ``message``, ``hosts`` and ``users`` in
            those.
        quiet: only where the server said nothing.
        sure: it leaves no doubt, so nothing after it is looked at.
    """

    key: str
    what: str
    do: str
    codes: str = ""
    steps: str = ""
    providers: str = ""
    ports: str = ""
    security: str = ""
    says: str = ""
    message: str = ""
    hosts: str = ""
    users: str = ""
    quiet: bool = False
    sure: bool = False

    def fits(self, facts: Facts) -> bool:
        """Whether it is a likely cause of what is known."""
        return (
            _among(self.codes, facts.code)
            and _among(self.steps, facts.step)
            and _among(self.providers, facts.provider)
            and _among(self.ports, str(facts.port or ""))
            and _among(self.security, facts.security)
            and _in(self.says, facts.said)
            and _in(self.message, facts.message)
            and _in(self.hosts, facts.host)
            and _in(self.users, facts.username)
            and not (self.quiet and facts.said)
        )

    def cause(self, facts: Facts) -> Cause:
        """It in words, for a person who sees their own settings."""
        words = facts.words()
        return Cause(self.what.format(**words), self.do.format(**words), self.key)


def _among(words: str, value: str) -> bool:
    return not words or (value or "-") in words.split()


def _in(pattern: str, text: str | None) -> bool:
    return not pattern or (text is not None and bool(re.search(pattern, text, re.IGNORECASE)))
