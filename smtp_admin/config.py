"""One table of every ``SMTP_ADMIN_*`` key of the host's configuration.

The table is read once, by ``init_app``; what it cannot read stops the app at start, with the
key's name and what would be right. A key that it does not know is refused too: a setting that is
silently ignored is worse than none.
"""

import difflib
import ipaddress
import math
import os
import re
import shlex
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from smtp_admin.config_alerts import ALERT_KEYS, AlertConfig
from smtp_admin.config_values import (
    Key,
    read_flag,
    read_ports,
    read_text,
    read_whole,
    read_words,
)
from smtp_admin.encryption import key_bytes
from smtp_admin.errors import ConfigError
from smtp_admin.sandbox_rule import Sandbox, read_sandbox

PREFIX = "SMTP_ADMIN_"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Rate:
    """At most *count* in *seconds*."""

    count: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.count} in {self.seconds // 60} minutes"


def _name(value: Any) -> str:
    # Flask reads what an environment variable says as JSON: a name of digits arrives as a number.
    text = (
        str(value) if isinstance(value, int) and not isinstance(value, bool) else read_text(value)
    )
    # It stands in the From header of every mail whose sender has no name of its own.
    if "=?" in text or re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", text):
        raise ValueError('must be one line of text, without "=?"')
    return text


def _keys(value: Any) -> tuple[str, ...]:
    found = read_words(value)
    for position, key in enumerate(found, 1):
        try:
            key_bytes(key)
        except ValueError as error:
            raise ValueError(
                f"key number {position} is {error}; `flask smtp-admin keys generate` makes one"
            ) from error
    return found


def _number(least: float, most: float, of: str) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if isinstance(value, bool) or not least <= number <= most:
            raise ValueError(f"must be a number{of} from {least:g} to {most:g}")
        return number

    return read


def _networks(value: Any) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text) for text in read_words(value))
    except ValueError as error:
        raise ValueError(f'must be a list of networks such as "10.1.2.0/24": {error}') from error


def _prefix(value: Any) -> str:
    text = read_text(value)
    if not text.startswith("/") or text.endswith("/") or "<" in text:
        raise ValueError('must begin with a slash and not end with one, such as "/smtp-admin"')
    return text


def public_url(value: Any) -> str:
    """The address of an app, without a slash at its end.

    Raises:
        ValueError: it cannot be one; says what would be right.
    """
    text = read_text(value).rstrip("/")
    shape = r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?"
    if text and not (re.fullmatch(shape, text) and len(text) <= _LONGEST_URL and _host_of(text)):
        raise ValueError('must be the address of the app, such as "https://panel.example.com"')
    return text


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.port != 0
    except ValueError:  # its port is none, or a bracket is missing
        return ""
    return (parts.hostname or "") if usable else ""


#: It is kept in an indexed column.
_LONGEST_URL = 400


def _env_prefix(value: Any) -> str:
    text = read_text(value)
    if not re.fullmatch(r"[A-Za-z0-9_]*", text):
        raise ValueError('must consist of letters, digits and underscores, such as "SETGET_"')
    return text


def _optional_file(value: Any) -> Path | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str | os.PathLike):
        raise ValueError("must be the path of a file")
    try:
        path = Path(value)
        found = path.is_file()
        if found:
            ssl.create_default_context(cafile=str(path))
    except ssl.SSLError as error:
        raise ValueError(f"names a file without certificates in PEM form: {value!r}") from error
    except (ValueError, TypeError, OSError):
        found = False
    if not found:
        raise ValueError(f"names a file that does not exist: {value!r}")
    return path


def _redis_url(value: Any) -> str:
    text = read_text(value)
    if not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError(
            'must begin with redis://, rediss:// or unix://, such as "redis://127.0.0.1:6379/0"'
        )
    return text


def _ehlo_name(value: Any) -> str:
    text = read_text(value)
    if text and not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", text):
        raise ValueError('must be a host name, such as "app.example.com"')
    return text


def _command(value: Any) -> tuple[str, ...]:
    parts = tuple(shlex.split(value)) if isinstance(value, str) else read_words(value)
    if not parts or not parts[0].startswith("/"):
        raise ValueError('must be the full path of a program, such as "/usr/sbin/sendmail"')
    return parts


_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


def _rate(value: Any) -> Rate:
    found = re.fullmatch(
        r"\s*([0-9]{1,6})\s+(?:per|in)\s+(?:([0-9]{1,6})\s+)?(second|minute|hour|day)s?\s*",
        read_text(value),
    )
    if not found or int(found[1]) < 1 or int(found[2] or 1) < 1:
        raise ValueError('must read like "30 per 10 minutes"')
    return Rate(int(found[1]), int(found[2] or 1) * _UNITS[found[3]])


def _recipient_limits(value: Any) -> Mapping[str, tuple[Rate, ...]]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError('must be a table such as {"password_reset": "5 per hour, 20 per day"}')
    found = {}
    for name, words in {**PROTECTED, **value}.items():
        try:
            found[name] = tuple(_rate(one) for one in read_words(words or ()))
        except ValueError as error:
            raise ValueError(f"of {name} {error}") from error
    return MappingProxyType({name: rates for name, rates in found.items() if rates})


def _endpoints(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError('must be a table such as {"mailgun": "https://api.example.com"}')
    found = {}
    for name, url in value.items():
        text = read_text(url).rstrip("/")
        parts = urlsplit(text.replace("{region}", "region"))
        # Keys are sent there, so only this machine itself is called without encryption.
        secure = parts.scheme == "https" or (
            parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"}
        )
        if not secure or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError(f'of {name} must be a URL such as "https://api.example.com"')
        found[name] = text
    return MappingProxyType(found)


#: Types of mail that anybody can have sent to anybody by typing an address, with their limits.
PROTECTED = {
    "password_reset": "5 per hour",
    "magic_link": "5 per hour",
    "security_welcome_existing": "5 per hour",
    "security_welcome_existing_username": "5 per hour",
    "security_confirmation_instructions": "5 per hour",
    "security_login_instructions": "5 per hour",
    "security_reset_instructions": "5 per hour",
    "security_username_recovery": "5 per hour",
    "security_us_instructions": "10 per hour",
}

KEYS: tuple[Key, ...] = (
    Key("SECRET_KEYS", (), _keys, "Keys that encrypt stored passwords. The first one encrypts, "
        "all of them decrypt. `flask smtp-admin keys generate` makes one.", secret=True),
    Key("REDIS_URL", "redis://127.0.0.1:6379/0", _redis_url, "The Redis that wakes the "
        "workers.", secret=True),
    Key("APP_NAME", "", _name, "What mails and pages call the app. Default: the Flask app's name."),
    Key("LAYOUT", "smtp_admin/layout.html", read_text, "The template that the pages extend; it "
        "needs the blocks `title`, `head`, `content` and `scripts`."),
    Key("URL_PREFIX", "/smtp-admin", _prefix, "Where the pages are mounted."),
    Key("ENV_PREFIX", "", _env_prefix, "Prefix of the environment variables of "
        'the system sender: `SETGET_` reads `SETGET_SMTP_HOST`.'),
    Key("ALLOWED_PORTS", (25, 465, 587, 2525), read_ports, "Ports that a mail server may have."),
    Key("ALLOWED_NETWORKS", (), _networks, "Private networks that the app may connect to, "
        'such as `["10.1.2.0/24"]`. All other addresses that are not public are refused.'),
    Key("CONNECT_TIMEOUT", 10.0, _number(0.1, 60, " of seconds"), "Seconds to wait for a "
        "connection."),
    Key("CA_FILE", None, _optional_file, "A file of certificates (PEM) to trust in addition "
        "to the system's, such as a private CA."),
    Key("EHLO_NAME", "", _ehlo_name, "The name that this app sends in EHLO. "
        "Default: the address it connects from, in brackets."),
    Key("TEST_LIMIT", "30 per 10 minutes", _rate, "How often one person may test a connection; "
        "and, counted apart, find or export a person's data."),
    Key("PARTNER_TEST_LIMIT", "90 per 10 minutes", _rate, "The same for all people of one partner "
        "together."),
    Key("TESTS_AT_ONCE", 3, read_whole(1, 1000), "Tests that a web process runs at a time. Set it "
        "lower than its number of threads."),
    Key("TEST_MAIL_LIMIT", "10 per 60 minutes", _rate, "How often one person may send a test "
        "mail to an address other than their own."),
    Key("CHANGE_LIMIT", "60 per 10 minutes", _rate, "How often one person may save, pause, resume, "
        "delete or roll back; and one recipient begin again with notices. Commands are not "
        "limited."),
    Key("API_LIMIT", "600 per minute", _rate, "Requests that one API token, or one person, may "
        "make."),
    Key("EVENT_LIMIT", "30000 per minute", _rate, "Events that the webhooks of one partner take "
        "together, and each of the system's. What is beyond them is answered with 429, and "
        "providers send it again."),
    Key("EVENT_DAY_LIMIT", 3_000_000, read_whole(1, 1_000_000_000), "Events that the webhooks of "
        "one partner take in a day."),
    Key("IMPORT_SUPPRESSIONS", True, read_flag, "Whether workers import the suppression lists of "
        "providers once a day."),
    Key("QUEUE_LIMIT", 10_000, read_whole(1, 100_000_000), "Mails that one partner may have "
        "waiting."),
    Key("BATCH_LIMIT", 1_000_000, read_whole(1, 100_000_000), "Most mails of one batch; the limit "
        "of the queue is for other mail."),
    Key("RECIPIENT_LIMITS", {}, _recipient_limits, "How often one recipient may get mail of a "
        'type: `{"password_reset": "5 per hour, 20 per day"}`; `""` for any number. Without it 5 '
        "per hour for `password_reset`, `magic_link`, and what strangers can have sent by "
        "Flask-Security."),
    Key("MESSAGE_LIMIT", 25 * 1024 * 1024, read_whole(1024, 1024**3), "Largest mail in bytes."),
    Key("RETRY_ATTEMPTS", 3, read_whole(0, 100), "Retries after the first send. After "
        "them the mail "
        "is a dead letter."),
    Key("RETRY_DELAY", 30.0, _number(0.01, 86400, " of seconds"), "Seconds before the "
        "first retry."),
    Key("RETRY_FACTOR", 4.0, _number(1, 100, ""), "Each further retry waits this many times "
        "as long as the one before: 30 s, 2 min, 8 min."),
    Key("PUBLIC_URL", "", public_url, "The public address of the app, such as "
        '"https://panel.example.com"; links in reminders start with it, and it identifies '
        "copies of the database."),
    Key("SANDBOX", "", lambda value: read_sandbox(read_text(value)), "Sends "
        "mail only to one address (`redirect:dev@example.com`) or to some "
        "(`allow:me@example.com,*@example.org`)."),
    Key("PARTNER_DRIVERS", ("smtp",), read_words, "The sending methods that a partner's own admins "
        "may choose. Platform admins may choose any."),
    Key("SENDMAIL", ("/usr/sbin/sendmail",), _command, "The program that passes mail to this "
        "machine's mail server, with its arguments."),
    Key("API_ENDPOINTS", {}, _endpoints, "Where the API of a sending method is, if it is not its "
        'provider\'s usual address: `{"mailgun": "https://proxy.example.com/{region}"}`.'),
    Key("MEMORY_DRIVER", False, read_flag, "Whether the memory driver, which keeps mail and sends "
        "none, may be chosen outside of TESTING and DEBUG."),
    Key("KEEP_DAYS", 30, read_whole(1, 3650), "Days that the texts of finished mails are kept."),
    *ALERT_KEYS,
)  # fmt: skip


_NAMES = [key.name for key in KEYS]
_SECRET = {key.name.lower() for key in KEYS if key.secret}
_FILE = "_FILE"


@dataclass(frozen=True, slots=True)
class Config(AlertConfig):
    """The configuration as it was when the app started; see :data:`KEYS` for each meaning."""

    secret_keys: tuple[str, ...]
    redis_url: str
    app_name: str
    layout: str
    url_prefix: str
    env_prefix: str
    allowed_ports: frozenset[int]
    allowed_networks: tuple[Network, ...]
    connect_timeout: float
    ca_file: Path | None
    ehlo_name: str
    test_limit: Rate
    partner_test_limit: Rate
    tests_at_once: int
    change_limit: Rate
    api_limit: Rate
    event_limit: Rate
    event_day_limit: int
    import_suppressions: bool
    test_mail_limit: Rate
    queue_limit: int
    batch_limit: int
    recipient_limits: Mapping[str, tuple[Rate, ...]]
    message_limit: int
    retry_attempts: int
    retry_delay: float
    retry_factor: float
    public_url: str
    sandbox: Sandbox | None
    partner_drivers: tuple[str, ...]
    sendmail: tuple[str, ...]
    api_endpoints: Mapping[str, str]
    memory_driver: bool
    keep_days: int

    def __repr__(self) -> str:
        shown = (
            f"{one.name}={getattr(self, one.name)!r}"
            for one in fields(self)
            if one.name not in _SECRET
        )
        return f"Config({', '.join(shown)})"


def read_config(mapping: Mapping[str, Any], *, app_name: str) -> Config:
    """The checked configuration from Flask's ``app.config``.

    Raises:
        ConfigError: a key is unknown or its value unusable; all of them are named at once.
    """
    known = {PREFIX + key.name: key for key in KEYS}
    files = {name + _FILE for name, key in known.items() if key.secret}
    complaints = []
    for name in sorted(mapping):
        if name.startswith(PREFIX) and name not in known and name not in files:
            # Without what all of them share, which would make any two look alike.
            near = difflib.get_close_matches(name[len(PREFIX) :], _NAMES, n=1)
            complaints.append(f"{name} is not known" + (f"; {PREFIX}{near[0]}?" if near else "."))
    values: dict[str, Any] = {}
    for name, key in known.items():
        try:
            values[key.name.lower()] = key.read(_given(mapping, name, key))
        except ValueError as error:
            complaints.append(f"{name} {error}.")
    if complaints:
        raise ConfigError("The configuration of smtp_admin is wrong: " + " ".join(complaints))
    values["app_name"] = values["app_name"] or app_name
    return Config(**values)


def _given(mapping: Mapping[str, Any], name: str, key: Key) -> Any:
    """What the configuration says for *key*, itself or by the file that it names."""
    path = mapping.get(name + _FILE) if key.secret else None
    if not path:
        return mapping.get(name, key.default)
    if mapping.get(name):
        raise ValueError(f"and {name}_FILE are both set; remove one")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f"_FILE names a file that cannot be read: {path!r}") from error
    if not text.strip():
        raise ValueError(f"_FILE names a file that is empty: {path!r}")
    return text.strip()
