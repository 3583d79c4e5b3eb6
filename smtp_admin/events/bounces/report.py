"""What a mail that came back says, whoever wrote it and in whatever form."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from smtp_admin.events.event import Bounce

#: ``delivered`` and ``deferred`` are no bounces.
Told = Literal["bounced", "deferred", "delivered"]
#: How it was understood: a delivery status (RFC 3464), plain words, or another program's opinion.
By = Literal["status", "words", "second opinion"]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a mail for one recipient.

    Attributes:
        recipients: how the recipient may be called: as we wrote it, and where it was sent on to.
            Empty where the mail does not say whom it is about.
        code: as it was said; empty where nothing was.
    """

    kind: Told
    recipients: tuple[str, ...] = ()
    bounce: Bounce = ""
    code: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole mail.

    Attributes:
        reports: empty where it is no report of a delivery; ``why`` says what it is then.
        message_ids: of the mail that came back, without brackets, as it was returned.
        addresses: where the report itself was sent to, in which a signed token may be.
        own_id: the Message-ID of the report itself.
    """

    reports: tuple[Report, ...] = ()
    by: By = "status"
    why: str = ""
    message_ids: tuple[str, ...] = ()
    addresses: tuple[str, ...] = field(default=(), repr=False)
    own_id: str = ""
    at: datetime | None = None
