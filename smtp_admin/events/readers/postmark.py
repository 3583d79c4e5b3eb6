"""Postmark's events, one in each request.

https://postmarkapp.com/developer/webhooks/webhooks-overview
"""

from collections.abc import Mapping
from typing import Any

from smtp_admin.events.arrived import Arrived, NotUnderstood, document_of
from smtp_admin.events.event import Bounce, Event, Kind, identity_of
from smtp_admin.events.readers.values import bare_id, first, moment, status_in, text
from smtp_admin.events.severity import weighed
from smtp_admin.translation import gettext

_KINDS: dict[str, Kind] = {
    "Delivery": "delivered",
    "Bounce": "bounced",
    "SpamComplaint": "complained",
    "Open": "opened",
    "Click": "clicked",
    "SubscriptionChange": "unsubscribed",
}
#: What Postmark calls a bounce, where it is none.
_NO_BOUNCE: dict[str, Kind | None] = {
    "Transient": "deferred",
    "DnsError": "deferred",
    "SpamNotification": "complained",
    "SpamComplaint": "complained",
    "Unsubscribe": "unsubscribed",
    "AutoResponder": None,
    "AddressChange": None,
    "ChallengeVerification": None,
    "OpenRelayTest": None,
    "Subscribe": None,
    "InboundError": None,
}
_BOUNCES: dict[str, Bounce] = {
    "HardBounce": "hard",
    "BadEmailAddress": "hard",
    "SoftBounce": "soft",
    "Unknown": "",
}
_TIMES = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")


def read(arrived: Arrived) -> list[Event]:
    """The one event; none where it says nothing of interest.

    Raises:
        NotUnderstood: it is mail that came in, or no event.
    """
    one = document_of(arrived.body)
    if not isinstance(one, dict):
        raise NotUnderstood(gettext("This is no event of Postmark's."))
    record = text(one, "RecordType")
    if record == "Inbound" or (not record and "FromFull" in one):
        raise NotUnderstood(
            gettext(
                "This is mail that Postmark received. Enter this address under Webhooks of a "
                "message stream, not as the inbound address."
            )
        )
    kind = _KINDS.get(record)
    if kind in {"bounced", "complained"}:
        kind = _NO_BOUNCE.get(text(one, "Type"), kind)
    if record == "SubscriptionChange" and not _is_unsubscribed(one):
        return []
    return [_event(one, record, kind)] if kind is not None else []


def _event(one: Mapping[str, Any], record: str, kind: Kind) -> Event:
    said = (text(one, "Details"), text(one, "Description"))
    recipient, at = first(one, "Email", "Recipient"), first(one, *_TIMES)
    own, provider_id = text(one, "ID"), text(one, "MessageID")
    parts = (own,) if own else (provider_id, recipient, at, text(one, "OriginalLink"))
    return Event(
        kind,
        identity=identity_of("postmark", record, *parts),
        recipient=recipient,
        at=moment(at),
        message_id=bare_id(text(one, "Metadata", "smtp-admin-id")),
        provider_id=provider_id,
        bounce=weighed(_BOUNCES.get(text(one, "Type"), "policy"), *said)
        if kind == "bounced"
        else "",
        code=status_in(*said),
        words=next((words for words in said if words), ""),
    )


def _is_unsubscribed(one: Mapping[str, Any]) -> bool:
    """Whether a person did it: a list of Postmark's also grows by bounces, which are told too."""
    # The reason may be missing.
    return one.get("SuppressSending") is True and text(one, "SuppressionReason") in {
        "",
        "ManualSuppression",
    }
