"""What stands in From where a sender has no name: its partner's, or the application's."""

import logging
import time

from smtp_admin.database import SYSTEM
from smtp_admin.installation import Kept, installation
from smtp_admin.repeated import host_raised
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.smtp.address import check_header_text

log = logging.getLogger(__name__)

#: So long a name is not asked for again: it is needed for every mail.
_KEPT_SECONDS = 60.0
_LONGEST = 64

#: Partner → when its name was asked for (monotonic seconds), and the name, if it has one.
_NAMES = Kept[dict[str, tuple[float, str]]](lambda _: {})


def from_name_of(sender: ResolvedSender) -> str:
    """The name in the From header of *sender*'s mail."""
    return sender.values.from_name or owner_name(sender.partner_id)


def owner_name(partner_id: str) -> str:
    """What people call a partner, as a header can have it; the application's name for the system.

    A host that fails here stops no mail.
    """
    app_name = installation().config.app_name
    return app_name if partner_id == SYSTEM else partner_name(partner_id) or app_name


def partner_name(partner_id: str) -> str:
    """What people call a partner, in one short line; ``""`` where the host does not say."""
    here = installation()
    known = _NAMES.of(here)
    at, name = known.get(partner_id, (-_KEPT_SECONDS, ""))
    if time.monotonic() - at < _KEPT_SECONDS:
        return name
    try:
        partner = here.host.partner(partner_id)
        name = _for_header(partner.name) if partner else name
    except Exception as error:  # noqa: BLE001 - the host's code may fail in any way
        host_raised(log, "partner", error)
    known[partner_id] = (time.monotonic(), name)
    return name


def _for_header(name: str) -> str:
    """*name* in one line and no longer than a From name may be; ``""`` if it cannot stand there."""
    short = " ".join(name.split())[:_LONGEST].strip()
    try:
        return check_header_text(short)
    except ValueError:
        return ""
