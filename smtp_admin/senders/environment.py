"""Environment variables that override the system's sender, field by field.

Two families of names are in use, and both work; the page shows an overridden field locked, with
the name of its variable. A value that cannot be used is reported by that name, and stops the
sender: falling back to what was saved before could send mail the wrong way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from smtp_admin.senders.values import (
    clean_from_email,
    clean_from_name,
    clean_limit,
    clean_password,
    clean_port,
    clean_username,
)
from smtp_admin.smtp.hostname import clean_host

_WORDS = {"none": "none", "ssl": "ssl", "tls": "tls", "starttls": "tls"}
_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}


def _security(text: str) -> str:
    found = _WORDS.get(text.strip().lower())
    if found is None:
        raise ValueError("Use one of: none, ssl, tls.")
    return found


def _secure(text: str) -> str:
    word = text.strip().lower()
    if word in _TRUE:
        return "ssl"
    if word in _FALSE:
        return "tls"
    raise ValueError("Use true (SSL) or false (STARTTLS).")


#: field → the names of its variable, each with what reads it; the first one that is set counts.
VARIABLES: dict[str, tuple[tuple[str, Callable[[str], Any]], ...]] = {
    "host": (("SMTP_HOST", clean_host),),
    "port": (("SMTP_PORT", clean_port),),
    "username": (("SMTP_USERNAME", clean_username), ("SMTP_USER", clean_username)),
    "password": (("SMTP_PASSWORD", clean_password), ("SMTP_PASS", clean_password)),
    "from_email": (("SMTP_FROM_EMAIL", clean_from_email), ("SMTP_FROM", clean_from_email)),
    "from_name": (("SMTP_FROM_NAME", clean_from_name),),
    "security": (("SMTP_SECURITY", _security), ("SMTP_SECURE", _secure)),
    "max_per_hour": (("MAX_EMAILS_PER_HOUR", clean_limit),),
}

#: The fields whose change makes another destination: with one of them from the environment, the
#: password must come from there too.
DESTINATION_FIELDS = frozenset({"host", "port", "security", "username"})


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the environment says.

    Attributes:
        values: field → usable value; the password is not shown by ``repr``.
        variables: field → the variable that it came from.
        problems: sentences about values that cannot be used.
    """

    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    prefix: str = ""

    @property
    def locked(self) -> Mapping[str, str]:
        """The fields that the page cannot change, and the variable that holds each."""
        locked = dict(self.variables)
        if "password" not in locked and DESTINATION_FIELDS & locked.keys():
            locked["password"] = self.prefix + VARIABLES["password"][0][0]
        return locked

    @property
    def moves_destination(self) -> bool:
        """Whether a stored password may no longer be used."""
        return bool(DESTINATION_FIELDS & self.variables.keys())


def read_overrides(environment: Mapping[str, str], prefix: str) -> Overrides:
    """The overrides in *environment*, whose names begin with *prefix*."""
    values: dict[str, Any] = {}
    variables: dict[str, str] = {}
    problems: list[str] = []
    for name, candidates in VARIABLES.items():
        for variable, read in candidates:
            text = environment.get(prefix + variable, "")
            if not text:
                continue
            variables[name] = prefix + variable
            try:
                values[name] = read(text)
            except ValueError as error:
                problems.append(f"{prefix}{variable}: {error}")
            break
    return Overrides(values, variables, tuple(problems), prefix)
