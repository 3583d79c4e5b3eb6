"""What a refusal can mean, and what else must be known to tell."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Literal, get_args

#: What was asked when the server refused; ``dot`` is the reply to the whole mail, and ``api`` an
#: answer over HTTP, whose numbers are others.
Step = Literal["greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot", "rset", "api"]
STEPS: tuple[Step, ...] = get_args(Step)
#: Before there is any mail to speak of.
OPENING: tuple[Step, ...] = ("greeting", "ehlo", "starttls", "auth")
#: With a mail under way.
SENDING: tuple[Step, ...] = ("mail", "rcpt", "data", "dot")

TestSays = Literal["failed", "warning"]
#: Whether a login was given: ``token`` if it is one by OAuth2. Where none was: ``left_out`` if the
#: server offers one, else ``none``.
Login = Literal["", "given", "token", "left_out", "none"]
NO_FACTS: Mapping[str, str] = MappingProxyType({})


class Verdict(Enum):
    """What becomes of the message."""

    ACCEPTED = "accepted"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"
    UNCERTAIN = "uncertain"
    RELEASED = "released"


class SenderHealth(Enum):
    """What becomes of the sender."""

    FINE = "fine"
    #: Unreachable, overloaded or strange: pause and probe again soon.
    DOWN = "down"
    #: Its settings are wrong: nothing but a change of them will help; probe seldom.
    MISCONFIGURED = "misconfigured"
    #: It sends too fast for its provider: pause, then go on.
    LIMITED = "limited"


@dataclass(frozen=True, slots=True)
class Context:
    """What is known beside the reply; what is not known is empty.

    Attributes:
        recipient: of the mail that was under way, and ``sender`` its envelope sender.
        host: that was dialled.
    """

    recipient: str = ""
    sender: str = ""
    host: str = ""
    login: Login = ""


NOTHING_KNOWN = Context()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a refusal means.

    Attributes:
        code: one of the connection test's, or ``recipient_refused`` or ``message_refused``.
        test: what the connection test says of it.
        reason: one sentence for a person.
        pause: how many seconds to wait, if this reply asks for its own time: the sender where it
            failed, the mail where only that is to wait.
        cause: the key of what is behind it; empty where that is not known.
        row: the name of the row that said so; empty where the reply's class decided.
        bad_address: the recipient's address itself is wrong (RFC 3463 class 5.1.x).
        worn: only this connection is at its end; another may well go on.
        facts: what the words name, for texts: a limit, a domain.
    """

    code: str
    verdict: Verdict
    health: SenderHealth
    test: TestSays
    reason: str
    pause: float | None = None
    cause: str = ""
    row: str = ""
    bad_address: bool = False
    worn: bool = False
    facts: Mapping[str, str] = field(default_factory=lambda: NO_FACTS)

    @property
    def recognised(self) -> bool:
        """Whether a row of the table knows this reply."""
        return bool(self.row)
