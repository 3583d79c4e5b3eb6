"""The drivers that there are, by name: those that come along, and those of hosts."""

import re

from smtp_admin.errors import ConfigError
from smtp_admin.transports.driver import Driver
from smtp_admin.transports.mailgun.driver import DRIVER as MAILGUN
from smtp_admin.transports.memory import DRIVER as MEMORY
from smtp_admin.transports.sendmail.driver import DRIVER as SENDMAIL
from smtp_admin.transports.ses.driver import DRIVER as SES
from smtp_admin.transports.ses.driver import OF_MACHINE as SES_ROLE
from smtp_admin.transports.smtp.driver import DRIVER as SMTP

_drivers: dict[str, Driver] = {
    one.name: one for one in (SMTP, MAILGUN, SES, SES_ROLE, SENDMAIL, MEMORY)
}
_SHIPPED = frozenset(_drivers)
_NAME = re.compile(r"[a-z0-9-]{1,20}")


def drivers() -> tuple[Driver, ...]:
    """All of them, in the order in which they are offered."""
    return tuple(_drivers.values())


def driver(name: str) -> Driver:
    """The driver called *name*.

    Raises:
        LookupError: there is none; the message says which there are.
    """
    found = _drivers.get(name)
    if found is None:
        raise LookupError(f"There is no driver {name[:40]!r}. There are: {', '.join(_drivers)}.")
    return found


def is_shipped(name: str) -> bool:
    """Whether a driver comes with the plugin; a host's own is for the platform's admins alone."""
    return name in _SHIPPED


def register(new: Driver) -> None:
    """Add a driver of the host's, for every app of this process.

    Raises:
        ConfigError: its name cannot be used, or belongs to another one.
    """
    if not _NAME.fullmatch(new.name):
        raise ConfigError("A driver's name has 1 to 20 of these: a-z, 0-9, hyphen.")
    if _drivers.get(new.name, new) is not new:
        raise ConfigError(f"There is a driver called {new.name} already.")
    _drivers[new.name] = new


def forget(name: str) -> None:
    """Take a host's driver away again, for tests."""
    if not is_shipped(name):
        _drivers.pop(name, None)
