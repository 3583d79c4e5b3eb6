"""What one app's copy of the plugin works with: its config, host, database object and keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import current_app

from smtp_admin.config import Config
from smtp_admin.encryption import Keyring
from smtp_admin.host import Host

NAME = "smtp_admin"


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything that ``init_app`` found out; two apps in one process have one each.

    Attributes:
        db: the host's Flask-SQLAlchemy object.
        environment: the process's environment when the app started.
        parts: what higher floors keep per app, such as the doorbell's Redis client.
    """

    config: Config
    host: Host
    db: Any
    keyring: Keyring
    environment: Mapping[str, str] = field(repr=False)
    parts: dict[str, Any] = field(default_factory=dict, repr=False)


def installation() -> Installation:
    """The present app's.

    Raises:
        RuntimeError: outside an app context, or ``init_app`` was not called for this app.
    """
    found = current_app.extensions.get(NAME)
    if not isinstance(found, Installation):
        raise RuntimeError("Call SMTPAdmin.init_app(app, db) for this app first.")
    return found
