"""The last look at claimed mail before it leaves: what the sandbox of this process makes of it.

Mail that was queued before the sandbox was switched on, or by a process without one, is seen here
for the first time. Its stored bytes stay as they are, because they are the original, which another
process may still have to send; what goes out instead is made anew from them at each claim, always
the same, so that a repeated attempt sends the same bytes.
"""

from dataclasses import replace

from sqlalchemy import Connection, Engine, insert, update

from smtp_admin.database import changed, transaction
from smtp_admin.delivery import states
from smtp_admin.delivery.claim import Claimed
from smtp_admin.delivery.held import as_held
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.models import Attempt, Delivery
from smtp_admin.sandbox.rewriting import is_redirected, redirected
from smtp_admin.sandbox_rule import Sandbox
from smtp_admin.translation import gettext

#: The verdict and code of the line that says in a mail's record where it really went.
REDIRECTED, REDIRECTED_CODE = "redirected", "sandbox_redirected"


def hold_back(
    database: Engine | Connection, lane: HeldLane, deliveries: list[Claimed], sandbox: Sandbox
) -> list[Claimed]:
    """*deliveries* without those that the sandbox lets nobody have; these are queued, and held."""
    held = {one.id for one in deliveries if not sandbox.lets_out(one.recipient)}
    if not held:
        return deliveries
    with transaction(database) as session:
        changed(
            session,
            update(Delivery)
            .where(Delivery.id.in_(held), Delivery.state == "sending", Delivery.lease == lane.lease)
            .values(state=states.check("sending", "queued"), lease=None, **as_held()),
        )
    return [one for one in deliveries if one.id not in held]


def redirect(
    database: Engine | Connection,
    deliveries: list[Claimed],
    address: str,
    *,
    revision: int,
    worker: str,
) -> list[Claimed]:
    """*deliveries*, each as mail to *address*; a line in their record says so before they go.

    Args:
        revision: of the settings that they are sent with.
        worker: who sends them.
    """
    seen_first = [one for one in deliveries if not is_redirected(one.content)]
    if seen_first:
        row = {
            "verdict": REDIRECTED,
            "code": REDIRECTED_CODE,
            "error": gettext(
                "The sandbox (SMTP_ADMIN_SANDBOX) sends it to %(address)s instead.", address=address
            )[:500],
            "reply": "",
            "revision": revision,
            "worker": worker[:100],
        }
        with transaction(database) as session:
            session.execute(insert(Attempt), [row | {"delivery_id": one.id} for one in seen_first])
    return [
        replace(
            one, recipient=address, content=redirected(one.content, [one.recipient], address)[0]
        )
        for one in deliveries
    ]
