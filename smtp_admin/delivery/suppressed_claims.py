"""A look at claimed mail before it leaves: is its address suppressed by now?

Mail is looked at when it is queued, and what waits is when an address is suppressed. A mail whose
transaction was open all that time gets past both: neither could see the other. After a claim both
are committed.
"""

import logging

from sqlalchemy import Connection, Engine, update

from smtp_admin.database import changed, database_now, reading, transaction
from smtp_admin.delivery import states
from smtp_admin.delivery.claim import Claimed
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.models import Delivery
from smtp_admin.delivery.suppressed_mail import suppress_again
from smtp_admin.suppression.reading import Suppressed

log = logging.getLogger(__name__)


def without_suppressed(
    database: Engine | Connection, lane: HeldLane, deliveries: list[Claimed]
) -> list[Claimed]:
    """*deliveries* without those whose address is suppressed; these end as if they had waited."""
    asked = [one for one in deliveries if one.may_be_suppressed]
    if not asked:
        return deliveries
    with reading(database) as session:
        found = Suppressed(session, [(one.partner_id, one.recipient) for one in asked])
    ids = {
        one.id
        for one in asked
        if found and found.stops(one.partner_id, one.recipient, one.type_name, notice=one.notice)
    }
    if not ids:
        return deliveries
    with transaction(database) as session:
        moment = database_now(session)
        # Given back unharmed, and kept back as what waits is: whoever looks sees no step between.
        changed(
            session,
            update(Delivery)
            .where(Delivery.id.in_(ids), Delivery.state == "sending", Delivery.lease == lane.lease)
            .values(state=states.check("sending", "queued"), lease=None),
        )
        count = suppress_again(session, ids, moment)
    log.info("%d mails go to suppressed addresses and were kept back", count)
    return [one for one in deliveries if one.id not in ids]
