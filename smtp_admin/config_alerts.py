"""The keys of the configuration that alerts, the weekly summary and metrics have."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from smtp_admin.config_values import Key, read_flag, read_text, read_whole, read_words

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
#: How Standard Webhooks writes a secret, and how many bytes it has.
_SECRET_PREFIX = "whsec_"  # noqa: S105 - it only says what follows
_SECRET_BYTES = range(24, 65)
_TOKEN = re.compile(r"[!-~]{16,200}")
_LONGEST_URL = 2000


def _addresses(value: Any) -> tuple[str, ...]:
    found = read_words(value)
    for position, one in enumerate(found, 1):
        if not _ADDRESS.fullmatch(one):
            raise ValueError(f"must be a list of e-mail addresses; number {position} is none")
    return found


def _webhook(value: Any) -> str:
    url = read_text(value)
    if not url:
        return url
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its port is none, or a bracket is missing
        usable = False
    # Not the URL itself: with Slack and others it is the secret.
    if not usable or "@" in parts.netloc or not re.fullmatch(r"[!-~]+", url):
        raise ValueError("must be an http:// or https:// address without a login")
    if len(url) > _LONGEST_URL:
        raise ValueError(f"must have at most {_LONGEST_URL} characters")
    return url


def webhook_key(secret: str) -> bytes:
    """The bytes that sign, of a secret as Standard Webhooks writes it.

    Raises:
        ValueError: it is none.
    """
    try:
        found = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not secret.startswith(_SECRET_PREFIX) or len(found) not in _SECRET_BYTES:
        raise ValueError(
            f"must be {_SECRET_PREFIX} and {_SECRET_BYTES[0]} to {_SECRET_BYTES[-1]} bytes "
            "in Base64"
        )
    return found


def _webhook_secret(value: Any) -> str:
    text = read_text(value)
    if text:
        webhook_key(text)
    return text


def _token(value: Any) -> str:
    text = read_text(value)
    if text and not _TOKEN.fullmatch(text):
        raise ValueError("must be 16 to 200 letters, digits and signs without a space")
    return text


@dataclass(frozen=True, slots=True)
class AlertConfig:
    """The values of :data:`ALERT_KEYS`; see there for each meaning."""

    alert_emails: tuple[str, ...]
    alert_dead_letters: int
    alert_webhook: str
    alert_webhook_secret: str
    alert_webhook_body: str
    weekly_summary: bool
    summary_emails: tuple[str, ...]
    metrics_token: str


ALERT_KEYS: tuple[Key, ...] = (
    Key("ALERT_EMAILS", (), _addresses, "Who gets a mail when an alert opens and when it ends."),
    Key("ALERT_DEAD_LETTERS", 10, read_whole(1, 1_000_000), "Number of dead letters of one partner "
        "in 24 hours that opens an alert."),
    Key("ALERT_WEBHOOK", "", _webhook, "The address that is called when an alert opens and when "
        "it ends.", secret=True),
    Key("ALERT_WEBHOOK_SECRET", "", _webhook_secret, "Key that signs these calls (Standard "
        "Webhooks): `whsec_` and 24 to 64 bytes in Base64.", secret=True),
    Key("ALERT_WEBHOOK_BODY", "", read_text, "A Liquid template of the JSON that is sent there. "
        "Default: everything that is known."),
    Key("WEEKLY_SUMMARY", True, read_flag, "Whether weekly summaries are sent on Mondays."),
    Key("SUMMARY_EMAILS", (), _addresses, "Who gets the weekly summary of all mail."),
    Key("METRICS_TOKEN", "", _token, "The bearer token for reading the metrics.", secret=True),
)  # fmt: skip
