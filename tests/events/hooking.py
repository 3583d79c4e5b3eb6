"""A sender's webhook, what providers post to it, and mail that was sent."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import select, update
from werkzeug.test import TestResponse

from smtp_admin.clock import now
from smtp_admin.database import host_engine, worker_engine
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.states import State
from smtp_admin.events import webhooks
from smtp_admin.events.applying import apply_waiting
from smtp_admin.events.models import MailEvent, Webhook
from smtp_admin.senders.resolve import load_sender
from tests.app import ADMIN, HostApp
from tests.delivery.workbench import letter

#: Of each source that has one, a signing secret that its page takes.
MAILGUN_KEY = "0123456789abcdef0123456789abcdef"
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:mail-events"
JSON_TYPE = {"Content-Type": "application/json"}


class Hooked:
    """A host app with webhooks; made inside its app context."""

    def __init__(self, host: HostApp) -> None:
        self.host = host
        self.client = host.client
        self.engine = worker_engine(host_engine(), pool_size=8)

    def turn_on(
        self, source: str, partner_id: str = "acme", *, secret: str = "", topic: str = ""
    ) -> str:
        """A webhook for the partner's sender, which is made if it is not there; its path."""
        session = self.host.db.session()
        if not load_sender(session, partner_id).revision:
            self.host.save_sender(partner_id)
        sender = load_sender(session, partner_id)
        row, _ = webhooks.turn_on(session, sender, source, ADMIN)
        if secret or topic:
            webhooks.change(session, sender, row, ADMIN, secret=secret, topic=topic or None)
        session.commit()
        return f"/hooks/email/{source}/{webhooks.key_of(row, sender)}"

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> TestResponse:
        """Post what a provider would."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(path, data=raw, headers={**JSON_TYPE, **(headers or {})})

    def sent(
        self,
        *recipients: str,
        partner_id: str = "acme",
        state: State = "sent",
        provider_id: str = "",
        sender_of: str | None = None,
    ) -> list[Delivery]:
        """Mail that a server has taken."""
        session = self.host.db.session()
        to = recipients or (f"{uuid4().hex[:8]}@example.org",)
        public_id = self.host.plugin.send_message(letter(*to), partner_id=partner_id)
        session.flush()
        ids = session.scalars(
            select(Delivery.id)
            .join(Message, Message.id == Delivery.message_pk)
            .where(Message.public_id == public_id)
            .order_by(Delivery.id)
        ).all()
        values: dict[str, Any] = {"state": state, "provider_message_id": provider_id}
        if state not in {"queued", "sending"}:
            values["finished_at"] = now()
        if sender_of is not None:
            values["sender_id"] = load_sender(session, sender_of).sender_id
        session.execute(update(Delivery).where(Delivery.id.in_(ids)).values(values))
        session.commit()
        return [self.row(each) for each in ids]

    def row(self, delivery_id: int) -> Delivery:
        """A delivery as it is now."""
        session = self.host.db.session()
        session.rollback()
        found = session.get(Delivery, delivery_id, populate_existing=True)
        assert found is not None
        return found

    def mail(self, public_id: str) -> Delivery:
        """The first delivery of a mail."""
        mine = select(Delivery).join(Message, Message.id == Delivery.message_pk)
        mine = mine.where(Message.public_id == public_id).order_by(Delivery.id).limit(1)
        return self.host.db.session.scalars(mine).one()

    def state(self, delivery: Delivery) -> str:
        """Its state now."""
        return self.row(delivery.id).state

    def message_id(self, delivery: Delivery) -> str:
        """The Message-ID of its mail, without brackets."""
        session = self.host.db.session()
        found = session.scalar(select(Message.message_id).where(Message.id == delivery.message_pk))
        assert found
        return found.strip("<>")

    def apply(self) -> int:
        """What a worker does."""
        self.host.db.session.rollback()
        return apply_waiting(self.engine)

    def events(self) -> Sequence[MailEvent]:
        """Every event that was kept, oldest first."""
        session = self.host.db.session()
        session.rollback()
        wanted = select(MailEvent).order_by(MailEvent.id)
        return session.scalars(wanted.execution_options(populate_existing=True)).all()

    def webhook(self, partner_id: str = "acme") -> Webhook:
        """Its row as it is now."""
        session = self.host.db.session()
        session.rollback()
        row = webhooks.webhook_of(session, load_sender(session, partner_id).sender_id)
        assert row is not None
        session.refresh(row)
        return row


def mailgun(
    event: Mapping[str, Any],
    *,
    key: str = MAILGUN_KEY,
    token: str = "",
    at: datetime | None = None,
) -> dict[str, Any]:
    """An event of Mailgun's, signed as its documentation says."""
    timestamp = str(int((at or now()).timestamp()))
    token = token or uuid4().hex
    signature = hmac.new(key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    return {
        "signature": {"timestamp": timestamp, "token": token, "signature": signature},
        "event-data": {"id": uuid4().hex, "timestamp": float(timestamp), **event},
    }


def mailgun_of(name: str, message_id: str, recipient: str, **more: Any) -> dict[str, Any]:
    """What Mailgun tells of one mail."""
    return {
        "event": name,
        "recipient": recipient,
        "message": {"headers": {"message-id": message_id}},
        **more,
    }


def generic(kind: str, **more: Any) -> dict[str, Any]:
    """An event in the form of this app."""
    return {"type": kind, "id": uuid4().hex, **more}


def standard_headers(
    body: bytes,
    *,
    secret: str = STANDARD_SECRET,
    name: str = "",
    at: int | None = None,
    prefix: str = "webhook-",
) -> dict[str, str]:
    """The headers of Standard Webhooks."""
    name = name or f"msg_{uuid4().hex}"
    timestamp = str(int(now().timestamp()) if at is None else at)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{name}.{timestamp}.".encode() + body, "sha256")
    return {
        f"{prefix}id": name,
        f"{prefix}timestamp": timestamp,
        f"{prefix}signature": f"v1,{base64.b64encode(digest).decode()}",
    }
