"""The next thirty days: how many notices on which day, to whom, and why others get none."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from smtp_admin.database import database_now, transaction
from smtp_admin.database_errors import is_contention
from smtp_admin.errors import NotFound
from smtp_admin.host import ExpiringService
from smtp_admin.renewals import ledger, notices, supply
from smtp_admin.renewals.days import beginning, surely_after
from smtp_admin.renewals.records import Customer, batches, customers, together, usable
from smtp_admin.renewals.schedule import Decision, Facts, Reason, decide, project
from smtp_admin.renewals.values import RenewalValues
from smtp_admin.translation import gettext

DAYS = 30
#: A page is made in a moment: of very many customers it shows the first.
_SECONDS = 3.0
_SHOWN = 100
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """One customer in the calendar.

    Attributes:
        moments: when notices go out, as far as anybody can tell.
        now: the decision at this moment, which is ``seen_at``.
        named: the services that the first of these notices names.
    """

    customer: Customer
    moments: tuple[datetime, ...]
    now: Decision
    seen_at: datetime
    named: tuple[ExpiringService, ...] = ()

    @property
    def name(self) -> str:
        """What the customer is called."""
        return self.customer.services[0].customer_name or self.customer.id


@dataclass(slots=True)
class Calendar:
    """What is to be expected.

    Attributes:
        days: each of the thirty days with its number of notices.
        entries: the first customers, with what happens to each.
        only_reached: whether these are only those that get a notice.
        search: what those have in their name, id or address, in any case; ``""`` for all.
        matching: how many these would be if all were shown.
        skipped: reason → customers that get nothing in these days.
        complete: whether everybody was looked at.
        problem: what the app did wrong, or ``""``.
    """

    now: datetime
    days: dict[date, int]
    entries: list[Entry] = field(default_factory=list)
    skipped: Counter[Reason] = field(default_factory=Counter)
    customers: int = 0
    matching: int = 0
    broken: int = 0
    only_reached: bool = False
    search: str = ""
    complete: bool = True
    problem: str = ""

    @property
    def notices(self) -> int:
        """All of them together."""
        return sum(self.days.values())

    @property
    def reached(self) -> int:
        """Customers that get at least one."""
        return self.customers - self.skipped.total()

    @property
    def most(self) -> int:
        """On the busiest day."""
        return max(self.days.values(), default=0)


def look_ahead(
    engine: Engine,
    partner_id: str,
    values: RenewalValues,
    *,
    days: int = DAYS,
    seconds: float | None = None,
    only_reached: bool = False,
    search: str = "",
) -> Calendar:
    """The calendar of *partner_id*; where reminders are off, as if they were on."""
    _settle(engine, partner_id)
    values = replace(values, enabled=True)
    with transaction(engine) as session:
        now = database_now(session)
    first = now.astimezone(values.zone).date()
    found = Calendar(
        now,
        {first + timedelta(days=number): 0 for number in range(days)},
        only_reached=only_reached,
        search=search.strip().casefold(),
    )
    end = _end(values, now, days)
    allowed = _SECONDS if seconds is None else seconds
    until = surely_after(end, values.lead_days)
    try:
        records = usable(
            supply.expiring(until, partner_id), partner_id, lambda _: _count_broken(found)
        )
        for batch in batches(_in_time(found, customers(records), allowed), _BATCH):
            for entry in _entries(engine, partner_id, values, now, end, together(batch)):
                _add(found, entry, values.zone)
    except supply.HostFailedError as error:
        found.complete = False
        found.problem = error.message
    return found


def look_at(engine: Engine, partner_id: str, values: RenewalValues, customer_id: str) -> Entry:
    """One customer's place in the calendar.

    Raises:
        NotFound: the host knows no service of theirs with this partner.
        Unavailable: the host's own code failed.
    """
    services = supply.of_customer(customer_id).services.get(partner_id)
    if not services:
        raise NotFound(
            gettext(
                "The app has no service of customer %(customer_id)s here.",
                customer_id=repr(customer_id[:100]),
            ),
            hint=""
            if supply.tells_of_customers()
            else gettext("It does not implement customer_services()."),
        )
    with transaction(engine) as session:
        now = database_now(session)
    _settle(engine, partner_id, customer_id)
    mine = [Customer(customer_id, services)]
    return next(_entries(engine, partner_id, values, now, _end(values, now, DAYS), mine))


def _settle(engine: Engine, partner_id: str, customer_id: str | None = None) -> None:
    """Note what became of notices: a scheduler does that only now and then.

    While others write just that, what is known already must do.
    """
    try:
        with ledger.writing(engine) as session:
            ledger.settle(session, partner_id, customer_id)
    except DBAPIError as error:
        if not is_contention(error):
            raise


def _end(values: RenewalValues, now: datetime, days: int) -> datetime:
    """When the last of so many days ends, which are those of the settings' zone."""
    zone = values.zone
    return beginning(now.astimezone(zone).date() + timedelta(days=days), zone)


def _in_time(found: Calendar, coming: Iterable[Customer], seconds: float) -> Iterator[Customer]:
    """*coming*, until there was time enough; a host may be slow, or know very many."""
    ends = time.monotonic() + seconds
    for one in coming:
        yield one
        if time.monotonic() > ends:
            found.complete = False
            return


def _count_broken(found: Calendar) -> None:
    found.broken += 1


def _add(found: Calendar, entry: Entry, zone: ZoneInfo) -> None:
    found.customers += 1
    for moment in entry.moments:
        day = moment.astimezone(zone).date()
        if day in found.days:
            found.days[day] += 1
    if not entry.moments:
        found.skipped[entry.now.reason or Reason.EXPIRED] += 1
    if not _is_wanted(found, entry):
        return
    found.matching += 1
    if len(found.entries) < _SHOWN:
        found.entries.append(entry)


def _is_wanted(found: Calendar, entry: Entry) -> bool:
    if found.only_reached and not entry.moments:
        return False
    texts = (entry.name, entry.customer.id, *(s.customer_email for s in entry.customer.services))
    return not found.search or any(found.search in one.casefold() for one in texts)


def _entries(
    engine: Engine,
    partner_id: str,
    values: RenewalValues,
    now: datetime,
    end: datetime,
    batch: Sequence[Customer],
) -> Iterator[Entry]:
    with transaction(engine) as session:
        places = ledger.known(session, partner_id, [one.id for one in batch])
        sender = notices.sender_of(session, partner_id, on_demand=False)
        works = notices.can_send(session, sender, now, on_demand=False)
    for one in batch:
        facts = places[one.id].facts if one.id in places else Facts()
        # A sender that does not work now will, for a calendar of what is to come.
        coming = [
            (moment, decision.services)
            for moment, decision in project(values, one, facts, now, end)
            if decision.reason is None
        ]
        decision = decide(values, one, facts, now, sender_works=works)
        moments = tuple(moment for moment, _ in coming)
        yield Entry(one, moments, decision, now, coming[0][1] if coming else ())


def as_dict(entry: Entry) -> dict[str, Any]:
    """For a script."""
    return {
        "customer_id": entry.customer.id,
        "reason": entry.now.reason.value if entry.now.reason else None,
        "again_at": entry.now.again_at,
        "notices": list(entry.moments),
    }
