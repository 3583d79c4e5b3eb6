"""A reader of a test mail says that it arrived: kept as an event, applied as a provider's is.

Only who has the mail, or may read it in the log, has its link. The event is about that one mail,
and its identity is the same each time, so that saying it again changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.database import database_now
from smtp_admin.delivery.doorbell import doorbell
from smtp_admin.delivery.models import TEST_TYPE, Delivery, Message
from smtp_admin.delivery.public_ids import is_public_id
from smtp_admin.delivery.states import STATES
from smtp_admin.errors import NotFound
from smtp_admin.events.event import Event, identity_of
from smtp_admin.events.models import MailEvent
from smtp_admin.events.storing import Origin, keep
from smtp_admin.senders.models import Sender
from smtp_admin.translation import gettext

#: By which way such events come.
ORIGIN = "link"
_WORDS = gettext("The recipient clicked the link in it.")
#: Of these no copy can have arrived; a link that says so was copied into another mail.
_NEVER = frozenset({"suppressed", "cancelled", "expired"})


@dataclass(frozen=True, slots=True)
class Confirmable:
    """A test mail whose link somebody has.

    Attributes:
        owner: whose sender it went out by.
        confirmed: whether it was said before that it arrived.
    """

    public_id: str
    message_id: str
    recipient: str
    partner_id: str
    owner: str
    sender_id: int
    created_at: datetime
    confirmed: bool


def find(session: Session, public_id: str) -> Confirmable:
    """The test mail with this id.

    Raises:
        NotFound: there is none any more, or it was never sent.
    """
    row = None
    if is_public_id(public_id):
        row = session.execute(
            select(
                Message.message_id,
                Delivery.recipient,
                Delivery.partner_id,
                Sender.partner_id.label("owner"),
                Delivery.sender_id,
                Message.created_at,
            )
            .join(Delivery, Delivery.message_pk == Message.id)
            .join(Sender, Sender.id == Delivery.sender_id)
            .where(
                Message.public_id == public_id,
                Message.type_name == TEST_TYPE,
                Delivery.archive.is_(False),
                Delivery.state.in_([one for one in STATES if one not in _NEVER]),
            )
            .order_by(Delivery.id)
            .limit(1)
        ).first()
    if row is None:
        raise NotFound(
            gettext("This link is not valid."), hint=gettext("Use the one in the newest mail.")
        )
    said = select(MailEvent.id).where(
        MailEvent.origin == ORIGIN, MailEvent.identity == identity_of(ORIGIN, public_id)
    )
    return Confirmable(
        public_id=public_id,
        message_id=row.message_id.removeprefix("<").removesuffix(">"),
        recipient=row.recipient,
        partner_id=row.partner_id,
        owner=row.owner,
        sender_id=row.sender_id,
        created_at=row.created_at,
        confirmed=session.scalar(said) is not None,
    )


def confirm(session: Session, mail: Confirmable) -> None:
    """Keep that it arrived, if nobody has said so before; commits, and calls a worker."""
    if mail.confirmed:
        return  # who posts it a thousand times calls nobody
    event = Event(
        "delivered",
        identity_of(ORIGIN, mail.public_id),
        recipient=mail.recipient,
        at=database_now(session),
        message_id=mail.message_id,
        words=_WORDS,
    )
    keep(session, Origin(ORIGIN, mail.owner, mail.sender_id), [event])
    session.commit()
    doorbell().call_for_events()
