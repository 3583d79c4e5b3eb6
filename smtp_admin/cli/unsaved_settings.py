"""Settings in the making: what the wizard was told so far, judged as the page would judge it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from smtp_admin import clock
from smtp_admin.clock import now
from smtp_admin.connection.probe import TestResult
from smtp_admin.connection.tested_before import Note, count_for_revision, note_of
from smtp_admin.database import session
from smtp_admin.errors import InvalidInput, SecretError
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.providers.catalogue import provider_of_host
from smtp_admin.providers.provider import Provider
from smtp_admin.providers.shape import usable_password
from smtp_admin.senders.advice import Advice, advice
from smtp_admin.senders.fields import DRIVER, clean_texts, fields_of
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.revisions import check_values, save_settings
from smtp_admin.senders.values import SenderValues, texts_of
from smtp_admin.smtp.address import domain_of
from smtp_admin.transports.fields import Field

_USUAL = [("587", "tls"), ("465", "ssl")]
#: The driver whose servers, presets and searches the wizard knows.
SMTP = "smtp"


@dataclass(slots=True)
class UnsavedSettings:
    """The next settings of one sender; nothing of it is saved before :meth:`save`.

    Attributes:
        sender: as it is now; what it has is the default of everything.
        site_domain: where the partner's site is.
        texts: field → text as typed, for the fields of every driver that was looked at.
        secrets: secret → text as typed; one that is missing or empty means the stored one.
        label: what people are to call it; ``None`` leaves that as it is.
        tested: the note of the last test, if it succeeded.
    """

    sender: ResolvedSender
    site_domain: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    label: str | None = None
    tested: Note | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.texts = texts_of(self.sender.values) | self.texts

    @property
    def driver(self) -> str:
        """The sending method."""
        return self.texts[DRIVER.name]

    def choose_driver(self, name: str) -> None:
        """Send another way; what both have in common stays as it is."""
        self.texts[DRIVER.name] = name
        for one in self.fields():
            if not one.secret:
                self.texts.setdefault(one.name, one.text(one.default))

    def fields(self) -> tuple[Field, ...]:
        """The fields of this sending method."""
        return fields_of(self.driver)

    def field(self, name: str) -> Field | None:
        """The field with this name, if this sending method has it."""
        return next((one for one in self.fields() if one.name == name), None)

    def locked_by(self, name: str) -> str:
        """The environment variable that holds *name*, or ``""``."""
        return self.sender.locked.get(name, "")

    def complaint(self, one: Field, text: str) -> str:
        """Why *text* cannot stand in this field, as sentences; ``""`` if it can."""
        try:
            one.clean(text)
        except ValueError as error:
            return str(error)
        return one.required if not one.secret and not text.strip() else ""

    def use(self, chosen: Provider, region: str = "") -> None:
        """Fill in what the preset of a provider says, but for what the environment holds.

        A server that is there already keeps its port and security: a person chose them.

        Raises:
            InvalidInput: there is no such region.
        """
        if region and region not in {one.key for one in chosen.regions}:
            known = ", ".join(one.key for one in chosen.regions) or "none"
            raise InvalidInput(f"{chosen.label} has no region {region!r}. There are: {known}.")
        self.choose_driver(SMTP)
        domain = domain_of(self.texts["from_email"]) or self.site_domain
        host = chosen.host_for(region=region, domain=domain)
        if host != self.texts["host"].strip():
            self.fill_in(host, chosen.port, chosen.security)

    def fill_in(self, host: str, port: int | str, security: str, username: str = "") -> None:
        """Fill in a server, but for what the environment holds."""
        found = {"host": host, "port": str(port), "security": security, "username": username}
        for name, value in found.items():
            if value and not self.locked_by(name):
                self.texts[name] = value

    def security_of(self, port: str) -> str:
        """The security that goes with a *port* at this server."""
        return next((its for one, its in self._places() if one == port.strip()), "tls")

    def port_of(self, security: str) -> str:
        """The port that goes with a *security* at this server; the present one for none."""
        return next((one for one, its in self._places() if its == security), self.texts["port"])

    def _places(self) -> list[tuple[str, str]]:
        known = self.provider.ports if self.provider else ()
        return [(str(one.port), one.security) for one in known] + _USUAL

    @property
    def provider(self) -> Provider | None:
        """Whose server is filled in, if it is a known one."""
        return provider_of_host(self.texts.get("host", "").strip())

    def values(self) -> SenderValues:
        """What was entered, clean.

        Raises:
            InvalidInput: with every field that needs another look.
        """
        values, wrong = self._cleaned()
        wrong = wrong or values.missing()
        if wrong:
            raise InvalidInput(fields=wrong)
        return values

    def so_far(self) -> SenderValues:
        """What was entered and can be used; the rest as if nothing had been entered."""
        return self._cleaned()[0]

    def _cleaned(self) -> tuple[SenderValues, dict[str, list[str]]]:
        held = {name: self.sender.values[name] for name in self.sender.locked
                if name in self.sender.values}  # fmt: skip
        entered = {one.name: self.texts.get(one.name, one.text(one.default))
                   for one in self.fields() if not one.secret and one.name not in held}  # fmt: skip
        cleaned, wrong = clean_texts(self.driver, entered)
        return SenderValues(**{DRIVER.name: self.driver} | cleaned | held), wrong

    def typed_secrets(self, values: SenderValues) -> dict[str, str]:
        """The secrets that were typed, as the provider means them.

        Raises:
            InvalidInput: login or password cannot be right for this provider; nothing needs to
                be dialled to know.
        """
        typed = {one.name: self.secrets[one.name] for one in self._secret_fields()
                 if self.secrets.get(one.name) and not self.locked_by(one.name)}  # fmt: skip
        if self.field("password") is None:
            return typed
        if not values.username:
            typed.pop("password", None)
        password = usable_password(
            values.host, values.username, typed.get("password", ""), values.from_email
        )
        return typed | ({"password": password} if password else {})

    def _secret_fields(self) -> Iterator[Field]:
        return (one for one in self.fields() if one.secret)

    def why_to_enter(self, one: Field, values: SenderValues) -> str:
        """Why a secret must be entered for *values*; ``""`` if none needs to be."""
        try:
            self.sender.secret_for(one, values, installation().keyring)
        except InvalidInput as error:
            return error.message
        except SecretError as error:
            return f"{error.message} Enter it again."
        return ""

    def check(self, values: SenderValues) -> None:
        """Return if *values* and the secrets for them could be saved; nothing is dialled.

        Raises:
            InvalidInput: with every field that needs another look, or with the name of a variable
                of the environment that is missing.
        """
        typed = self.typed_secrets(values)
        missing: dict[str, list[str]] = {}
        for one in self._secret_fields():
            reason = "" if typed.get(one.name) else self.why_to_enter(one, values)
            variable = self.locked_by(one.name)
            if reason and variable:
                raise InvalidInput(
                    f"The environment sets part of these settings, so the {one.label.lower()} has "
                    f"to come from {variable}, which is not set.",
                    hint=f"Set {variable} where the app is started, or remove the other variables.",
                )
            if reason:
                missing[one.name] = [reason]
        if missing:
            raise InvalidInput(fields=missing)
        check_values(session(), self.sender, values)
        session().rollback()  # a person may think for long, and no transaction waits for that
        secrets = self.sender.secrets_for(values, installation().keyring, typed)
        unfit = values.kind.check({**values, **secrets})
        if unfit:
            raise InvalidInput(fields=unfit)

    def advice(self, values: SenderValues) -> list[Advice]:
        """What a friend who knows mail would say; it blocks nothing."""
        return advice(
            values,
            site_domain=self.site_domain,
            password_set_at=self.sender.secret_set_at("password"),
            now=clock.now(),
            password=self.secrets.get("password", ""),
        )

    def as_request(self, values: SenderValues) -> dict[str, str]:
        """What the connection test is given."""
        return texts_of(values) | self.typed_secrets(values)

    def changes_nothing(self, values: SenderValues) -> bool:
        """Whether saving would make a revision that is the same as the present one."""
        sender = self.sender
        if not sender.revision or sender.deleted or values != sender.values:
            return False
        if self.label is not None and self.label != sender.label:
            return False
        keyring, typed = installation().keyring, self.typed_secrets(values)
        try:
            stored = sender.secrets_for(values, keyring)
        except (InvalidInput, SecretError):
            return False
        return all(stored.get(name) == text for name, text in typed.items())

    def save(self, session: Session, values: SenderValues, actor: Actor) -> ResolvedSender:
        """Make *values* the next revision; the caller commits.

        Raises:
            Conflict: somebody else saved since this was begun; nothing was changed.
            InvalidInput: a secret is missing, or something cannot be right.
            SecretError: there is no key to seal a secret with, or the stored one does not open.
        """
        saved = save_settings(
            session,
            self.sender.partner_id,
            values,
            secrets=self.typed_secrets(values),
            expected_revision=self.sender.revision,
            actor=actor,
            key=self.sender.key,
            label=self.label,
        )
        count_for_revision(session, self.tested, saved, actor, now())
        return saved

    def was_tested(self, result: TestResult, actor: Actor) -> None:
        """Note what came of a test, for the revision that may follow."""
        self.tested = note_of(result, self.sender.partner_id, self.sender.key, actor, now())
