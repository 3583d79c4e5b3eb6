"""Whether a customer gets a notice now, and if not, why not and until when.

Pure: what the host says, what the ledger knows and what time it is go in, a decision comes out.
The run, the check before sending, the calendar and the customer's own request all ask here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from smtp_admin.host import ExpiringService
from smtp_admin.renewals.days import days_before, put_back, reached
from smtp_admin.renewals.records import Customer
from smtp_admin.renewals.values import RenewalValues
from smtp_admin.translation import gettext


class Reason(StrEnum):
    """Why there is no notice."""

    DISABLED = "disabled"
    EXPIRED = "expired"
    RENEWED = "renewed"
    NOT_YET = "not_yet"
    NO_ADDRESS = "no_address"
    SUPPRESSED = "suppressed"
    UNSUBSCRIBED = "unsubscribed"
    WAITING = "waiting"
    TOO_SOON = "too_soon"
    ANNOUNCED = "announced"
    QUIET = "quiet"
    NO_SENDER = "no_sender"
    QUEUE_FULL = "queue_full"
    RACED = "raced"


#: What pages and reports say.
SENTENCES: Mapping[Reason, str] = {
    Reason.DISABLED: gettext("Reminders are switched off."),
    Reason.EXPIRED: gettext("Everything has expired or was cancelled."),
    Reason.RENEWED: gettext("Renewed already."),
    Reason.NOT_YET: gettext("Nothing expires within the days of notices."),
    Reason.NO_ADDRESS: gettext("There is no valid mail address."),
    Reason.SUPPRESSED: gettext("The address refused the last reminder."),
    Reason.UNSUBSCRIBED: gettext("The customer does not want reminders."),
    Reason.WAITING: gettext("The last notice is still on its way."),
    Reason.TOO_SOON: gettext("The last notice was sent too recently."),
    Reason.ANNOUNCED: gettext("Already announced. The next step is not due yet."),
    Reason.QUIET: gettext("Quiet hours."),
    Reason.NO_SENDER: gettext("The sender cannot send now."),
    Reason.QUEUE_FULL: gettext("The mail queue is full."),
    Reason.RACED: gettext("Another run already handled it."),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the ledger knows about one customer.

    Attributes:
        last_at: when a server last took a notice, or refused it for good.
        announced: what was in the last notice that was taken: service id → expiry.
        waiting: whether a notice is on its way.
        refused_address: the address that the last notice was refused for, or ``""``.
    """

    last_at: datetime | None = None
    announced: Mapping[str, datetime] = field(default_factory=dict)
    waiting: bool = False
    unsubscribed: bool = False
    refused_address: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens at one moment.

    Attributes:
        services: what expires in the window, soonest first: what a notice names.
        reason: why there is no notice now; ``None`` if there is one.
        again_at: when this reason ends if nothing else changes; ``None`` if it does not by itself.
    """

    services: tuple[ExpiringService, ...]
    reason: Reason | None
    again_at: datetime | None = None


def decide(
    values: RenewalValues,
    customer: Customer,
    facts: Facts,
    now: datetime,
    *,
    sender_works: bool = True,
    on_demand: bool = False,
) -> Decision:
    """Whether *customer* gets a notice at *now* (aware).

    Args:
        sender_works: whether mail of this partner can go out at all.
        on_demand: the customer asks for it: the shorter frequency counts, and neither steps nor
            quiet hours do.
    """
    if not values.enabled:
        return Decision((), Reason.DISABLED)
    zone = customer.zone(values)
    near = tuple(
        sorted(
            (
                one
                for one in customer.services
                if now < one.expires_at and _begins(values, one, zone) <= now
            ),
            key=lambda one: (one.expires_at, one.service_id),
        )
    )
    if not near:
        return _nothing_near(values, customer, facts, now, zone)
    email = customer.email
    if not email:
        return Decision(near, Reason.NO_ADDRESS)
    if facts.unsubscribed:
        return Decision(near, Reason.UNSUBSCRIBED)
    if facts.refused_address == email:
        return Decision(near, Reason.SUPPRESSED)
    if facts.waiting:
        return Decision(near, Reason.WAITING)
    if facts.last_at is not None:
        allowed_at = facts.last_at + values.gap(on_demand=on_demand)
        if now < allowed_at:
            return Decision(near, Reason.TOO_SOON, allowed_at)
    if not on_demand:
        later = _step_to_come(values, customer, facts, near, now, zone)
        if later is not None:
            return Decision(near, Reason.ANNOUNCED, later)
        loud_at = quiet_until(values, zone, now)
        if loud_at is not None:
            return Decision(near, Reason.QUIET, loud_at)
    if not sender_works:
        return Decision(near, Reason.NO_SENDER)
    return Decision(near, None)


def project(
    values: RenewalValues,
    customer: Customer,
    facts: Facts,
    now: datetime,
    until: datetime,
    *,
    sender_works: bool = True,
) -> Iterator[tuple[datetime, Decision]]:
    """What will happen to *customer* up to *until*, if nobody renews and every notice arrives.

    First the decision at *now*, then every notice; at last the reason for which there are no more.
    """
    if facts.waiting:  # it arrives now, as far as anybody can tell
        near = {one.service_id: one.expires_at for one in customer.services}
        facts = Facts(now, near, unsubscribed=facts.unsubscribed)
    moment: datetime | None = now
    while moment is not None and moment < until:
        decision = decide(values, customer, facts, moment, sender_works=sender_works)
        if decision.reason is None or moment == now or decision.again_at is None:
            yield moment, decision
        if decision.reason is None:
            told = {one.service_id: one.expires_at for one in decision.services}
            facts = Facts(moment, told)
            moment += values.gap(on_demand=False)
        else:
            moment = decision.again_at


def quiet_until(values: RenewalValues, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When the quiet hours that *now* falls into end (UTC), or ``None`` if it falls into none."""
    begins, ends = values.quiet_from, values.quiet_to

    def quiet(moment: datetime) -> bool:
        return _between(moment.astimezone(zone).time(), begins, ends)

    if not quiet(now):
        return None
    for end in _ends(ends, zone, now):
        # Clocks that are put back may show a time from before the quiet hours once more.
        again = put_back(now, end, zone)
        if again is not None and not quiet(again):
            return again
        # Where clocks skip all that is not quiet, the next quiet hours begin at once.
        if not quiet(end):
            return end
    raise AssertionError("a day has an end")  # pragma: no cover


def _ends(clock: time, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    """When clocks show *clock* after *now*; an hour that is repeated in autumn has it twice."""
    today = now.astimezone(zone).date()
    for days in (0, 1, 2):
        for again in (False, True):
            end = reached(today + timedelta(days=days), clock, zone, again=again)
            if end > now:
                yield end


def _between(clock: time, begins: time, ends: time) -> bool:
    if begins <= ends:
        return begins <= clock < ends
    return clock >= begins or clock < ends


def _nothing_near(
    values: RenewalValues, customer: Customer, facts: Facts, now: datetime, zone: ZoneInfo
) -> Decision:
    later = [one for one in customer.services if one.expires_at > now]
    if not later:
        return Decision((), Reason.EXPIRED)
    begins = min(_begins(values, one, zone) for one in later)
    renewed = any(
        one.service_id in facts.announced and facts.announced[one.service_id] < one.expires_at
        for one in later
    )
    return Decision((), Reason.RENEWED if renewed else Reason.NOT_YET, begins)


def _step_to_come(
    values: RenewalValues,
    customer: Customer,
    facts: Facts,
    near: tuple[ExpiringService, ...],
    now: datetime,
    zone: ZoneInfo,
) -> datetime | None:
    """The next step of any service, if the last one of each was followed by a notice about it."""
    if not values.steps or facts.last_at is None:
        return None
    for one in near:
        passed = [moment for moment in _steps(values, one, zone) if moment <= now]
        told = facts.announced.get(one.service_id) == one.expires_at
        if not told or facts.last_at < max(passed):
            return None
    to_come = [
        moment for one in customer.services for moment in _steps(values, one, zone) if moment > now
    ]
    return min(to_come, default=max(one.expires_at for one in near))


def _begins(values: RenewalValues, service: ExpiringService, zone: ZoneInfo) -> datetime:
    """From when on a service is worth a notice."""
    return days_before(service.expires_at, values.lead_days, zone)


def _steps(values: RenewalValues, service: ExpiringService, zone: ZoneInfo) -> Iterator[datetime]:
    for days in values.steps:
        yield days_before(service.expires_at, days, zone)
