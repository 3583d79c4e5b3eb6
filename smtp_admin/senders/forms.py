"""The form of the SMTP tab. What a field accepts is decided in :mod:`.values`."""

from collections.abc import Callable
from typing import Any

from wtforms import BooleanField, Field, Form, HiddenField, PasswordField, SelectField, StringField
from wtforms.validators import ValidationError

from smtp_admin.errors import InvalidInput
from smtp_admin.senders import values as clean
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.smtp.hostname import clean_host, display_host


class Cleaned:
    """A validator that replaces what was typed by what it means."""

    def __init__(self, read: Callable[[str], Any], *, required: str = "") -> None:
        self._read = read
        self._required = required
        self.field_flags = {"required": True} if required else {}

    def __call__(self, form: Any, field: Field) -> None:
        """Read ``field.data`` into the form's ``values_read``."""
        text = field.data or ""
        if not text.strip() and self._required:
            raise ValidationError(self._required)
        try:
            form.values_read[field.short_name] = self._read(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error


_COMPARED = (
    "host",
    "port",
    "security",
    "username",
    "from_email",
    "from_name",
    "reply_to",
    "max_connections",
    "max_per_hour",
    "max_per_day",
)


class SenderForm(Form):
    """The settings of one sender.

    The token against forged requests is checked for the whole blueprint, not here.
    """

    driver = HiddenField(default="smtp")
    host = StringField(
        "Host",
        [Cleaned(clean_host, required="Enter the host name of the mail server.")],
        description="The outgoing mail server, without http:// and without a port.",
    )
    port = StringField(
        "Port",
        [Cleaned(clean.clean_port, required="Enter the port; 587 is usual.")],
        default=str(clean.DEFAULT_PORT),
        description="587 for STARTTLS, 465 for SSL; 2525 where those are blocked.",
    )
    security = SelectField(
        "Security",
        choices=[*clean.SECURITY_LABELS],  # type: ignore[list-item]  # the stubs know only pairs
        default="tls",
    )
    username = StringField(
        "Login",
        [Cleaned(clean.clean_username)],
        description="Often the full e-mail address. Empty if the server wants none.",
    )
    password = PasswordField("Password", [Cleaned(clean.clean_password)])
    from_email = StringField(
        "From address",
        [Cleaned(clean.clean_from_email, required="Enter the address that mails come from.")],
        description="Where mails come from; the server must allow it for this login.",
    )
    from_name = StringField(
        "From name",
        [Cleaned(clean.clean_from_name)],
        description="At most 64 characters; the application's name if empty.",
    )
    reply_to = StringField(
        "Reply-to address",
        [Cleaned(clean.clean_reply_to)],
        description="Where answers go, such as support@…; the from address if empty.",
    )
    max_per_hour = StringField(
        "Mails per hour, at most",
        [Cleaned(clean.clean_limit)],
        description="What the provider allows; more waits and goes out later. Empty: no limit.",
    )
    max_per_day = StringField(
        "Mails per day, at most",
        [Cleaned(clean.clean_limit)],
        description="In any 24 hours. Empty: no limit.",
    )
    max_connections = StringField(
        "Connections at a time",
        [Cleaned(clean.clean_connections)],
        default=str(clean.DEFAULT_CONNECTIONS),
        description="Over all workers. Providers often allow five to twenty.",
    )
    fallback = BooleanField("Let the system's sender step in while this one cannot send")
    verify_tls = BooleanField("Check the server's certificate", default=True)
    revision = HiddenField(default="0")

    def __init__(self, formdata: Any = None) -> None:
        super().__init__(formdata)
        self.values_read: dict[str, Any] = {}

    def fill(self, sender: ResolvedSender) -> None:
        """Show what applies now; never a password."""
        values = sender.values
        self.driver.data = values.driver
        self.host.data = display_host(values.host)
        self.port.data = str(values.port)
        self.security.data = values.security
        self.username.data = values.username
        self.from_email.data = values.from_email
        self.from_name.data = values.from_name
        self.reply_to.data = values.reply_to
        self.max_per_hour.data = "" if values.max_per_hour is None else str(values.max_per_hour)
        self.max_per_day.data = "" if values.max_per_day is None else str(values.max_per_day)
        self.max_connections.data = str(values.max_connections)
        self.fallback.data = values.fallback
        self.verify_tls.data = values.verify_tls
        self.revision.data = str(sender.revision)

    def cleaned(self, sender: ResolvedSender) -> clean.SenderValues:
        """The values that were entered; what the environment holds stays as it is.

        Raises:
            InvalidInput: with every field that needs another look.
        """
        for name in sender.locked:
            self._lock(name, sender)
        if not self.validate():
            raise InvalidInput(fields=self.complaints())
        locked = {
            name: getattr(sender.values, name) for name in sender.locked if name != "password"
        }
        entered: dict[str, Any] = {
            name: self.values_read.get(name)
            for name in (
                "host",
                "port",
                "username",
                "from_email",
                "from_name",
                "reply_to",
                "max_per_hour",
                "max_per_day",
                "max_connections",
            )
        } | {
            "driver": "smtp",
            "security": self.security.data,
            "verify_tls": bool(self.verify_tls.data),
            "fallback": bool(self.fallback.data),
        }
        return clean.SenderValues(**(entered | locked))

    def complaints(self) -> dict[str, list[str]]:
        """Field → sentences."""
        return {name: [str(text) for text in texts] for name, texts in self.errors.items() if name}

    def differences(self, sender: ResolvedSender) -> dict[str, str]:
        """Field → what is saved, where something else was entered; for who was too late."""
        saved = SenderForm()
        saved.fill(sender)
        return {
            name: str(saved[name].data)
            for name in _COMPARED
            if name not in sender.locked and (self[name].data or "") != (saved[name].data or "")
        }

    @property
    def typed_password(self) -> str:
        """What was entered as password, exactly; empty for the stored one."""
        return str(self.password.data or "")

    @property
    def seen_revision(self) -> int:
        """The revision that was on the page."""
        text = str(self.revision.data or "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else -1  # noqa: PLR2004

    def _lock(self, name: str, sender: ResolvedSender) -> None:
        if name == "password":
            self.password.data = ""
            return
        value = getattr(sender.values, name)
        self[name].data = "" if value is None else str(value)
