"""An event, once it is applied."""

from dataclasses import dataclass

from smtp_admin.delivery.states import State
from smtp_admin.events.models import MailEvent


@dataclass(frozen=True, slots=True)
class Applied:
    """An event and the delivery that it was about.

    Attributes:
        moved: the state that the delivery came to by it; empty where it stayed as it was.
    """

    event: MailEvent
    delivery_id: int
    public_id: str
    partner_id: str
    sender_id: int
    recipient: str
    type_name: str
    moved: State | None
