"""Mailjet's events: a list of them, or one alone where its grouping is off; none has an id.

https://dev.mailjet.com/email/guides/webhooks/
"""

from collections.abc import Mapping
from typing import Any

from smtp_admin.events.arrived import Arrived, NotUnderstood, document_of
from smtp_admin.events.event import Bounce, Event, Kind, identity_of
from smtp_admin.events.readers.values import bare_id, items, moment, status_in, text
from smtp_admin.events.severity import weighed
from smtp_admin.translation import gettext

_KINDS: dict[str, Kind] = {
    "sent": "delivered",
    "bounce": "bounced",
    "blocked": "bounced",
    "spam": "complained",
    "open": "opened",
    "click": "clicked",
    "unsub": "unsubscribed",
}
_HARD = {"user unknown", "mailbox inactive", "invalid domain", "no mail host", "typofix"}


def read(arrived: Arrived) -> list[Event]:
    """The events of interest.

    Raises:
        NotUnderstood: it is neither an event nor a list.
    """
    document = document_of(arrived.body)
    if not isinstance(document, list | dict):
        raise NotUnderstood(gettext("This is no event of Mailjet's."))
    listed = document if isinstance(document, list) else [document]
    return [event for one in items({"": listed}, "") if (event := _event(one)) is not None]


def _event(one: Mapping[str, Any]) -> Event | None:
    name, error = text(one, "event"), text(one, "error")
    kind = _KINDS.get(name)
    if kind is None:
        return None
    hard = one.get("hard_bounce") is True or error in _HARD
    if error == "greylisted" and not hard:
        kind = "deferred"  # it is tried again
    # A number of 64 bits, of which a float would lose the end.
    provider_id, recipient = text(one, "MessageID"), text(one, "email")
    said = (text(one, "smtp_reply"), text(one, "comment"))
    return Event(
        kind,
        identity=identity_of("mailjet", provider_id, name, one.get("time"), recipient.lower(),
                             text(one, "url")),
        recipient=recipient,
        at=moment(one.get("time")),
        message_id=bare_id(text(one, "CustomID")),
        provider_id=provider_id,
        bounce=_bounce(name, *said, error, hard=hard) if kind == "bounced" else "",
        code=status_in(*said),
        words=next((words for words in (*said, error) if words), ""),
    )  # fmt: skip


def _bounce(name: str, *said: str, hard: bool) -> Bounce:
    if hard:
        return weighed("hard", *said)
    return "policy" if name == "blocked" else weighed("soft", *said)
