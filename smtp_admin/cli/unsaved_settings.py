"""Settings in the making: what the wizard was told so far, judged as the page would judge it."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from smtp_admin import clock
from smtp_admin.errors import InvalidInput, SecretError
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.pages.sender_form import SenderForm
from smtp_admin.providers.catalogue import Provider, provider, provider_of_host, providers
from smtp_admin.providers.shape import usable_password
from smtp_admin.senders.advice import Advice, advice
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.revisions import save_settings
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.address import domain_of

_USUAL = [("587", "tls"), ("465", "ssl")]


@dataclass(slots=True)
class UnsavedSettings:
    """The next settings of one sender; nothing of it is saved before :meth:`save`.

    Attributes:
        sender: as it is now; what it has is the default of everything.
        site_domain: where the partner's site is.
        fields: field of the form → text as typed.
        password: as typed; empty for the stored one.
    """

    sender: ResolvedSender
    site_domain: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        form = SenderForm()
        form.fill(self.sender)
        now = {one.short_name: one.data for one in form if one.short_name != "password"}
        self.fields = {
            name: str(value).lower() if isinstance(value, bool) else str(value or "")
            for name, value in now.items()
        } | self.fields

    def locked_by(self, name: str) -> str:
        """The environment variable that holds *name*, or ``""``."""
        return self.sender.locked.get(name, "")

    def complaint(self, name: str, text: str) -> str:
        """Why *text* cannot stand in the field *name*, as sentences; ``""`` if it can."""
        form = SenderForm(MultiDict({name: text}))
        form[name].validate(form)
        return " ".join(str(one) for one in form[name].errors)

    def use(self, chosen: Provider, region: str = "") -> None:
        """Fill in what the preset of a provider says, but for what the environment holds.

        A server that is there already keeps its port and security: a person chose them.

        Raises:
            InvalidInput: there is no such region.
        """
        if region and region not in {one.key for one in chosen.regions}:
            known = ", ".join(one.key for one in chosen.regions) or "none"
            raise InvalidInput(f"{chosen.label} has no region {region!r}. There are: {known}.")
        domain = domain_of(self.fields["from_email"]) or self.site_domain
        host = chosen.host_for(region=region, domain=domain)
        if host != self.fields["host"].strip():
            self.fill_in(host, chosen.port, chosen.security)

    def fill_in(self, host: str, port: int | str, security: str, username: str = "") -> None:
        """Fill in a server, but for what the environment holds."""
        found = {"host": host, "port": str(port), "security": security, "username": username}
        for name, value in found.items():
            if value and not self.locked_by(name):
                self.fields[name] = value

    def security_of(self, port: str) -> str:
        """The security that goes with a *port* at this server."""
        return next((its for one, its in self._places() if one == port.strip()), "tls")

    def port_of(self, security: str) -> str:
        """The port that goes with a *security* at this server; the present one for none."""
        return next((one for one, its in self._places() if its == security), self.fields["port"])

    def _places(self) -> list[tuple[str, str]]:
        known = self.provider.ports if self.provider else ()
        return [(str(one.port), one.security) for one in known] + _USUAL

    @property
    def provider(self) -> Provider | None:
        """Whose server is filled in, if it is a known one."""
        return provider_of_host(self.fields["host"].strip())

    def values(self) -> SenderValues:
        """What was entered, clean.

        Raises:
            InvalidInput: with every field that needs another look.
        """
        return SenderForm(MultiDict(self.fields)).cleaned(self.sender)

    def typed_password(self, values: SenderValues) -> str:
        """The password as the provider means it; empty for the stored one, or for no login.

        Raises:
            InvalidInput: login or password cannot be right for this provider; nothing needs to
                be dialled to know.
        """
        typed = self.password if values.username and not self.locked_by("password") else ""
        return usable_password(values.host, values.username, typed, values.from_email)

    def keeps_password(self, values: SenderValues) -> str:
        """Why the password must be entered for *values*; ``""`` if none needs to be."""
        try:
            self.sender.password_for(values.destination, installation().keyring)
        except InvalidInput as error:
            return error.message
        except SecretError as error:
            return f"{error.message} Enter the password again."
        return ""

    def refuse_missing_variable(self, values: SenderValues) -> None:
        """Return if a password that has to come from the environment does.

        Raises:
            InvalidInput: with the name of the variable.
        """
        variable = self.locked_by("password")
        if variable and values.username and self.keeps_password(values):
            raise InvalidInput(
                f"The environment holds part of these settings, so the password has to come from "
                f"{variable}, which is not set.",
                hint=f"Set {variable} where the app is started, or take the other variables out.",
            )

    def advice(self, values: SenderValues) -> list[Advice]:
        """What a friend who knows mail would say; it blocks nothing."""
        return advice(
            values,
            site_domain=self.site_domain,
            password_set_at=self.sender.password_set_at,
            now=clock.now(),
            password=self.password,
        )

    def as_request(self, values: SenderValues) -> dict[str, Any]:
        """What the connection test is given."""
        return {
            "driver": values.driver,
            "host": values.host,
            "port": values.port,
            "security": values.security,
            "username": values.username,
            "password": self.typed_password(values),
            "from_email": values.from_email,
            "verify_tls": values.verify_tls,
        }

    def changes_nothing(self, values: SenderValues) -> bool:
        """Whether saving would make a revision that is the same as the present one."""
        if not self.sender.revision or values != self.sender.values:
            return False
        typed = self.typed_password(values)
        if not typed:
            return not self.keeps_password(values)
        try:
            return typed == self.sender.password_for(values.destination, installation().keyring)
        except (InvalidInput, SecretError):
            return False

    def save(self, session: Session, values: SenderValues, actor: Actor) -> ResolvedSender:
        """Make *values* the next revision; the caller commits.

        Raises:
            Conflict: somebody else saved since this was begun; nothing was changed.
            InvalidInput: the password is missing, or cannot be right.
            SecretError: there is no key to seal it with, or the stored one does not open.
        """
        return save_settings(
            session,
            self.sender.partner_id,
            values,
            password=self.typed_password(values),
            expected_revision=self.sender.revision,
            actor=actor,
        )


def preset(text: str) -> tuple[Provider, str]:
    """The provider and region that *text* names, such as ``gmail`` or ``ses:eu-central-1``.

    Raises:
        InvalidInput: with those that there are.
    """
    key, _, region = text.strip().lower().partition(":")
    found = provider(key)
    if found is None:
        known = ", ".join(one.key for one in providers())
        raise InvalidInput(f"There is no preset {text[:60]!r}. There are: {known}.")
    return found, region
