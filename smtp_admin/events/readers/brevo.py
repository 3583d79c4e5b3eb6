"""Brevo's events, one in each request or a list of them; none has an id.

https://developers.brevo.com/docs/transactional-webhooks
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
    "hard_bounce": "bounced",
    "soft_bounce": "bounced",
    "blocked": "bounced",
    "invalid_email": "bounced",
    "error": "bounced",
    "spam": "complained",
    "complaint": "complained",
    "opened": "opened",
    "unique_opened": "opened",
    "proxy_open": "opened",
    "unique_proxy_open": "opened",
    "click": "clicked",
    "unsubscribe": "unsubscribed",
    "unsubscribed": "unsubscribed",
}
_BOUNCES: dict[str, Bounce] = {
    "hard_bounce": "hard",
    "invalid_email": "hard",
    "soft_bounce": "soft",
}


def read(arrived: Arrived) -> list[Event]:
    """The events of interest.

    Raises:
        NotUnderstood: it is mail that came in, or neither one event nor a list.
    """
    document = document_of(arrived.body)
    if isinstance(document, dict) and "items" in document:
        raise NotUnderstood(
            gettext("This is mail that Brevo received. Enter this address as a webhook of events.")
        )
    listed = document if isinstance(document, list) else [document]
    if not isinstance(document, list | dict):
        raise NotUnderstood(gettext("This is no event of Brevo's."))
    return [event for one in items({"": listed}, "") if (event := _event(one)) is not None]


def _event(one: Mapping[str, Any]) -> Event | None:
    name = text(one, "event")
    kind = _KINDS.get(name)
    if kind is None:
        return None
    # Every other time follows the zone of the account.
    milliseconds = one.get("ts_epoch")
    recipient, told_id = text(one, "email"), bare_id(text(one, "message-id"))
    words = text(one, "reason")
    return Event(
        kind,
        identity=identity_of("brevo", told_id, name, milliseconds or one.get("ts_event"),
                             recipient.lower(), text(one, "link")),
        recipient=recipient,
        at=moment(milliseconds, per_second=1000),
        message_id=bare_id(text(one, "X-Mailin-custom")) or told_id,
        provider_id=told_id,
        bounce=weighed(_BOUNCES.get(name, "policy"), words) if kind == "bounced" else "",
        code=status_in(words),
        words=words,
    )  # fmt: skip
