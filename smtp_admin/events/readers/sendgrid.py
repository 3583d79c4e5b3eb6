"""SendGrid's events: a list of them in each request.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
"""

from collections.abc import Mapping
from typing import Any

from smtp_admin.events.arrived import Arrived, NotUnderstood, document_of
from smtp_admin.events.event import Bounce, Event, Kind, identity_of
from smtp_admin.events.readers.values import bare_id, items, moment, status_in, text
from smtp_admin.events.severity import weighed
from smtp_admin.translation import gettext

_KINDS: dict[str, Kind] = {
    "delivered": "delivered",
    "deferred": "deferred",
    "bounce": "bounced",
    "dropped": "bounced",
    "spamreport": "complained",
    "open": "opened",
    "click": "clicked",
    "unsubscribe": "unsubscribed",
    "group_unsubscribe": "unsubscribed",
}
#: The value of ``type`` for what its recipient's server blocked this time only.
_BLOCKED = "blocked"


def read(arrived: Arrived) -> list[Event]:
    """The events of interest.

    Raises:
        NotUnderstood: it is no list.
    """
    document = document_of(arrived.body)
    if not isinstance(document, list):
        raise NotUnderstood(
            gettext("This is no list of events as the event webhook of SendGrid sends it.")
        )
    return [event for one in items({"": document}, "") if (event := _event(one)) is not None]


def _event(one: Mapping[str, Any]) -> Event | None:
    name = text(one, "event")
    kind = _KINDS.get(name)
    if kind is None:
        return None
    said = (text(one, "reason"), text(one, "response"))
    own = text(one, "sg_event_id")
    recipient = text(one, "email")
    parts = (own,) if own else (text(one, "sg_message_id"), name, recipient, one.get("timestamp"))
    return Event(
        kind,
        identity=identity_of("sendgrid", *parts),
        recipient=recipient,
        at=moment(one.get("timestamp")),
        # What SendGrid calls smtp-id is ours in mail that came to it by SMTP, but not always.
        message_id=bare_id(text(one, "smtp_admin_id") or text(one, "smtp-id")),
        provider_id=text(one, "sg_message_id").partition(".")[0],
        bounce=_bounce(name, one, *said) if kind == "bounced" else "",
        code=status_in(text(one, "status"), *said),
        words=next((words for words in said if words), ""),
    )


def _bounce(name: str, one: Mapping[str, Any], *said: str) -> Bounce:
    if name == "dropped":
        # It stands on a list of SendGrid's; the reason says on which.
        reason = said[0].lower()
        return "hard" if reason in {"bounced address", "invalid"} else "policy"
    return weighed("soft" if text(one, "type") == _BLOCKED else "hard", *said)
