"""What is said of an alert, by mail and to a webhook: the same values for both."""

from datetime import datetime
from typing import Any

from smtp_admin.installation import installation
from smtp_admin.monitor.alerts.kinds import BY_NAME
from smtp_admin.monitor.alerts.models import Alert


def alerts_url() -> str:
    """The public address of the page of alerts, or ``""`` where the app does not know its own."""
    config = installation().config
    return f"{config.public_url}{config.url_prefix}/alerts" if config.public_url else ""


def values_of(alert: Alert, event: str) -> dict[str, Any]:
    """Everything that a template may use; all of it is text but ``sender_id``."""
    known = BY_NAME.get(alert.kind)
    label = known.label if known else alert.kind
    ended = event == "ended"
    words = f"{alert.headline}." + (f" {alert.detail}" if alert.detail else "")
    app_name = installation().config.app_name
    return {
        "app_name": app_name,
        "event": "ended" if ended else "opened",
        "id": alert.public_id,
        "kind": alert.kind,
        "label": label,
        "severity": alert.severity,
        "whose": alert.whose,
        "partner_id": alert.partner_id,
        "sender_id": alert.sender_id,
        "sender": alert.sender_key,
        "headline": alert.headline,
        "detail": alert.detail,
        "opened_at": _time(alert.opened_at),
        "ended_at": _time(alert.ended_at),
        "url": alerts_url(),
        "text": f"{app_name}: {'Ended: ' if ended else ''}{label}, {alert.whose}. {words}",
    }


def _time(at: datetime | None) -> str:
    return "" if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
