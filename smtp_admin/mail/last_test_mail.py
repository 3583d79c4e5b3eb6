"""The last test mail that went through the queue of a sender, for whoever opens its tab.

Nothing is written down for it: the mail itself is there, and the audit log says who asked for it.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import literal_column, select
from sqlalchemy.orm import Session

from smtp_admin.audit.models import Audit
from smtp_admin.clock import now
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.queries import FOLLOWED, Followed
from smtp_admin.senders.resolve import ResolvedSender

#: So long after it was queued, something may still come of it while somebody looks.
_WATCHED_FOR = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class TestMail:
    """A test mail, and how far it got.

    Attributes:
        by: the address of whoever asked for it; empty where that is not known.
        outdated: whether other settings were saved after it.
    """

    __test__ = False  # not one of pytest's

    mail: Followed
    by: str = ""
    outdated: bool = False

    @property
    def recent(self) -> bool:
        """Whether it was sent just now, so that its news are waited for."""
        return now() - self.mail.queued_at < _WATCHED_FOR

    @property
    def accepted(self) -> bool:
        """Whether the server took it with the settings of now, and it did not come back."""
        return not self.outdated and self.mail.state in {"sent", "delivered"}


def last_test_mail(session: Session, sender: ResolvedSender) -> TestMail | None:
    """The newest one of *sender*; ``None`` where there is none, or it is kept no more."""
    if not sender.sender_id:
        return None
    asked_by = (
        select(Audit.actor_email)
        .where(
            Audit.partner_id == Message.partner_id,
            Audit.action.in_(("testmail.self", "testmail.other")),
            Audit.detail == Delivery.recipient,
            Audit.at <= Message.created_at,
        )
        .order_by(Audit.at.desc())
        .limit(1)
        .scalar_subquery()
    )
    row = session.execute(
        select(*FOLLOWED, asked_by)
        .join(Delivery, Delivery.message_pk == Message.id)
        .where(
            # Named, not bound: the index by type is what finds it, newest first.
            Message.type_name == literal_column("'test'"),
            Message.partner_id == sender.partner_id,
            Delivery.sender_id == sender.sender_id,
        )
        .order_by(Message.id.desc(), Delivery.id)
        .limit(1)
    ).first()
    if row is None:
        return None
    *told, by = tuple[Any, ...](row)
    mail, saved = Followed(*told), sender.saved_at
    return TestMail(mail, by or "", saved is not None and saved > mail.queued_at)
