"""What one app's copy of the plugin works with: its config, host, database object and keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import current_app

from smtp_admin.config import Config
from smtp_admin.encryption import Keyring
from smtp_admin.host import Host

if TYPE_CHECKING:  # what rooms above keep here; nothing of them is imported
    from smtp_admin.deliverability.check import Deliverability
    from smtp_admin.deliverability.dns_records import Sending
    from smtp_admin.delivery.checks import Check
    from smtp_admin.delivery.doorbell import Doorbell
    from smtp_admin.mail.types import Registry
    from smtp_admin.senders.environment import Overrides
    from smtp_admin.smtp.nameserver import NameService

NAME = "smtp_admin"


@dataclass(slots=True, eq=False)
class Installation:
    """Everything that ``init_app`` found out; two apps in one process have one each.

    Attributes:
        db: the host's Flask-SQLAlchemy object.
        environment: the process's environment when the app started.
        types: the app's e-mail types.
        names: who is asked for DNS records.
        checks: e-mail type → what is asked about its mail just before it is sent.
        doorbell: what wakes the workers, once somebody rang.
        backlog: partner → when its waiting mail was counted (monotonic seconds), and how much it
            was then.
        dns_lately: what DNS said about a sender a short while ago.
        layout_exists: whether the host's layout was found.
        schema_checked: whether the tables were found to be there.
        overrides: what the environment says over the system's sender, once somebody asked.
        renewals_seen: the slot of the schedule that this process has looked at.
    """

    config: Config
    host: Host
    db: Any
    keyring: Keyring
    environment: Mapping[str, str] = field(repr=False)
    types: "Registry" = field(repr=False)
    names: "NameService" = field(repr=False)
    checks: "dict[str, Check]" = field(default_factory=dict, repr=False)
    doorbell: "Doorbell | None" = field(default=None, repr=False)
    backlog: dict[str, tuple[float, int]] = field(default_factory=dict, repr=False)
    dns_lately: "dict[Sending, Deliverability]" = field(default_factory=dict, repr=False)
    layout_exists: bool = False
    schema_checked: bool = False
    renewals_seen: object = None
    overrides: "Overrides | None" = field(default=None, init=False, repr=False)


def installation() -> Installation:
    """The present app's.

    Raises:
        RuntimeError: outside an app context, or ``init_app`` was not called for this app.
    """
    found = current_app.extensions.get(NAME)
    if not isinstance(found, Installation):
        raise RuntimeError("Call SMTPAdmin.init_app(app, db) for this app first.")
    return found
