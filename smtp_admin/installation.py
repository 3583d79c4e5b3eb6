"""What one app's copy of the plugin works with: its config, host, database object and keys."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from flask import current_app

from smtp_admin.config import Config
from smtp_admin.encryption import Keyring
from smtp_admin.host_calls import HostCalls
from smtp_admin.host_database import HostDatabase

T = TypeVar("T")
NAME = "smtp_admin"


@dataclass(slots=True, eq=False)
class Installation:
    """Everything that ``init_app`` found out; two apps in one process have one each.

    Attributes:
        host: answers at once, also where its methods are ``async def``.
        db: the host's database object.
        environment: the process's environment when the app started.
        backlog: partner → when its waiting mail was counted (monotonic seconds), and how much it
            was then.
        layout_exists: whether the host's layout was found.
        schema_checked: whether the tables were found to be there.
        renewals_seen: the slot of the schedule that this process has looked at.
        kept: what rooms above keep for this app, each under its own :class:`Kept`.
    """

    config: Config
    host: HostCalls
    db: HostDatabase
    keyring: Keyring
    environment: Mapping[str, str] = field(repr=False)
    backlog: dict[str, tuple[float, int]] = field(default_factory=dict, repr=False)
    layout_exists: bool = False
    schema_checked: bool = False
    renewals_seen: object = None
    kept: "dict[Kept[Any], Any]" = field(default_factory=dict, repr=False)


class Kept(Generic[T]):
    """Something that a room keeps for each app, with the type that it has there.

    The room declares it, so that this floor need not know what stands above.

    Args:
        make: makes it where nobody has put one.
    """

    def __init__(self, make: Callable[[Installation], T]) -> None:
        self._make = make

    def of(self, here: Installation) -> T:
        """What is kept for this app, made when it is first asked for."""
        if self not in here.kept:
            here.kept[self] = self._make(here)
        kept: T = here.kept[self]
        return kept

    def put(self, here: Installation, value: T) -> None:
        """Keep *value* for this app from now on."""
        here.kept[self] = value

    def forget(self, here: Installation) -> None:
        """Keep nothing: the next who asks has a new one made."""
        here.kept.pop(self, None)


def installation() -> Installation:
    """The present app's.

    Raises:
        RuntimeError: outside an app context, or ``init_app`` was not called for this app.
    """
    found = current_app.extensions.get(NAME)
    if not isinstance(found, Installation):
        raise RuntimeError("Call SMTPAdmin.init_app(app, db) for this app first.")
    return found
