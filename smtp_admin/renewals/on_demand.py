"""A customer asks for a reminder: at once if the last one is long enough ago, else when it is.

Asking reads and nothing more, until a reminder is really due; so asking often harms nothing.
"""

import logging
import math
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from smtp_admin.database import database_now, host_engine, reading
from smtp_admin.database_errors import is_contention
from smtp_admin.delivery.doorbell import listen
from smtp_admin.errors import (
    Conflict,
    MessageError,
    QueueFull,
    RateLimited,
    RequestError,
    TooLarge,
    Unavailable,
)
from smtp_admin.renewals import ledger, notices, supply
from smtp_admin.renewals.records import Customer
from smtp_admin.renewals.run import Ready, write
from smtp_admin.renewals.schedule import Decision, Facts, Reason, decide
from smtp_admin.renewals.service import load
from smtp_admin.renewals.values import RenewalValues
from smtp_admin.translation import gettext, joined, ngettext

log = logging.getLogger(__name__)

_STRANGER = ledger.Known(Facts(), 0, "")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a customer stands with one partner.

    Attributes:
        allowed_at: when the next reminder may be asked for, where that is only a matter of time.
        token: of the link that ends reminders; ``""`` before the first one.
    """

    partner_id: str
    customer: Customer
    decision: Decision
    values: RenewalValues
    now: datetime
    allowed_at: datetime | None
    last_at: datetime | None
    version: int
    token: str

    @property
    def reason(self) -> Reason | None:
        """Why there is no reminder now; ``None`` if it can be had."""
        return self.decision.reason


def standings(customer_id: str) -> list[Standing]:
    """Where a customer stands with each partner that it has services of.

    Raises:
        Unavailable: the host's own code failed.
    """
    try:
        mine = supply.of_customer(customer_id).services
    except supply.HostFailedError as error:
        raise Unavailable(_NOT_NOW) from error  # what it is called is of no use to a customer
    return [
        _standing(host_engine(), partner_id, Customer(customer_id, services))
        for partner_id, services in sorted(mine.items())
    ]


def remind(customer_id: str) -> Standing:
    """Queue the reminder that a customer asked for, and commit.

    With services of several partners it is one from each that may be asked.

    Returns where the customer stood before the first of them.

    Raises:
        RateLimited: it is too soon; it knows when it will not be.
        Conflict: there is nothing to be reminded of, or no way to do it; says which.
        Unavailable: the sender cannot send now, or the host's own code failed.
    """
    refused: list[Standing] = []
    sent: list[Standing] = []
    for standing in standings(customer_id):
        outcome = standing.reason or _send(standing)
        if outcome is None:
            sent.append(standing)
        else:
            refused.append(_as(standing, outcome))
    if sent:
        return sent[0]
    # The one that ends soonest is the one to tell of.
    refused.sort(key=lambda one: (one.allowed_at is None, one.allowed_at or one.now))
    raise refusal(refused[0] if refused else None)


def refusal(standing: Standing | None) -> RequestError:
    """What the customer is told instead of getting a reminder."""
    reason = Reason.EXPIRED if standing is None else standing.reason
    if standing is not None and standing.allowed_at is not None:
        seconds = math.ceil((standing.allowed_at - standing.now).total_seconds())
        before = (
            gettext("A reminder is being sent to you.")
            if reason in {Reason.WAITING, Reason.RACED}
            else gettext("You got a reminder recently.")
        )
        again = gettext("You can ask for the next one in %(time)s.", time=in_words(seconds))
        return RateLimited(joined((before, again)), retry_after=seconds)
    if reason is Reason.NO_SENDER or reason is Reason.QUEUE_FULL:
        return Unavailable(_NOT_NOW)
    return Conflict(_TOLD.get(reason or Reason.EXPIRED, _TOLD[Reason.EXPIRED]))


_NOT_NOW = gettext("Reminders cannot be sent right now. Try again later.")
_NOTHING = gettext("None of your services expires soon, so there is no reminder to send.")
_TOLD = {
    Reason.DISABLED: gettext("Reminders are switched off here."),
    Reason.NO_ADDRESS: gettext("We have no valid e-mail address for you."),
    Reason.SUPPRESSED: gettext(
        "Your mail server refused our last reminder. Check your e-mail address."
    ),
    Reason.UNSUBSCRIBED: gettext("You asked for no more reminders. Switch them on again first."),
    Reason.EXPIRED: _NOTHING,
    Reason.NOT_YET: _NOTHING,
    Reason.RENEWED: _NOTHING,
}


def in_words(seconds: int) -> str:
    """A time span as people say it, rounded up to minutes."""
    minutes = max(1, math.ceil(seconds / 60))
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = (
        ngettext("%(number)s day", "%(number)s days", days) if days else "",
        ngettext("%(number)s hour", "%(number)s hours", hours) if hours else "",
        ngettext("%(number)s minute", "%(number)s minutes", minutes) if minutes else "",
    )
    return joined([one for one in parts if one][:2])


def _standing(engine: Engine, partner_id: str, customer: Customer) -> Standing:
    with ledger.writing(engine) as session:
        ledger.settle(session, partner_id, customer.id)
        now = database_now(session)
        values = load(session, partner_id).values
        place = ledger.known(session, partner_id, [customer.id]).get(customer.id, _STRANGER)
        sender = notices.sender_of(session, partner_id, on_demand=True)
        works = notices.can_send(session, sender, now, on_demand=True)
    decision = decide(values, customer, place.facts, now, sender_works=works, on_demand=True)
    return Standing(
        partner_id,
        customer,
        decision,
        values,
        now,
        _allowed_at(decision, values, now),
        place.facts.last_at,
        place.version,
        place.token,
    )


def _allowed_at(decision: Decision, values: RenewalValues, now: datetime) -> datetime | None:
    if decision.reason is Reason.TOO_SOON:
        return decision.again_at
    if decision.reason in {Reason.WAITING, Reason.RACED}:
        return now + values.gap(on_demand=True)  # as if it arrived this moment
    return None


def _as(standing: Standing, reason: Reason) -> Standing:
    decision = Decision(standing.decision.services, reason, standing.decision.again_at)
    return Standing(
        standing.partner_id,
        standing.customer,
        decision,
        standing.values,
        standing.now,
        _allowed_at(decision, standing.values, standing.now),
        standing.last_at,
        standing.version,
        standing.token,
    )


def _send(standing: Standing) -> Reason | None:
    """Write the notice; why not, if another request or run was faster."""
    engine, partner_id, customer = host_engine(), standing.partner_id, standing.customer
    token = standing.token
    if not token:
        with ledger.writing(engine) as session:
            ledger.introduce(session, partner_id, [customer.id])
        with ledger.writing(engine) as session:
            token = ledger.known(session, partner_id, [customer.id])[customer.id].token
    services = standing.decision.services
    try:
        with reading(engine) as session:
            voice = replace(notices.voice_for(session, partner_id), session=None)
        message = notices.compose(customer, services, standing.values, token, voice)
        with ledger.writing(engine) as session:
            listen(session)
            sender = notices.sender_of(session, partner_id, on_demand=True)
            now = standing.now
            mail = notices.outgoing(message, sender, partner_id, services, now, on_demand=True)
            ready = Ready(customer.id, standing.version, standing.decision, mail)
            row = write(session, partner_id, ready, on_demand=True)
            ledger.enter(session, [row] if row else [])
    except DBAPIError as error:
        if not is_contention(error):
            raise
        return Reason.RACED
    except (MessageError, TooLarge, QueueFull, supply.HostFailedError) as error:
        log.warning("no reminder for customer %r of %r: %s", customer.id, partner_id, error)
        return Reason.QUEUE_FULL
    return None if row else Reason.RACED
