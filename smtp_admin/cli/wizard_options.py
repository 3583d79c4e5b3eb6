"""The wizard's options, and everything that is missing or wrong about them, told at once."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from smtp_admin.cli.group import BadUsage
from smtp_admin.cli.unsaved_settings import UnsavedSettings, preset
from smtp_admin.errors import InvalidInput

_LONGEST_PASSWORD_FILE = 64 * 1024
_GIVE_PASSWORD = "Give --password-file or --password-stdin."  # noqa: S105 - names of options


class WizardOptions:
    """What the options say; it goes into the unsaved.

    Args:
        as_json: whether a script asks, which gets its errors as JSON.
    """

    def __init__(self, unsaved: UnsavedSettings, *, as_json: bool) -> None:
        self._unsaved = unsaved
        self._as_json = as_json
        #: The fields that need not be asked for.
        self.names: set[str] = set()
        self._wrong: dict[str, list[str]] = {}

    def take(self, preset_name: str | None, options: Mapping[str, Any]) -> None:
        """Put the options into the unsaved, the preset before what is more exact."""
        given = {name: value for name, value in options.items() if value is not None}
        if "from_email" in given:
            self._put("from_email", given.pop("from_email"))  # the preset of a domain needs it
        if preset_name is not None:
            self._use(preset_name)
        if "host" in given:
            self._put("host", given.pop("host"))
        if preset_name is not None or not self._unsaved.sender.revision:
            self._complete(given.get("port"), given.get("security"))
        for name, value in given.items():
            self._put(name, str(value).lower() if isinstance(value, bool) else str(value))

    def _complete(self, port: str | None, security: str | None) -> None:
        """Of port and security, one that is not given follows from the other."""
        if port is None and security is not None:
            self._unsaved.fill_in("", self._unsaved.port_of(security), security)
        elif port is not None and security is None:
            self._unsaved.fill_in("", port, self._unsaved.security_of(port))

    def read_password(self, path: Path | None, *, from_stdin: bool) -> None:
        """Read the password from where it is."""
        if path is None and not from_stdin:
            return
        try:
            if path is not None and from_stdin:
                raise ValueError("Give one of --password-file and --password-stdin.")
            text = _read(path)
            if not text:
                raise ValueError("There is no password in it.")
        except ValueError as error:
            self._wrong["password"] = [str(error)]
            return
        self._unsaved.password = text
        self._judge("password", text)

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
            message = "Nothing was tested or saved. This is missing or cannot be used:"
            self._refuse(InvalidInput(message, fields=fields))

    def _missing(self) -> dict[str, list[str]]:
        fields, sender = self._unsaved.fields, self._unsaved.sender
        found: dict[str, list[str]] = {}
        if not fields["host"].strip():
            found["host"] = ["Give --host or --preset."]
        if not fields["from_email"].strip():
            found["from_email"] = ["Give --from-email."]
        has_password = self._unsaved.password or sender.has_password
        if fields["username"].strip() and not has_password and "password" not in sender.locked:
            found["password"] = [_GIVE_PASSWORD]
        return found

    def _misfits(self) -> dict[str, list[str]]:
        """What does not fit together although each value alone can be used."""
        try:
            values = self._unsaved.values()
            self._unsaved.refuse_missing_variable(values)
            typed = self._unsaved.typed_password(values)
        except InvalidInput as error:
            if not error.fields:
                self._refuse(error)
            return error.fields
        if values.username and not typed and not self._unsaved.locked_by("password"):
            needed = self._unsaved.keeps_password(values)
            if needed:
                return {"password": [needed, _GIVE_PASSWORD]}
        return {}

    def _use(self, name: str) -> None:
        try:
            self._unsaved.use(*preset(name))
        except InvalidInput as error:
            self._wrong["preset"] = [error.message]
        else:
            self.names |= {"host", "port", "security"} if self._unsaved.fields["host"] else set()

    def _put(self, name: str, text: str) -> None:
        variable = self._unsaved.locked_by(name)
        if variable:
            self._wrong[name] = [f"The environment holds it: {variable}."]
            return
        self._unsaved.fields[name] = text
        self._judge(name, text)

    def _judge(self, name: str, text: str) -> None:
        variable = self._unsaved.locked_by(name)
        complaint = f"The environment holds it: {variable}." if variable else (
            self._unsaved.complaint(name, text))  # fmt: skip
        if complaint:
            self._wrong[name] = [complaint]
        else:
            self.names.add(name)

    def _refuse(self, error: InvalidInput) -> NoReturn:
        raise BadUsage(error, as_json=self._as_json) from error


def _read(path: Path | None) -> str:
    """The password in a file, or on standard input, without one line break at its end."""
    try:
        if path is None:
            raw = sys.stdin.buffer.read(_LONGEST_PASSWORD_FILE)
        else:
            with path.open("rb") as file:
                raw = file.read(_LONGEST_PASSWORD_FILE)
        text = raw.decode("utf-8")
    except OSError as error:
        raise ValueError(f"It cannot be read: {error.strerror or type(error).__name__}.") from error
    except UnicodeDecodeError as error:
        raise ValueError("It is not UTF-8 text.") from error
    return text.removesuffix("\n").removesuffix("\r")
