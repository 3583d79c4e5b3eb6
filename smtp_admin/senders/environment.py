"""Environment variables that override the system's default sender, field by field.

The page shows an overridden field locked, with the name of its variable. A value that cannot be
used is reported by that name, and stops the sender: falling back to what was saved before could
send mail the wrong way. Each variable may also name a file: ``SMTP_PASSWORD_FILE``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smtp_admin.senders.fields import common_fields
from smtp_admin.transports.fields import Field, Variable
from smtp_admin.transports.registry import drivers

_LARGEST_FILE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the environment says.

    Attributes:
        values: field → usable value.
        secrets: the same for secrets; not shown by ``repr``.
        variables: field → the variable that it came from.
        locked: the fields that the page cannot change, and the variable that holds each.
        problems: sentences about values that cannot be used.
        moves_destination: whether stored secrets may no longer be used.
    """

    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict)
    locked: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    moves_destination: bool = False


def read_overrides(environment: Mapping[str, str], prefix: str) -> Overrides:
    """The overrides in *environment*, whose names begin with *prefix*."""
    values: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    variables: dict[str, str] = {}
    problems: list[str] = []
    moved = False
    for driver_name, one in _fields_with_variables():
        found = _first_that_is_set(environment, prefix, one)
        if found is None:
            continue
        variable, name = found
        variables[one.name] = name
        try:
            text = _text(environment, prefix + variable.name)
            if not (one.secret or text.strip()):
                raise ValueError(f"the file {environment[name]} is empty.")
            value = (variable.clean or one.clean)(text)
        except ValueError as error:
            problems.append(f"{name}: {error}")
        else:
            (secrets if one.secret else values)[one.name] = value
        if one.destination:
            moved = True
            # A host of the environment means the driver that has hosts, whatever was saved.
            values.setdefault("driver", driver_name)
            variables.setdefault("driver", name)
    return Overrides(
        values,
        secrets,
        variables,
        _locked(variables, prefix, values["driver"]) if moved else variables,
        tuple(problems),
        moves_destination=moved,
    )


def _fields_with_variables() -> Iterator[tuple[str, Field]]:
    """Each field once, with the first driver that has it: a host's may have the same ones."""
    seen: set[str] = set()
    for one in drivers():
        own = [field for field in one.fields if field.variables and field.name not in seen]
        seen |= {field.name for field in own}
        yield from ((one.name, field) for field in own)
    yield from (("", field) for field in common_fields() if field.variables)


def _first_that_is_set(
    environment: Mapping[str, str], prefix: str, one: Field
) -> tuple[Variable, str] | None:
    """A variable with nothing but spaces says nothing, unless they may be a secret."""
    for variable in one.variables:
        for suffix in ("", "_FILE"):
            text = environment.get(f"{prefix}{variable.name}{suffix}", "")
            if text if one.secret else text.strip():
                return variable, f"{prefix}{variable.name}{suffix}"
    return None


def _text(environment: Mapping[str, str], name: str) -> str:
    """What a variable says, itself or by the file that ``<name>_FILE`` names."""
    text, path = environment.get(name, ""), environment.get(f"{name}_FILE", "")
    if text and path:
        raise ValueError(f"set this or {name}_FILE, not both.")
    return text or read_secret_file(path)


def read_secret_file(path: str) -> str:
    """The text of a file, without one line break at its end.

    Raises:
        ValueError: it cannot be read, or is no text.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
        text = raw.decode("utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"the file {path} cannot be read: {reason}.") from error
    except ValueError as error:
        raise ValueError(f"the file {path} is not UTF-8 text.") from error
    if len(raw) > _LARGEST_FILE:
        raise ValueError(f"the file {path} is larger than 64 KiB.")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError(f"the file {path} is empty.")
    return text


def _locked(variables: Mapping[str, str], prefix: str, chosen: str) -> dict[str, str]:
    """With one destination field from the environment, the secrets must come from there too."""
    locked = dict(variables)
    for owner, one in _fields_with_variables():
        if one.secret and one.bound == "destination" and owner == chosen:
            locked.setdefault(one.name, prefix + one.variables[0].name)
    return locked
