"""What is said of an alert, by mail and to a webhook: the same values for both.

A row keeps English sentences. Here they become texts again, which are said in the language of
whoever reads them.
"""

from datetime import datetime
from typing import Any

from smtp_admin.installation import installation
from smtp_admin.monitor.alerts.kinds import BY_NAME
from smtp_admin.monitor.alerts.models import Alert
from smtp_admin.monitor.alerts.rules import owner_words
from smtp_admin.read_back import read_back
from smtp_admin.translation import day, gettext, joined


def alerts_url() -> str:
    """The public address of the page of alerts, or ``""`` where the app does not know its own."""
    config = installation().config
    return f"{config.public_url}{config.url_prefix}/alerts" if config.public_url else ""


def values_of(alert: Alert, event: str) -> dict[str, Any]:
    """Everything that a template may use; all of it is text but ``sender_id``."""
    kind = BY_NAME.get(alert.kind)
    label = kind.label if kind else alert.kind
    ended = event == "ended"
    headline, detail, whose = read_back(alert.headline), read_back(alert.detail), whose_of(alert)
    app_name = installation().config.app_name
    about = {"app": app_name, "label": label, "whose": whose, "headline": headline}
    line = (
        gettext("%(app)s: Alert ended: %(label)s, %(whose)s. %(headline)s.", **about)
        if ended
        else gettext("%(app)s: %(label)s, %(whose)s. %(headline)s.", **about)
    )
    return {
        "app_name": app_name,
        "event": "ended" if ended else "opened",
        "id": alert.public_id,
        "kind": alert.kind,
        "label": label,
        "severity": alert.severity,
        "whose": whose,
        "partner_id": alert.partner_id,
        "sender_id": alert.sender_id,
        "sender": alert.sender_key,
        "headline": headline,
        "detail": detail,
        "opened_at": _time(alert.opened_at),
        "ended_at": _time(alert.ended_at),
        "since": _in_words(alert.opened_at),
        "until": _in_words(alert.ended_at),
        "url": alerts_url(),
        "text": joined((line, detail)),
    }


def whose_of(row: Alert) -> str:
    """Of whom an alert is."""
    owner = owner_words(row.partner_id)
    head = f"{owner}, sender "
    if row.whose.startswith(head):
        return gettext("%(owner)s, sender %(name)s", owner=owner, name=row.whose[len(head) :])
    return owner if row.whose == owner else row.whose


def _time(at: datetime | None) -> str:
    return "" if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _in_words(at: datetime | None) -> str:
    return "" if at is None else joined((day(at, year=True, clock=True), "UTC"))
