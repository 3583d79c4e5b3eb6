"""SparkPost's events: a list of them in each request, and an empty one to try the address.

https://developers.sparkpost.com/api/webhooks/
"""

from collections.abc import Mapping
from typing import Any

from smtp_admin.events.arrived import Arrived, NotUnderstood, document_of
from smtp_admin.events.event import Bounce, Event, Kind, identity_of
from smtp_admin.events.readers.values import at_path, bare_id, first, items, moment, status_in, text
from smtp_admin.events.severity import weighed
from smtp_admin.translation import gettext

_KINDS: dict[str, Kind] = {
    "delivery": "delivered",
    "delay": "deferred",
    "bounce": "bounced",
    "out_of_band": "bounced",
    "policy_rejection": "bounced",
    "generation_failure": "bounced",
    "generation_rejection": "bounced",
    "spam_complaint": "complained",
    "open": "opened",
    "initial_open": "opened",
    "amp_open": "opened",
    "click": "clicked",
    "amp_click": "clicked",
    "list_unsubscribe": "unsubscribed",
    "link_unsubscribe": "unsubscribed",
}
#: Its classes of bounces; what is not here is the sender's or the text's fault.
_CLASSES: dict[str, Bounce] = {
    "1": "",
    "10": "hard",
    "30": "hard",
    "90": "policy",
    **dict.fromkeys(("20", "21", "22", "23", "24", "40", "70"), "soft"),
}
#: Classes that are no bounces at all: replies by a machine.
_NO_BOUNCES = {"60", "80", "100"}


def read(arrived: Arrived) -> list[Event]:
    """The events of interest.

    Raises:
        NotUnderstood: it is mail that came in, or no list.
    """
    document = document_of(arrived.body)
    if not isinstance(document, list):
        raise NotUnderstood(gettext("This is no list of events as SparkPost sends it."))
    found: list[Event] = []
    for one in items({"": document}, ""):
        inside = at_path(one, "msys")
        if not isinstance(inside, Mapping):
            continue
        if "relay_message" in inside:
            raise NotUnderstood(
                gettext("This is mail that SparkPost received. This address takes events only.")
            )
        told = (_event(each) for each in inside.values() if isinstance(each, Mapping))
        found += [event for event in told if event is not None]
    return found


def _event(one: Mapping[str, Any]) -> Event | None:
    name, kind_of_bounce = text(one, "type"), text(one, "bounce_class")
    kind = _KINDS.get(name)
    if kind is None or kind_of_bounce in _NO_BOUNCES:
        return None
    if kind_of_bounce == "90":
        kind = "unsubscribed"
    said = (text(one, "raw_reason"), text(one, "reason"))
    recipient = first(one, "raw_rcpt_to", "rcpt_to")
    own = text(one, "event_id")
    parts = (own,) if own else (text(one, "message_id"), name, recipient, one.get("timestamp"))
    return Event(
        kind,
        identity=identity_of("sparkpost", *parts),
        recipient=recipient,
        at=moment(one.get("timestamp")),
        message_id=bare_id(text(one, "rcpt_meta", "smtp_admin_id")),
        provider_id=text(one, "transmission_id"),
        bounce=weighed(_CLASSES.get(kind_of_bounce, "policy"), *said) if kind == "bounced" else "",
        code=status_in(*said, text(one, "error_code")),
        words=next((words for words in said if words), ""),
    )
