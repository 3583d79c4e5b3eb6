"""Mailgun's events, the present JSON and the older form.

https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhooks
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from smtp_admin.events.arrived import Arrived, NotUnderstood, document_of
from smtp_admin.events.event import Event, Kind, identity_of
from smtp_admin.events.readers.values import at_path, bare_id, first, moment, status_in, text
from smtp_admin.events.severity import weighed
from smtp_admin.translation import gettext

_KINDS: dict[str, Kind] = {
    "delivered": "delivered",
    "complained": "complained",
    "opened": "opened",
    "clicked": "clicked",
    "unsubscribed": "unsubscribed",
    # Nothing of these was sent on.
    "rejected": "bounced",
    # The older form.
    "bounced": "bounced",
    "dropped": "bounced",
}
_HARD = {"bounce", "suppress-bounce", "hardfail"}
_MOST_FIELDS = 200


def is_form(arrived: Arrived) -> bool:
    """Whether it came in the older form."""
    kind = arrived.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/x-www-form-urlencoded"


def contents(arrived: Arrived) -> Mapping[str, Any]:
    """What was posted.

    Raises:
        NotUnderstood: it is no event of Mailgun's.
    """
    if is_form(arrived):
        try:
            words = arrived.body.decode("utf-8")
            return dict(parse_qsl(words, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
        except ValueError as error:
            raise _not_an_event() from error
    document = document_of(arrived.body)
    if not isinstance(document, dict):
        raise _not_an_event()
    return document


def read(arrived: Arrived) -> list[Event]:
    """The one event; none where it says nothing of interest.

    Raises:
        NotUnderstood: it is no event of Mailgun's.
    """
    document = contents(arrived)
    if is_form(arrived):
        return _of_form(document)
    data = document.get("event-data")
    if not isinstance(data, dict):
        raise _not_an_event()
    status = at_path(data, "delivery-status")
    said = (text(status, "message"), text(status, "description"), text(data, "reject", "reason"))
    name, reason = text(data, "event"), text(data, "reason")
    kind = _KINDS.get(name)
    if name == "failed":
        # It was called bounced once, and is tried again.
        kind = "bounced" if text(data, "severity") == "permanent" else "deferred"
    if kind is None:
        return []
    hard = name == "failed" and reason in _HARD
    message_id = bare_id(text(data, "message", "headers", "message-id"))
    return [
        Event(
            kind,
            identity=_identity(text(data, "id"), message_id, kind, data),
            recipient=text(data, "recipient"),
            at=moment(data.get("timestamp")),
            message_id=message_id,
            provider_id=message_id,
            bounce=weighed("hard" if hard else "policy", *said) if kind == "bounced" else "",
            code=status_in(*said, text(status, "code")),
            words=next((one for one in said if one), reason),
        )
    ]


def _of_form(data: Mapping[str, Any]) -> list[Event]:
    name = text(data, "event")
    kind = _KINDS.get(name)
    if kind is None:
        return []
    said = (text(data, "error"), text(data, "description"))
    message_id = bare_id(first(data, "Message-Id", "message-id"))
    hard = name == "bounced" or text(data, "reason") == "hardfail"
    return [
        Event(
            kind,
            identity=_identity("", message_id, kind, data),
            recipient=text(data, "recipient"),
            at=moment(data.get("timestamp")),
            message_id=message_id,
            provider_id=message_id,
            bounce=weighed("hard" if hard else "soft", *said) if kind == "bounced" else "",
            code=status_in(text(data, "code"), *said),
            words=next((one for one in said if one), ""),
        )
    ]


def _identity(own: str, message_id: str, kind: Kind, data: Mapping[str, Any]) -> str:
    if own:
        return identity_of("mailgun", own)
    return identity_of("mailgun", message_id, kind, text(data, "recipient"), data.get("timestamp"))


def _not_an_event() -> NotUnderstood:
    return NotUnderstood(
        gettext(
            "This is no event of Mailgun's. Enter this address under Webhooks, not under Receiving."
        )
    )
