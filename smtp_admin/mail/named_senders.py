"""Which sender a ready message means, if it names a From address as Flask-Mail's do.

Mail comes only from addresses that somebody has set up: a message may choose among them, and
brings none of its own.
"""

import logging

from sqlalchemy.orm import Session

from smtp_admin import schema
from smtp_admin.database import SYSTEM, host_engine
from smtp_admin.errors import MessageError
from smtp_admin.installation import Kept, installation
from smtp_admin.mail.addresses import address_of
from smtp_admin.senders.known import known_senders_of

log = logging.getLogger(__name__)

#: The addresses that were warned about already, and how many are remembered.
_WARNED = Kept[set[tuple[str, str]]](lambda _: set())
_MOST = 200


def key_of_sender(session: Session, partner_id: str, named: object) -> str | None:
    """The key of the sender whose From address *named* is; ``None`` leaves it to the routes.

    An address that no sender has is told to the log, once in each process.

    Raises:
        SetupError: the tables are missing; it names the command that makes them.
    """
    try:
        address = address_of(named)[1]
    except MessageError:
        address = ""
    with schema.explained(host_engine()), session.no_autoflush:
        for owner in dict.fromkeys((partner_id, SYSTEM)):
            own = [one for one in known_senders_of(session, owner) if one.configured]
            for one in own:
                if address and one.values.from_email.lower() == address.lower():
                    return one.key
            if own:
                break  # the system stands in only for a partner without senders
    _warn(partner_id, address)
    return None


def _warn(partner_id: str, address: str) -> None:
    warned = _WARNED.of(installation())
    if (partner_id, address) in warned or len(warned) >= _MOST:
        return
    warned.add((partner_id, address))
    log.warning(
        "a message names %s as its sender, which is no sender's From address here (%s): it comes "
        "from the address of the settings",
        address or "something that is no address",
        f"partner {partner_id!r}" if partner_id else "the system",
    )
