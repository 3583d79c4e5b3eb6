"""A delivered mail in the words of each provider, signed as it signs where that can be done here.

SendGrid and Amazon sign with keys that nobody else has: of theirs the rest of the way is tried.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from hmac import new as hmac
from typing import Any
from urllib.parse import quote

from smtp_admin.events.signatures import standard_signature

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Example:
    """What an example is made of.

    Attributes:
        name: a new one each time, so that none is taken for a repetition.
        secret: what the provider would sign with.
    """

    name: str
    at: datetime
    recipient: str
    secret: str = ""
    topic: str = ""

    @property
    def seconds(self) -> int:
        """The time as providers write it."""
        return int(self.at.timestamp())

    @property
    def iso(self) -> str:
        """The same in ISO 8601."""
        return self.at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


def mailgun(one: Example) -> tuple[Headers, bytes]:
    """As Mailgun posts it."""
    text, token = str(one.seconds), one.name
    signature = hmac(one.secret.encode(), f"{text}{token}".encode(), sha256).hexdigest()
    return {"content-type": "application/json"}, _json(
        {
            "signature": {"timestamp": text, "token": token, "signature": signature},
            "event-data": {
                "event": "delivered",
                "id": one.name,
                "timestamp": one.at.timestamp(),
                "recipient": one.recipient,
                "message": {"headers": {"message-id": f"{one.name}@sample.invalid"}},
                "delivery-status": {"code": 250, "message": "OK"},
            },
        }
    )


def ses(one: Example) -> tuple[Headers, bytes]:
    """As SNS posts it, but for the signature."""
    inner = {
        "eventType": "Delivery",
        "mail": {"messageId": one.name, "destination": [one.recipient], "timestamp": one.iso},
        "delivery": {"timestamp": one.iso, "recipients": [one.recipient], "smtpResponse": "250 OK"},
    }
    return {"content-type": "text/plain; charset=UTF-8"}, _json(
        {
            "Type": "Notification",
            "MessageId": one.name,
            "TopicArn": one.topic,
            "Message": json.dumps(inner),
            "Timestamp": one.iso,
            "SignatureVersion": "1",
        }
    )


def sendgrid(one: Example) -> tuple[Headers, bytes]:
    """As SendGrid posts it, but for the signature."""
    event = {
        "event": "delivered",
        "email": one.recipient,
        "timestamp": one.seconds,
        "sg_event_id": one.name,
        "sg_message_id": f"{one.name}.filter",
        "response": "250 OK",
    }
    return {"content-type": "application/json"}, _json([event])


def postmark(one: Example) -> tuple[Headers, bytes]:
    """As Postmark posts it."""
    event = {
        "RecordType": "Delivery",
        "MessageID": one.name,
        "Recipient": one.recipient,
        "DeliveredAt": one.iso,
        "Details": "250 OK",
    }
    return {"content-type": "application/json"}, _json(event)


def sparkpost(one: Example) -> tuple[Headers, bytes]:
    """As SparkPost posts it."""
    event = {
        "type": "delivery",
        "event_id": one.name,
        "rcpt_to": one.recipient,
        "timestamp": str(one.seconds),
    }
    return {"content-type": "application/json"}, _json([{"msys": {"message_event": event}}])


def brevo(one: Example) -> tuple[Headers, bytes]:
    """As Brevo posts it."""
    event = {
        "event": "delivered",
        "email": one.recipient,
        "ts_epoch": one.seconds * 1000,
        "message-id": f"<{one.name}@sample.invalid>",
    }
    return {"content-type": "application/json"}, _json(event)


def mailjet(one: Example) -> tuple[Headers, bytes]:
    """As Mailjet posts it."""
    event = {
        "event": "sent",
        "time": one.seconds,
        "MessageID": int(sha256(one.name.encode()).hexdigest()[:15], 16),
        "email": one.recipient,
        "smtp_reply": "sent (250 2.0.0 OK)",
    }
    return {"content-type": "application/json"}, _json([event])


def resend(one: Example) -> tuple[Headers, bytes]:
    """As Resend posts it."""
    event = {
        "type": "email.delivered",
        "created_at": one.iso,
        "data": {"email_id": one.name, "to": [one.recipient], "created_at": one.iso},
    }
    return _standard(one, _json(event), "svix-")


def generic(one: Example) -> tuple[Headers, bytes]:
    """In the form of this app."""
    event = {"type": "delivered", "id": one.name, "recipient": one.recipient, "at": one.iso}
    return _standard(one, _json(event), "webhook-")


def _standard(one: Example, body: bytes, prefix: str) -> tuple[Headers, bytes]:
    name = f"msg_{quote(one.name, safe='')}"
    signed = f"{name}.{one.seconds}.".encode() + body
    return {
        "content-type": "application/json",
        f"{prefix}id": name,
        f"{prefix}timestamp": str(one.seconds),
        f"{prefix}signature": f"v1,{standard_signature(one.secret, signed).decode()}",
    }, body
