"""A mail that is ready to be put into the outbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smtp_admin.delivery.models import NORMAL


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """A mail as it goes into the outbox.

    Attributes:
        content: the finished bytes (CRLF); without a From header if ``from_email`` is ``None``.
        recipients: envelope recipients, cleaned; each gets a delivery of its own.
        envelope_from: the envelope sender; ``None`` for the From address.
        sender_head: how many bytes at the front are the sender's headers.
        archive_to: gets a blind copy, unless the mail is sensitive.
        send_at: not before this time (aware); ``None`` for at once.
        expires_at: not after this time (aware).
        notice: its recipients may unsubscribe from such mail.
        on_uncertain: ``resend`` or ``hold``.
        is_test: somebody wants to see it first; suppressions and limits leave it alone.
        intended: whom it was for, where the sandbox sends it to one address instead.
        held: those of the recipients whose mail the sandbox holds.
        batch_id: of the batch that it is of, with a hash of its one recipient.
        public_id: where it had to be known before the bytes; else it gets one.
    """

    partner_id: str
    sender_id: int
    type_name: str
    subject: str
    content: bytes
    size: int
    message_id: str
    from_email: str | None
    recipients: Sequence[str]
    priority: int = NORMAL
    sensitive: bool = False
    notice: bool = False
    on_uncertain: str = "resend"
    idempotency_key: str | None = None
    send_at: datetime | None = None
    expires_at: datetime | None = None
    envelope_from: str | None = None
    sender_head: int | None = None
    archive_to: str = ""
    is_test: bool = False
    intended: Sequence[str] = ()
    held: Sequence[str] = ()
    batch_id: int | None = None
    batch_recipient: str | None = None
    public_id: str = ""
