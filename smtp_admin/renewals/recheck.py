"""Just before a notice is sent: is it still true, still wanted, and still the newest?"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from flask import current_app
from sqlalchemy import Connection, Engine, select
from sqlalchemy.orm import Session

from smtp_admin.database import database_now, reading, transaction
from smtp_admin.delivery.claim import Claimed
from smtp_admin.renewals import supply
from smtp_admin.renewals.ledger import known, revive, services_of
from smtp_admin.renewals.models import RenewalNotice
from smtp_admin.renewals.records import Customer
from smtp_admin.renewals.schedule import SENTENCES, Reason, quiet_until
from smtp_admin.renewals.service import load
from smtp_admin.translation import gettext


def not_needed(database: Engine | Connection, deliveries: Sequence[Claimed]) -> Mapping[int, str]:
    """Which of these notices are not to be sent any more, and why."""
    found: dict[int, str] = {}
    for one in deliveries:
        with transaction(database) as session:
            notice = session.scalar(
                select(RenewalNotice).where(RenewalNotice.mail_id == one.public_id)
            )
            over = notice is not None and one.archive and notice.state != "waiting"
            reason = None if notice is None else _of_ledger(session, notice, over=over)
            moment = database_now(session)
        if notice is not None and reason is None and not over:
            # Without a transaction of ours: the host takes its time.
            try:
                reason = _of_host(database, notice, moment)
            except supply.HostFailedError:
                reason = None  # what is known about others must not be lost with it
        if reason is not None:
            found[one.id] = reason
    return found


def _of_ledger(session: Session, notice: RenewalNotice, *, over: bool) -> str | None:
    if over:  # the archive gets what the customer got, and brings no notice back to life
        return gettext("The notice itself was not sent.") if notice.state == "dropped" else None
    place = known(session, notice.partner_id, [notice.customer_id]).get(notice.customer_id)
    if place is not None and place.facts.unsubscribed:
        return SENTENCES[Reason.UNSUBSCRIBED]
    # It ended before, and somebody sends it again; or nothing has happened to it yet.
    if notice.state != "waiting" and not revive(session, notice):
        return gettext("A newer notice replaced it.")
    return None


def _of_host(database: Engine | Connection, notice: RenewalNotice, now: datetime) -> str | None:
    with reading(database) as session:
        values = load(session, notice.partner_id).values
    if not values.enabled:
        return SENTENCES[Reason.DISABLED]
    if not supply.tells_of_customers():
        return None  # what was due when the notice was written is sent
    # A context of its own: what the host reads must not stay open while mail is sent.
    with current_app.app_context():
        supplied = supply.of_customer(notice.customer_id)
    services = supplied.services.get(notice.partner_id, ())
    told = services_of(notice.services)
    # A record that cannot be used may be the one that the notice is about.
    if not supplied.broken and not any(
        one.expires_at > now and told.get(one.service_id) == one.expires_at for one in services
    ):
        return gettext("Everything in it has been renewed or cancelled.")
    customer = Customer(notice.customer_id, services)
    if not notice.on_demand and quiet_until(values, customer.zone(values), now) is not None:
        return gettext("Quiet hours started. A new notice is written after them.")
    return None
