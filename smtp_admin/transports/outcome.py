"""What became of a mail that was tried, and what that says about its sender."""

from dataclasses import dataclass
from enum import Enum

from smtp_admin.smtp.reply import Reply


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
class Outcome:
    """The verdict on one message, the state of the sender, and why.

    Attributes:
        bad_address: the recipient's address itself is wrong (RFC 3463 class 5.1.x).
    """

    verdict: Verdict
    health: SenderHealth = SenderHealth.FINE
    reason: str = ""
    reply: Reply | None = None
    code: str = ""
    bad_address: bool = False
    #: Whether it failed before there was any mail to speak of.
    opening: bool = False

    @property
    def ends_stream(self) -> bool:
        """Whether no mail after this one may be touched: the sender failed, or nobody knows."""
        return self.verdict in {Verdict.UNCERTAIN, Verdict.RELEASED}
