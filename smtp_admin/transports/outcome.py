"""What became of a mail that was tried, and what that says about its sender."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from smtp_admin.replies.meaning import NO_FACTS, SenderHealth, Verdict
from smtp_admin.smtp.reply import Reply

__all__ = ["Outcome", "SenderHealth", "Verdict"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on one message, the state of the sender, and why.

    Attributes:
        bad_address: the recipient's address itself is wrong (RFC 3463 class 5.1.x).
        opening: it failed before there was any mail to speak of.
        cause: the key of what is behind it; empty where that is not known.
        pause: how many seconds the sender is to wait where it failed, and else the mail; ``None``
            for what is usual.
        recognised: off where a reply was treated by its class alone.
        worn: only this connection is at its end.
        facts: what the reply names, for texts.
        provider_id: what the provider calls the mail that it accepted; empty where it does not say.
    """

    verdict: Verdict
    health: SenderHealth = SenderHealth.FINE
    reason: str = ""
    reply: Reply | None = None
    code: str = ""
    bad_address: bool = False
    opening: bool = False
    cause: str = ""
    pause: float | None = None
    recognised: bool = True
    worn: bool = False
    facts: Mapping[str, str] = field(default_factory=lambda: NO_FACTS)
    provider_id: str = ""

    @property
    def ends_stream(self) -> bool:
        """Whether no mail after this one may be touched: the sender failed, or nobody knows."""
        return self.verdict in {Verdict.UNCERTAIN, Verdict.RELEASED}
