"""The outgoing webhook: a body from a template, signed as Standard Webhooks says.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from smtp_admin.config import Config
from smtp_admin.config_alerts import webhook_key
from smtp_admin.errors import ConfigError

#: What is sent where no template is configured.
DEFAULT_BODY = """{
  "type": {{ "alert." | append: event | json }},
  "timestamp": {{ timestamp | json }},
  "data": {
    "id": {{ id | json }}, "kind": {{ kind | json }}, "label": {{ label | json }},
    "severity": {{ severity | json }}, "whose": {{ whose | json }},
    "partner_id": {{ partner_id | json }}, "sender": {{ sender | json }},
    "headline": {{ headline | json }}, "detail": {{ detail | json }}, "text": {{ text | json }},
    "opened_at": {{ opened_at | json }}, "ended_at": {{ ended_at | json }}, "url": {{ url | json }}
  }
}
"""
_HOSTILE = "\"'}],\\ \n\t<b>&\u2028 {{ x }}"
#: What a template is tried with: where a filter is forgotten, this is no JSON any more.
_SAMPLE = dict.fromkeys(
    (
        "app_name", "event", "id", "kind", "label", "severity", "whose", "partner_id", "sender",
        "headline", "detail", "opened_at", "ended_at", "since", "until", "url", "text", "timestamp",
    ),
    _HOSTILE,
) | {"sender_id": 1}  # fmt: skip


def body_of(config: Config, values: Mapping[str, Any], moment: datetime) -> bytes:
    """The JSON to send.

    Raises:
        ValueError: the template makes something else of these values.
    """
    timestamp = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    text = _fill(config.alert_webhook_body or DEFAULT_BODY, {**values, "timestamp": timestamp})
    json.loads(text)
    return text.encode()


def check_body(config: Config) -> None:
    """Return if the configured template makes JSON, whatever its values are.

    Raises:
        ConfigError: it does not; says what would be right.
    """
    if not config.alert_webhook_body:
        return  # ours is tried by a test, and Liquid takes long to import
    problem = ""
    for event in ("opened", "ended"):
        try:
            text = _fill(config.alert_webhook_body, {**_SAMPLE, "event": event})
            whole = json.loads(text)
        except ValueError as error:
            problem = problem or str(error)
        else:
            problem = problem or ("" if isinstance(whole, dict) else "it is no object")
    if problem:
        raise ConfigError(
            "SMTP_ADMIN_ALERT_WEBHOOK_BODY does not make JSON of every value: "
            f"{problem}. Write a value as {{{{ text | json }}}}, without quotes around it."
        )


def headers_of(config: Config, message_id: str, body: bytes, moment: datetime) -> dict[str, str]:
    """The headers beside *body*; with the signature where there is a secret."""
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
    }
    if config.alert_webhook_secret:
        key = webhook_key(config.alert_webhook_secret)
        headers["webhook-signature"] = sign(key, message_id, headers["webhook-timestamp"], body)
    return headers


def sign(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """The signature of one message, version 1."""
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _fill(source: str, values: Mapping[str, Any]) -> str:
    from smtp_admin.mail.liquid import fill  # takes long to import

    return fill(source, values, escape=False)
