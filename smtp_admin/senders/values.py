"""The values of a sender's fields, each cleaned by one function wherever it comes from.

The page, the JSON, the environment and the command line call the same ones. Each takes text as a
person typed it and returns the value, or raises :class:`ValueError` with a sentence.
"""

import re
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from smtp_admin.senders.destination import Destination
from smtp_admin.smtp.address import check_header_text, clean_address
from smtp_admin.smtp.session import Security

_LONGEST_NAME = 64
_LONGEST_USERNAME = 320
_LONGEST_PASSWORD = 1000
_HIGHEST_PORT = 65535
_MOST_PER_HOUR = 10_000_000
#: What the page shows instead of a password; it must never become one.
PASSWORD_MASK = "*****"  # noqa: S105 - the mask, not a password
DEFAULT_PORT = 587
DEFAULT_CONNECTIONS = 2
MOST_CONNECTIONS = 20
SECURITY_LABELS: dict[Security, str] = {
    "tls": "STARTTLS",
    "ssl": "SSL/TLS",
    "none": "No encryption",
}
#: The port of a test that names none (the protocol's own, and what the INTERFACE promises).
UNNAMED_PORT = 25


@dataclass(frozen=True, slots=True)
class SenderValues:
    """The settings of a sender without its password, all of them clean."""

    host: str
    port: int
    security: Security
    username: str
    from_email: str
    from_name: str = ""
    reply_to: str = ""
    verify_tls: bool = True
    max_per_hour: int | None = None
    max_per_day: int | None = None
    max_connections: int = DEFAULT_CONNECTIONS
    fallback: bool = False
    driver: str = "smtp"

    @property
    def destination(self) -> Destination:
        """Where the password of these settings may go."""
        return Destination.of(self)


def clean_port(text: str) -> int:
    """A TCP port. Only ASCII digits: ``int()`` would also take ``٢٥``, ``2_5`` and ``+25``."""
    digits = text.strip(" ")
    if not re.fullmatch(r"[0-9]{1,6}", digits) or not 1 <= int(digits) <= _HIGHEST_PORT:
        raise ValueError("A port is a whole number from 1 to 65535.")
    return int(digits)


def clean_username(text: str) -> str:
    """A login. Spaces around it are never meant."""
    username = text.strip()
    if len(username) > _LONGEST_USERNAME:
        raise ValueError("A login has at most 320 characters.")
    if any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in username):  # noqa: PLR2004
        raise ValueError("A login has no line breaks or control characters.")
    return _encodable(username)


def clean_password(text: str) -> str:
    """A password, exactly as typed: spaces around it may belong to it."""
    if text == PASSWORD_MASK:
        raise ValueError("These are the asterisks that stand for the saved password. Enter the "
                         "password itself, or leave the field empty to keep it.")  # fmt: skip
    if len(text) > _LONGEST_PASSWORD:
        raise ValueError("A password has at most 1000 characters.")
    if any(letter in text for letter in "\0\r\n"):
        raise ValueError("A password has no line breaks.")
    return _encodable(text)


def _encodable(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("This contains a broken character.") from error
    return text


def clean_from_email(text: str) -> str:
    """The address that mails come from: also the envelope sender."""
    address = clean_address(text)
    if not address.isascii():
        raise ValueError("A sender address has only unaccented letters before the @.")
    try:
        # Two opinions: ours on what is safe on the wire, the library's on what can exist.
        validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from error
    return address


def clean_reply_to(text: str) -> str:
    """The address that answers go to; empty for the from address."""
    return clean_from_email(text) if text.strip() else ""


def clean_from_name(text: str) -> str:
    """The name beside the from address."""
    name = " ".join(text.split(" ")).strip()
    if len(name) > _LONGEST_NAME:
        raise ValueError("A name has at most 64 characters.")
    return check_header_text(name)


def clean_connections(text: str) -> int:
    """Connections at a time; empty for the usual number."""
    digits = text.strip(" ")
    if not digits:
        return DEFAULT_CONNECTIONS
    if not re.fullmatch(r"[0-9]{1,2}", digits) or not 1 <= int(digits) <= MOST_CONNECTIONS:
        raise ValueError(f"Enter a whole number from 1 to {MOST_CONNECTIONS}.")
    return int(digits)


def clean_limit(text: str) -> int | None:
    """Mails per hour or day; empty for no limit."""
    digits = text.strip(" ")
    if not digits:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", digits) or not 1 <= int(digits) <= _MOST_PER_HOUR:
        raise ValueError("Enter a whole number from 1, or leave it empty for no limit.")
    return int(digits)
