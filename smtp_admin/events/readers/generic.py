"""Events in the words of this app, for mail servers and providers that have none of their own.

The form is described in ``docs/webhooks.md``.
"""

from collections.abc import Mapping
from typing import Any, get_args

from smtp_admin.events.arrived import Arrived, NotUnderstood, document_of
from smtp_admin.events.event import Bounce, Event, Kind, identity_of
from smtp_admin.events.readers.values import bare_id, items, moment, status_in, text
from smtp_admin.events.severity import weighed
from smtp_admin.translation import gettext

_KINDS: frozenset[str] = frozenset(get_args(Kind))
_BOUNCES: dict[str, Bounce] = {"hard": "hard", "soft": "soft", "policy": "policy"}


def read(arrived: Arrived) -> list[Event]:
    """The events: one object, or a list of them.

    Raises:
        NotUnderstood: it is something else, or names none of our kinds.
    """
    document = document_of(arrived.body)
    listed = document if isinstance(document, list) else [document]
    found = [
        _event(number, one, arrived)
        for number, one in enumerate(items({"": listed}, ""))
        if text(one, "type") in _KINDS
    ]
    if listed and not found:
        raise NotUnderstood(
            gettext(
                "This is no event. “type” must be one of: %(kinds)s.",
                kinds=", ".join(sorted(_KINDS)),
            )
        )
    return found


def _event(number: int, one: Mapping[str, Any], arrived: Arrived) -> Event:
    kind: Kind = one["type"]
    words = text(one, "reason")
    own = text(one, "id") or (arrived.headers.get("webhook-id", ""), number)
    return Event(
        kind,
        identity=identity_of("generic", own),
        recipient=text(one, "recipient"),
        at=moment(one.get("at")),
        message_id=bare_id(text(one, "message_id")),
        provider_id=text(one, "provider_id"),
        bounce=weighed(_BOUNCES.get(text(one, "bounce"), ""), words) if kind == "bounced" else "",
        code=status_in(text(one, "code"), words),
        words=words,
    )
