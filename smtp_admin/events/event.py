"""One thing that happened to a mail after it was sent, the same whoever tells of it."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal

#: ``deferred``: the provider goes on trying. ``sample``: nothing happened, somebody tries the way.
Kind = Literal[
    "delivered", "deferred", "bounced", "complained", "opened", "clicked", "unsubscribed", "sample"
]
#: ``hard``: the address takes no mail. ``soft``: it may take another. ``policy``: sender, text or
#: a list of the provider's is the reason, never the address. Empty: not known.
Bounce = Literal["", "hard", "soft", "policy"]


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, and to which mail.

    Attributes:
        identity: the same each time that this event is told, and for no other of its source.
        recipient: empty where the source does not say.
        at: when it happened (aware), as the source says.
        message_id: our own Message-ID, without angle brackets; ``provider_id`` is what the
            provider called the mail when it took it. Either may be empty.
        bounce: of what bounced.
        code: the enhanced status or the reply code of the recipient's server.
        words: what was said about it, for people.
    """

    kind: Kind
    identity: str
    recipient: str = ""
    at: datetime | None = None
    message_id: str = ""
    provider_id: str = ""
    bounce: Bounce = ""
    code: str = ""
    words: str = ""


def identity_of(*parts: object) -> str:
    """One short text for what tells an event from all others."""
    return sha256("\0".join(str(one) for one in parts).encode("utf-8", "replace")).hexdigest()
