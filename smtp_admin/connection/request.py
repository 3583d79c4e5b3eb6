"""Read what is to be tested, from JSON or a form, saved or not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from smtp_admin.encryption import Keyring
from smtp_admin.errors import InvalidInput
from smtp_admin.senders.destination import Destination
from smtp_admin.senders.guidance import usable_password
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.values import (
    UNNAMED_PORT,
    clean_from_email,
    clean_password,
    clean_port,
    clean_username,
)
from smtp_admin.smtp.hostname import clean_host
from smtp_admin.smtp.session import SECURITIES
from smtp_admin.transports.driver import Setup

#: Python refuses to write larger numbers out, and no field takes one.
_MOST_BITS = 4000
_TRUE = {"true", "1", "yes", "on", "y"}
_FALSE = {"false", "0", "no", "off", ""}


@dataclass(frozen=True, slots=True)
class TestRequest:
    """A destination to test, with the password that may be sent there."""

    __test__ = False  # not one of pytest's

    destination: Destination
    password: str
    from_email: str

    @property
    def setup(self) -> Setup:
        """What is tested, ready for its driver."""
        return self.destination.setup(self.password)

    def __repr__(self) -> str:
        return f"TestRequest({self.destination})"


def read_request(given: Mapping[str, Any], sender: ResolvedSender, keyring: Keyring) -> TestRequest:
    """What *given* asks to test for *sender*.

    Fields that the environment holds count as the environment says, whatever was sent. An empty
    password means the stored one.

    Raises:
        InvalidInput: ``missing_host``, ``invalid_input`` or ``password_required``; nothing may
            be dialled.
    """
    reader = _Reader(given, sender)
    driver = reader.text("driver", lambda text: _one_of(text or "smtp", ("smtp",)))
    host = reader.text("host", lambda text: clean_host(text) if text.strip() else "")
    port = reader.text("port", lambda text: clean_port(text) if text.strip() else UNNAMED_PORT)
    security = reader.text("security", lambda text: _one_of(text or "tls", SECURITIES))
    username = reader.text("username", clean_username)
    from_email = reader.text(
        "from_email", lambda text: clean_from_email(text) if text.strip() else ""
    )
    typed = "" if "password" in sender.locked else reader.text("password", clean_password)
    verify_tls = reader.flag("verify_tls", default=True)
    if not host and "host" not in reader.problems:
        raise InvalidInput(
            "Enter the host name of the mail server first.",
            code="missing_host",
            hint="Your provider names it, often as “outgoing server (SMTP)”.",
            fields={"host": ["Enter the host name of the mail server."]},
        )
    if reader.problems:
        raise InvalidInput(fields=reader.problems)
    typed = usable_password(host, username, typed, from_email)
    destination = Destination(
        host=host,
        port=port,
        security=security,
        username=username,
        verify_tls=verify_tls,
        driver=driver,
    )
    password = sender.password_for(destination, keyring, typed)
    return TestRequest(destination, password if username else "", from_email)


class _Reader:
    """Reads one field after another and collects what is wrong with each."""

    def __init__(self, given: Mapping[str, Any], sender: ResolvedSender) -> None:
        self._given = given
        self._sender = sender
        self.problems: dict[str, list[str]] = {}

    def text(self, name: str, read: Callable[[str], Any]) -> Any:
        """A field as text; whole numbers are taken as such too, nothing else is."""
        if name in self._sender.locked:
            return getattr(self._sender.values, name)
        value = self._given.get(name)
        if value is None:
            value = ""
        elif isinstance(value, int) and not isinstance(value, bool):
            value = str(value) if value.bit_length() < _MOST_BITS else "-"
        if not isinstance(value, str):
            self.problems[name] = ["Send text or a whole number."]
            return None
        try:
            return read(value)
        except ValueError as error:
            self.problems[name] = [str(error)]
            return None

    def flag(self, name: str, *, default: bool) -> bool:
        """A field as yes or no."""
        value = self._given.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        word = value.strip().lower() if isinstance(value, str) else "?"
        if word not in _TRUE | _FALSE:
            self.problems[name] = ["This must be true or false."]
        return word in _TRUE


def _one_of(text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise ValueError(f"Choose one of: {', '.join(choices)}.")
    return text
