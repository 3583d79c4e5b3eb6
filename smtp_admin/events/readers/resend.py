"""Resend's events, one in each request, whose id stands in a header.

https://resend.com/docs/dashboard/webhooks/event-types
"""

from collections.abc import Mapping
from typing import Any

from smtp_admin.events.arrived import Arrived, NotUnderstood, document_of
from smtp_admin.events.event import Bounce, Event, Kind, identity_of
from smtp_admin.events.readers.values import at_path, bare_id, first, items, moment, status_in, text
from smtp_admin.events.severity import weighed
from smtp_admin.translation import gettext

_KINDS: dict[str, Kind] = {
    "email.delivered": "delivered",
    "email.delivery_delayed": "deferred",
    "email.bounced": "bounced",
    "email.failed": "bounced",
    "email.suppressed": "bounced",
    "email.complained": "complained",
    "email.opened": "opened",
    "email.clicked": "clicked",
}
_BOUNCES: dict[str, Bounce] = {"Permanent": "hard", "Transient": "soft"}
_OURS = "x-smtp-admin-id"


def read(arrived: Arrived) -> list[Event]:
    """The one event; none where it says nothing of interest.

    Raises:
        NotUnderstood: it is no event.
    """
    document = document_of(arrived.body)
    data = at_path(document, "data")
    if not isinstance(data, dict):
        raise NotUnderstood(gettext("This is no event of Resend's."))
    kind = _KINDS.get(text(document, "type"))
    if kind is None:
        return []
    words = first(at_path(data, "bounce"), "message") or text(data, "failed", "reason")
    at = moment(document.get("created_at"))
    provider_id, recipient = text(data, "email_id"), _recipient(data)
    own = arrived.headers.get("svix-id") or arrived.headers.get("webhook-id") or ""
    return [
        Event(
            kind,
            identity=identity_of("resend", own or (provider_id, kind, at)),
            recipient=recipient,
            at=at,
            message_id=_message_id(data),
            provider_id=provider_id,
            bounce=_bounce(document, words) if kind == "bounced" else "",
            code=status_in(words),
            words=words,
        )
    ]


def _recipient(data: Mapping[str, Any]) -> str:
    """The only one: of several, an event does not say whom it is about."""
    to = data.get("to")
    named = [one for one in to if isinstance(one, str)] if isinstance(to, list) else []
    if len(named) != 1:
        return ""
    address = named[0].rpartition("<")[2].rstrip("> ")
    return text({"": address}, "")


def _bounce(document: Mapping[str, Any], words: str) -> Bounce:
    if document.get("type") != "email.bounced":
        return "policy"
    if text(document, "data", "bounce", "subType") in {"Suppressed", "OnAccountSuppressionList"}:
        return "policy"
    return weighed(_BOUNCES.get(text(document, "data", "bounce", "type"), ""), words)


def _message_id(data: Mapping[str, Any]) -> str:
    named = {text(one, "name").lower(): text(one, "value") for one in items(data, "headers")}
    found = named.get(_OURS) or named.get("message-id") or text(data, "message_id")
    return bare_id(found)
