"""The secrets of webhooks, for those who look at all secrets and seal them anew."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.events.models import Webhook
from smtp_admin.events.sealing import NAMES, binding_of
from smtp_admin.senders.models import Sender
from smtp_admin.senders.sealed_texts import SealedText


def sealed_in_webhooks(session: Session, *, locked: bool = False) -> Iterator[SealedText]:
    """All of them."""
    found = select(Webhook, Sender).join(Sender, Sender.id == Webhook.sender_id)
    if locked:
        found = found.with_for_update(of=Webhook)
    for webhook, sender in session.execute(found.order_by(Webhook.id)).all():
        for name in NAMES:
            binding = binding_of(name, sender.partner_id, sender.id, webhook.source)
            yield SealedText(sender, webhook, name, binding, "webhook")
