"""Events of Amazon SES, as they stand inside a message of SNS.

Both of its ways tell the same in nearly the same words: notifications of an identity, and events of
a configuration set. Where both are on, each comes twice under different ids of SNS.

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

from collections.abc import Iterator, Mapping
from typing import Any

from smtp_admin.events.arrived import Arrived, NotUnderstood, document_of
from smtp_admin.events.event import Bounce, Event, Kind, identity_of
from smtp_admin.events.readers.values import (
    at_path,
    bare_id,
    first,
    items,
    moment,
    status_in,
    text,
    texts,
)
from smtp_admin.events.severity import weighed
from smtp_admin.translation import gettext

_KINDS: dict[str, Kind] = {
    "Bounce": "bounced",
    "Complaint": "complained",
    "Delivery": "delivered",
    "DeliveryDelay": "deferred",
    "Open": "opened",
    "Click": "clicked",
    "Subscription": "unsubscribed",
    # SES took it, and then found something bad in it.
    "Reject": "bounced",
    "Rendering Failure": "bounced",
}
#: Where the recipients of each stand.
_RECIPIENTS = {
    "Bounce": "bouncedRecipients",
    "Complaint": "complainedRecipients",
    "DeliveryDelay": "delayedRecipients",
}
_BLOCKED = {"Suppressed", "OnAccountSuppressionList", "UnsubscribedRecipient"}
_MOST_RECIPIENTS = 100


def read(arrived: Arrived) -> list[Event]:
    """The events of a notification of SNS; none of its other messages.

    Raises:
        NotUnderstood: the notification is not of SES.
    """
    outer = document_of(arrived.body)
    if text(outer, "Type") != "Notification":
        return []
    # Told once, when the topic was entered at SES.
    if text(outer, "Message").startswith("Successfully validated SNS topic"):
        return []
    inner = at_path(outer, "Message")
    document = document_of(inner.encode("utf-8", "replace")) if isinstance(inner, str) else None
    name = first(document, "eventType", "notificationType")
    if name == "Received":
        raise NotUnderstood(
            gettext("This is mail that SES received. Publish sending events to this topic instead.")
        )
    if name == "AmazonSnsSubscriptionSucceeded":
        return []
    if not name:
        raise NotUnderstood(gettext("This message of SNS is not an event of Amazon SES."))
    kind = _KINDS.get(name)
    return list(_events(name, kind, document)) if kind else []


def _events(name: str, kind: Kind, document: Any) -> Iterator[Event]:
    mail = at_path(document, "mail")
    told = at_path(document, name[0].lower() + name[1:].replace(" ", ""))
    if told is None:
        told = at_path(document, "failure") or {}
    provider_id = text(mail, "messageId")
    at = text(told, "timestamp") or text(mail, "timestamp")
    for recipient, about in _recipients(name, told, mail):
        said = (
            first(about, "diagnosticCode"),
            first(told, "smtpResponse", "reason", "errorMessage", "complaintFeedbackType",
                  "delayType"),
            _types(told),
        )  # fmt: skip
        bounce = _bounce(name, told, *said[:2]) if kind == "bounced" else ""
        yield Event(
            kind,
            identity=identity_of("ses", provider_id, kind, recipient.lower(), at,
                                 text(told, "feedbackId") or text(told, "link")),
            recipient=recipient,
            at=moment(at),
            message_id=_message_id(mail),
            provider_id=provider_id,
            bounce=bounce,
            code=status_in(text(about, "status"), *said),
            words=next((one for one in said if one), ""),
        )  # fmt: skip


def _recipients(name: str, told: Any, mail: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Who is concerned: of a mail to several only those that are named."""
    listed = _RECIPIENTS.get(name)
    if listed is not None:
        for one in list(items(told, listed))[:_MOST_RECIPIENTS]:
            yield text(one, "emailAddress"), one
        return
    named = texts(told, "recipients") or texts(mail, "destination")
    for address in named[:_MOST_RECIPIENTS]:
        yield address, {}


def _bounce(name: str, told: Any, *said: str) -> Bounce:
    if name != "Bounce" or text(told, "bounceSubType") in _BLOCKED:
        return "policy"
    kinds: dict[str, Bounce] = {"Permanent": "hard", "Transient": "soft"}
    return weighed(kinds.get(text(told, "bounceType"), ""), *said)


def _types(told: Any) -> str:
    parts = (text(told, "bounceType"), text(told, "bounceSubType"))
    return ": ".join(one for one in parts if one)


def _message_id(mail: Any) -> str:
    """Our own: SES puts its own in the place of it, and tells the old one."""
    for one in items(mail, "headers"):
        if text(one, "name").lower() == "message-id":
            return bare_id(text(one, "value"))
    return bare_id(text(mail, "commonHeaders", "messageId"))
