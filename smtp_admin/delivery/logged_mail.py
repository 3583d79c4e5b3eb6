"""What the log says of each mail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.delivery.models import ERASED, Delivery, Message
from smtp_admin.delivery.states import State
from smtp_admin.delivery.tries import Tried, tries_of


@dataclass(frozen=True, slots=True)
class LoggedMail:
    """One delivery in the log.

    Attributes:
        tries: how often it was sent, whatever came of it.
        provider_id: what the provider that accepted it calls it.
        has_text: whether its text is still there.
    """

    id: int
    message_pk: int
    public_id: str
    partner_id: str
    sender_id: int
    type_name: str
    subject: str
    recipient: str
    state: State
    created_at: datetime
    next_attempt_at: datetime
    finished_at: datetime | None
    code: str
    cause: str
    error: str
    reply: str
    provider_id: str
    archive: bool
    uncertains: int
    has_text: bool
    sensitive: bool
    tries: int

    @property
    def is_erased(self) -> bool:
        """Whether its recipient was forgotten, with its subject and text."""
        return self.recipient == ERASED


def rows_of(session: Session, ids: Sequence[int]) -> tuple[LoggedMail, ...]:
    """These deliveries, the newest first; those that are not there any more are left out."""
    if not ids:
        return ()
    rows = session.execute(
        select(
            Delivery.id,
            Delivery.message_pk,
            Message.public_id,
            Delivery.partner_id,
            Delivery.sender_id,
            Message.type_name,
            Message.subject,
            Delivery.recipient,
            Delivery.state,
            Delivery.created_at,
            Delivery.next_attempt_at,
            Delivery.finished_at,
            Delivery.last_code,
            Delivery.last_cause,
            Delivery.last_error,
            Delivery.last_reply,
            Delivery.provider_message_id,
            Delivery.archive,
            Delivery.uncertains,
            Message.content != b"",
            Message.sensitive,
        )
        .join(Message, Message.id == Delivery.message_pk)
        .where(Delivery.id.in_(ids))
        .order_by(Delivery.id.desc())
    )
    found: list[Any] = list(rows)
    tries = tries_of(session, [Tried(one.id, one.state, one.uncertains) for one in found])
    return tuple(LoggedMail(*[*one, tries[one.id]]) for one in found)
