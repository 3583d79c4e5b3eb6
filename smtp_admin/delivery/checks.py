"""Questions asked about a mail when it is claimed and about to be sent: does it still hold?

A higher floor that queues mail long before it goes out registers one for its e-mail type. What
is not wanted any more is cancelled, with the reason; no server sees a byte of it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now, transaction
from smtp_admin.delivery import states
from smtp_admin.delivery.claim import Claimed
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.models import Delivery
from smtp_admin.installation import Installation, Kept, installation

log = logging.getLogger(__name__)

#: The code of a delivery that was cancelled here.
NOT_NEEDED = "not_needed"

#: From deliveries of one type to the id of each that is not to be sent, with the reason.
Check = Callable[[Engine | Connection, Sequence[Claimed]], Mapping[int, str]]

_CHECKS = Kept[dict[str, Check]](lambda _: {})


def register(here: Installation, type_name: str, check: Check) -> None:
    """Ask *check* about every mail of this type just before it is sent."""
    _CHECKS.of(here)[type_name] = check


def still_wanted(
    database: Engine | Connection, lane: HeldLane, deliveries: list[Claimed]
) -> list[Claimed]:
    """*deliveries* without those that a check does not want sent; these are cancelled.

    Called between claim and send, inside an app context. A check that fails holds nothing up.
    """
    checks = _CHECKS.of(installation())
    refused: dict[int, str] = {}
    for type_name, check in checks.items() if deliveries else ():
        mine = [one for one in deliveries if one.type_name == type_name]
        if not mine:
            continue
        try:
            refused |= check(database, mine)
        except Exception:  # mail does not wait for the mistakes of whoever is asked
            log.exception("the check of %s failed; its mail is sent", type_name)
    if not refused:
        return deliveries
    with transaction(database) as session:
        moment = database_now(session)
        for delivery_id, reason in refused.items():
            _cancel(session, lane, delivery_id, reason, moment)
    log.info("%d mails are not needed any more and were cancelled", len(refused))
    return [one for one in deliveries if one.id not in refused]


def _cancel(session: Session, lane: HeldLane, delivery_id: int, reason: str, moment: Any) -> None:
    # Two steps in one: given back unharmed, and then not wanted.
    states.check("sending", "queued")
    changed(
        session,
        update(Delivery)
        .where(
            Delivery.id == delivery_id, Delivery.state == "sending", Delivery.lease == lane.lease
        )
        .values(
            state=states.check("queued", "cancelled"),
            lease=None,
            finished_at=moment,
            last_code=NOT_NEEDED,
            last_cause="",
            last_error=reason[:500],
        ),
    )
