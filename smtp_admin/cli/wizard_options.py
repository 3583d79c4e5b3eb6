"""What the wizard's options say, and everything that is missing or wrong about it, told at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from smtp_admin.cli.field_options import (
    option_name,
    option_names,
    secret_on_stdin,
    secrets_given,
    texts_given,
)
from smtp_admin.cli.group import BadUsage
from smtp_admin.cli.unsaved_settings import SMTP, UnsavedSettings
from smtp_admin.errors import InvalidInput
from smtp_admin.providers.catalogue import provider, providers
from smtp_admin.providers.provider import Provider
from smtp_admin.senders.drivers import available_drivers
from smtp_admin.senders.fields import DRIVER, drivers_with
from smtp_admin.senders.revisions import clean_label
from smtp_admin.transports.fields import Field
from smtp_admin.transports.registry import driver

_STDIN = "--password-stdin"
_GIVEN_ALONE = {"preset": "--preset", "label": "--label", "sender": "--sender"}


@dataclass(frozen=True, slots=True)
class Given:
    """What stood on the command line beside what its fields say.

    Attributes:
        preset: the name of a provider.
        label: what people are to call the sender.
        password_stdin: whether standard input is the password.
        parameters: those of :mod:`.field_options`, as Click read them.
    """

    preset: str | None
    label: str | None
    password_stdin: bool
    parameters: Mapping[str, Any]


class WizardOptions:
    """Puts what was given into the unsaved settings, and collects what is wrong with it.

    Args:
        as_json: whether a script asks, which gets its errors as JSON.
    """

    def __init__(self, unsaved: UnsavedSettings, *, as_json: bool) -> None:
        self._unsaved = unsaved
        self._as_json = as_json
        #: The fields that need not be asked for.
        self.names: set[str] = set()
        self._wrong: dict[str, list[str]] = {}
        #: Field → the option that people know it by.
        self._options = _GIVEN_ALONE | option_names()

    def take(self, given: Given) -> None:
        """Put the options into the settings, the preset before what is more exact."""
        texts, unread = texts_given(given.parameters)
        self._wrong |= unread
        self._choose_driver(texts.pop(DRIVER.name, None), preset_given=given.preset is not None)
        if "from_email" in texts:
            self._put("from_email", texts.pop("from_email"))  # the preset of a domain needs it
        if given.preset is not None:
            self._use(given.preset)
        if "host" in texts:
            self._put("host", texts.pop("host"))
        if given.preset is not None or not self._unsaved.sender.revision:
            self._complete(texts.get("port"), texts.get("security"))
        for name, text in texts.items():
            self._put(name, text)
        self._take_secrets(given)
        self._take_label(given.label)

    def _choose_driver(self, word: str | None, *, preset_given: bool) -> None:
        now = self._unsaved.driver
        if word is None:
            # A preset is the name of a server, so it says the way as well.
            wanted = SMTP if preset_given else now
        elif complaint := self._complaint(DRIVER, word):
            self._wrong[DRIVER.name] = [complaint]
            return
        else:
            wanted = str(DRIVER.clean(word))
            self.names.add(DRIVER.name)
        if wanted not in {one.name for one in available_drivers()}:
            there = ", ".join(one.name for one in available_drivers())
            self._wrong[DRIVER.name] = [f"{wanted} cannot be used here. There are: {there}."]
        elif preset_given and wanted != SMTP:
            self._wrong["preset"] = [
                "A preset is a server for SMTP. Remove it, or remove --driver."
            ]
        elif wanted != now:
            self._unsaved.choose_driver(wanted)

    def _complete(self, port: str | None, security: str | None) -> None:
        """Of port and security, one that is not given follows from the other."""
        if self._unsaved.driver != SMTP:
            return
        if port is None and security is not None:
            self._unsaved.fill_in("", self._unsaved.port_of(security), security)
        elif port is not None and security is None:
            self._unsaved.fill_in("", port, self._unsaved.security_of(port))

    def _take_secrets(self, given: Given) -> None:
        secrets, unread = secrets_given(given.parameters)
        self._wrong |= unread
        if given.password_stdin and "password" in secrets | unread:
            self._wrong["password"] = [f"Give one of --password-file and {_STDIN}."]
            return
        if given.password_stdin:
            self._options["password"] = _STDIN
            try:
                secrets["password"] = secret_on_stdin()
            except ValueError as error:
                self._wrong["password"] = [str(error)]
        for name, text in secrets.items():
            one = self._field(name)
            if one is not None and self._accept(one, text):
                self._unsaved.secrets[name] = text

    def _take_label(self, label: str | None) -> None:
        if label is None:
            return
        try:
            self._unsaved.label = clean_label(label)
        except InvalidInput as error:
            self._wrong |= error.fields
        self.names.add("label")

    def refuse_problems(self, *, complete: bool) -> None:
        """Return if everything that was given can be used, and nothing is missing.

        Args:
            complete: whether nothing may be missing, because nothing will be asked.

        Raises:
            BadUsage: with all of it at once.
        """
        fields = (self._missing() if complete else {}) | self._wrong
        if not fields and complete:
            fields = self._misfits()
        if fields:
            self._refuse(
                InvalidInput(
                    "Nothing was tested or saved. This is missing or cannot be used:",
                    hint="See `flask smtp-admin wizard --help`.",
                    fields=fields,
                )
            )

    def _missing(self) -> dict[str, list[str]]:
        unsaved = self._unsaved
        found: dict[str, list[str]] = {}
        for one in unsaved.fields():
            if one.secret or not one.required or unsaved.locked_by(one.name):
                continue
            if not unsaved.texts.get(one.name, "").strip():
                preset_too = " or --preset" if one.name == "host" else ""
                found[one.name] = [f"Give {one.option}{preset_too}."]
        values = unsaved.so_far()
        for one in unsaved.fields():
            if one.secret and one.needed(values) and not self._has(one.name):
                found[one.name] = [_how_to_give(one)]
        login = unsaved.field("username")
        if login and unsaved.secrets.get("password") and not unsaved.texts["username"].strip():
            found["username"] = ["Enter the login that belongs to this password."]
        return found

    def _has(self, secret: str) -> bool:
        """Whether there is a secret, given just now or before, or it can only come elsewhere."""
        unsaved = self._unsaved
        return bool(unsaved.secrets.get(secret) or unsaved.locked_by(secret)
                    or unsaved.sender.has_secret(secret))  # fmt: skip

    def _misfits(self) -> dict[str, list[str]]:
        """What does not fit together although each value alone can be used."""
        try:
            self._unsaved.check(self._unsaved.values())
        except InvalidInput as error:
            if not error.fields:
                self._refuse(error)
            fields = error.fields
            for one in self._unsaved.fields():
                if one.secret and one.name in fields and not self._unsaved.secrets.get(one.name):
                    fields[one.name].append(_how_to_give(one))
            return fields
        return {}

    def _use(self, name: str) -> None:
        if "preset" in self._wrong or self._unsaved.driver != SMTP:
            return
        try:
            self._unsaved.use(*_preset(name))
        except InvalidInput as error:
            self._wrong["preset"] = [error.message]
        else:
            self.names |= {"host", "port", "security"} if self._unsaved.texts["host"] else set()

    def _put(self, name: str, text: str) -> None:
        one = self._field(name)
        if one is None:
            return
        if not self._unsaved.locked_by(name):
            self._unsaved.texts[name] = text
        self._accept(one, text)

    def _accept(self, one: Field, text: str) -> bool:
        complaint = self._complaint(one, text)
        if complaint:
            self._wrong[one.name] = [complaint]
        else:
            self.names.add(one.name)
        return not complaint

    def _complaint(self, one: Field, text: str) -> str:
        variable = self._unsaved.locked_by(one.name)
        if variable:
            return f"The environment holds it: {variable}."
        return self._unsaved.complaint(one, text)

    def _field(self, name: str) -> Field | None:
        """The field of the chosen sending method, or ``None``, which is noted as wrong."""
        one = self._unsaved.field(name)
        if one is None and DRIVER.name not in self._wrong:
            others = " or ".join(f"--driver {each}" for each in drivers_with(name))
            label = driver(self._unsaved.driver).label
            self._wrong[name] = [f"{label} has no such field. It goes with {others}."]
        return one

    def _refuse(self, error: InvalidInput) -> NoReturn:
        raise BadUsage(error, as_json=self._as_json, options=self._options) from error


def _how_to_give(one: Field) -> str:
    also = f" or {_STDIN}" if one.name == "password" else ""
    return f"Give {option_name(one)}{also}."


def _preset(text: str) -> tuple[Provider, str]:
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
