"""Who gets mail about alerts, and in which language, as the configuration and the host say."""

import logging
from collections.abc import Iterable

from smtp_admin.catalogues import by_tag
from smtp_admin.database import SYSTEM
from smtp_admin.errors import MessageError
from smtp_admin.installation import installation
from smtp_admin.mail.addresses import address_of
from smtp_admin.repeated import host_raised
from smtp_admin.translation import language_of_app

log = logging.getLogger(__name__)


def of_platform() -> tuple[str, ...]:
    """Who looks after the installation."""
    return installation().config.alert_emails


def of_partner(partner_id: str) -> tuple[str, ...]:
    """Whom the host names for *partner_id*; nobody where its own code fails."""
    if partner_id == SYSTEM:
        return ()
    try:
        return usable(installation().host.alert_recipients(partner_id))
    except Exception as error:  # noqa: BLE001 - the host's own code
        host_raised(log, "alert_recipients", error)
        return ()


def usable(addresses: Iterable[str]) -> tuple[str, ...]:
    """Those of *addresses* that mail can go to, each once."""
    found: dict[str, None] = {}
    for one in addresses:
        try:
            found.setdefault(address_of(one)[1])
        except MessageError:
            log.warning("the host named an address that mail cannot go to")
    return tuple(found)


def language_of(address: str) -> str:
    """The language of mail to the admin at *address*: the host's word, else that of the app.

    ``""`` for English, and for languages that pages are not in either.
    """
    try:
        told = installation().host.admin_language(address)
        if told is not None and not isinstance(told, str):
            raise TypeError(f"a language is text, and {told!r} is none")
    except Exception as error:  # noqa: BLE001 - the host's own code
        host_raised(log, "admin_language", error)
        told = None
    wanted = told or language_of_app()
    return wanted if by_tag(wanted) is not None else ""
