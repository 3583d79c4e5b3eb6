"""Notices that wait for a digest, as programs see them: by the id that queuing them answered."""

from typing import Any

from sqlalchemy.orm import Session

from smtp_admin import web
from smtp_admin.audit.service import record_change
from smtp_admin.database import session as current_session
from smtp_admin.delivery.digest_items import Item, cancel_item, find_item, known_id
from smtp_admin.delivery.queries import follow
from smtp_admin.delivery.seen_mail import seen_by


def seen(session: Session, public_id: str) -> Item | None:
    """The notice of this id, if whoever asks may see it."""
    return find_item(session, public_id, seen_by(web.signed_in()).partner_ids)


def known(session: Session, partner_id: str, key: str | None) -> dict[str, Any] | None:
    """The id and status of the notice that has this key, or of none."""
    public_id = known_id(session, partner_id, key) if key else None
    item = find_item(session, public_id, {partner_id}) if public_id else None
    if item is None:
        return None
    told = follow(session, item.message_id, partner_id) if item.message_id else None
    return {"id": item.public_id, "status": told.state if told else item.state}


def as_message(item: Item) -> dict[str, Any]:
    """A notice of which there is no mail, in the form of one: it has no deliveries yet."""
    return {
        "ok": True,
        "id": item.public_id,
        "partner_id": item.partner_id,
        "type": item.type_name,
        "subject": item.title,
        "message_id": "",
        "queued_at": item.created_at.isoformat(),
        "states": {item.state: 1},
        "recipients": 1,
        "deliveries": [],
    }


def take_out(item: Item) -> int:
    """Take a notice out of its digest, and commit; 1.

    Raises:
        Conflict: it does not wait for it any more.
        RateLimited: whoever asks changes too much.
    """
    session = current_session()
    count = cancel_item(session, item.public_id)
    words = f"{item.recipient}: {item.title}"
    record_change(session, web.signed_in(), item.partner_id, "mail.cancelled", words)
    session.commit()
    return count
