"""A mail server that is never killed, and whose records say what really arrived."""

import random
import re
import time
from collections import Counter as Tally
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from tests.servers.scripted import Received, ScriptedServer, Session

__all__ = ["Accepted", "Sink"]

_MESSAGE_ID = re.compile(rb"^Message-ID:\s*(\S+)\r\n", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Accepted:
    """One mail that the sink took.

    Attributes:
        connection: the number of the connection that brought it.
    """

    message_id: str
    recipient: str
    digest: str
    connection: int


class Sink(ScriptedServer):
    """Takes every mail, and holds its answer back for a while.

    A mail counts from the moment when the sink decides to say 250, whether or not somebody is
    left to hear it: what the worker does not learn is what these tests are about.

    Args:
        hold: between how many seconds each final dot waits for its answer.
    """

    def __init__(self, hold: tuple[float, float] = (0.0, 0.0), **options: Any) -> None:
        super().__init__(**options)
        self.accepted: list[Accepted] = []
        #: The most connections that were open at a time, and that had a mail under way.
        self.most_open = 0
        self.most_sending = 0
        self._hold = hold
        self._sending: set[int] = set()
        self.behave("connect", self._count)
        if any(hold):
            self.behave("dot", self._hold_back)

    @property
    def holding(self) -> int:
        """How many connections wait for the answer to their final dot just now."""
        return len(self._sending)

    @property
    def copies(self) -> Tally[tuple[str, str]]:
        """How often each mail came, by Message-ID and recipient."""
        return Tally((one.message_id, one.recipient) for one in list(self.accepted))

    @property
    def repeats(self) -> int:
        """How many mails came that had been there before."""
        copies = self.copies
        return sum(copies.values()) - len(copies)

    def deliver(self, received: Received) -> None:
        """Write it down, before the answer leaves."""
        found = _MESSAGE_ID.search(received.data)
        self.accepted.append(
            Accepted(
                message_id=found[1].decode("ascii") if found else "",
                recipient=received.recipients[0],
                digest=sha256(received.data).hexdigest(),
                connection=received.session.number,
            )
        )
        super().deliver(received)

    def _count(self, server: ScriptedServer, session: Session, line: str) -> None:
        # The number of open connections only grows here. A goodbye ends one: whoever said it
        # may be gone before the server is.
        open_ones = [
            one for one in list(self.sessions) if not one.finished.is_set() and not _left(one)
        ]
        self.most_open = max(self.most_open, len(open_ones))

    def _hold_back(self, server: ScriptedServer, session: Session, line: str) -> None:
        self._sending.add(session.number)
        self.most_sending = max(self.most_sending, len(self._sending))
        time.sleep(random.uniform(*self._hold))  # noqa: S311 - no secret depends on it
        self._sending.discard(session.number)


def _left(session: Session) -> bool:
    return session.commands[-1:] == ["QUIT"]
