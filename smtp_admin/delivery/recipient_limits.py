"""At most so many mails of a type to one recipient in an hour or a day: nobody is flooded.

What goes beyond is kept as ``suppressed``, visible, and never sent. One read of an index at
queueing, without a lock: transactions that queue at the same time may together let a few more
through. Copies to an archive, and mail that another sender took over, are not counted.
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import String, bindparam, select
from sqlalchemy.orm import Session

from smtp_admin.config import Rate
from smtp_admin.database import database_now, is_one_of
from smtp_admin.delivery import states
from smtp_admin.delivery.models import Delivery
from smtp_admin.delivery.outgoing import OutgoingMail
from smtp_admin.installation import installation
from smtp_admin.translation import gettext

CODE = "recipient_limit"
#: No limit holds for these: whoever tests looks at every one.
_EXEMPT = frozenset({"test"})
_PURPOSE = "limits of recipients"
#: The columns that a limit decides, of a delivery that none concerns.
NOT_LIMITED: dict[str, Any] = {
    "recipient_key": None,
    "state": "queued",
    "finished_at": None,
    "last_code": "",
    "last_error": "",
}


def recipient_keys(partner_id: str, type_name: str, address: str) -> list[str]:
    """What stands for a recipient of one partner's mail of a type; the first is written down.

    One for each secret key of the installation, so that a new key ends nobody's hour. A key tells
    no address, nor that another partner has the same recipient.
    """
    local, _, domain = address.casefold().rpartition("@")
    text = "\0".join((partner_id, type_name, f"{local.partition('+')[0]}@{domain}")).encode()
    secrets = installation().keyring.derived(_PURPOSE)
    return [hmac.digest(secret, text, hashlib.sha256).hex()[:32] for secret in secrets]


def limits_of(type_name: str) -> tuple[Rate, ...]:
    """The limits that hold for each recipient of this type."""
    return () if type_name in _EXEMPT else installation().config.recipient_limits.get(type_name, ())


class Allowed:
    """Who of the recipients of some mails may have theirs; false where no limit concerns any."""

    def __init__(self, session: Session, mails: Sequence[OutgoingMail]) -> None:
        names = {one.type_name for one in mails if not one.is_test}
        limits = {name: limits_of(name) for name in names}
        self._limits = {name: rates for name, rates in limits.items() if rates}
        self._keys: dict[tuple[str, str, str], list[str]] = {}
        #: How long ago the recipient of a key had mail.
        self._had: dict[str, list[timedelta]] = {}
        for one in mails:
            if one.type_name in self._limits and not one.is_test:
                for address in one.intended or one.recipients:
                    name = (one.partner_id, one.type_name, address)
                    self._keys[name] = recipient_keys(*name)
        if self._keys:
            self._look_up(session)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def columns(self, mail: OutgoingMail, address: str, moment: datetime) -> dict[str, Any]:
        """What the limits make of a delivery of *mail*; asking counts it.

        What the sandbox sends elsewhere is judged by whom it was for: it is kept back if none of
        them may have it, and counted for the first who may.
        """
        if mail.is_test or mail.type_name not in self._limits:
            return NOT_LIMITED
        for one in mail.intended or (address,):
            found = self._for(mail, one, moment)
            if found["finished_at"] is None:
                break
        return found

    def _for(self, mail: OutgoingMail, address: str, moment: datetime) -> dict[str, Any]:
        keys = self._keys[mail.partner_id, mail.type_name, address]
        had = [age for key in keys for age in self._had.get(key, ())]
        for rate in self._limits[mail.type_name]:
            if sum(age.total_seconds() < rate.seconds for age in had) >= rate.count:
                # Without a key: what was kept back must not keep back more, nor be counted.
                return {
                    "recipient_key": None,
                    "state": states.check("queued", "suppressed"),
                    "finished_at": moment,
                    "last_code": CODE,
                    "last_error": gettext(
                        "This recipient already had %(rate)s of this type.", rate=rate
                    ),
                }
        self._had.setdefault(keys[0], []).append(timedelta())
        return NOT_LIMITED | {"recipient_key": keys[0]}

    def _look_up(self, session: Session) -> None:
        longest = max(rate.seconds for rates in self._limits.values() for rate in rates)
        moment = database_now(session)
        asked = {
            "keys": [key for keys in self._keys.values() for key in keys],
            "since": moment - timedelta(seconds=longest),
        }
        for key, at in session.execute(_had(session.connection().dialect.name), asked):
            self._had.setdefault(key, []).append(moment - at)


@lru_cache
def _had(dialect: str) -> Any:
    return select(Delivery.recipient_key, Delivery.created_at).where(
        Delivery.recipient_key.is_not(None),
        is_one_of(Delivery.recipient_key, "keys", dialect, String),
        Delivery.created_at > bindparam("since"),
    )
