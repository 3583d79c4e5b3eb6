"""A year of many customers at steps of an hour, with everything that a year brings."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as clock

import pytest

from smtp_admin.renewals.records import Customer
from smtp_admin.renewals.schedule import Facts, Reason, decide
from smtp_admin.renewals.values import RenewalValues
from tests.renewals.things import a_customer, a_service, days_earlier

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
#: With a leap day in it.
BEGINS = datetime(2027, 9, 1, tzinfo=UTC)
HOURS = 366 * 24
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "")
VALUES = RenewalValues(
    enabled=True, quiet_from=clock(21, 30), quiet_to=clock(8), time_zone="Europe/Lisbon"
)


@dataclass
class Life:
    """One customer: what they have, and all that happened about it."""

    zone: str
    expiries: dict[str, datetime]
    facts: Facts = field(default_factory=Facts)
    notices: list[datetime] = field(default_factory=list)
    #: When the mail that is on its way arrives.
    arrives_at: datetime | None = None
    #: Service and expiry → the hours in its window, by reason.
    reasons: dict[tuple[str, datetime], Counter[Reason]] = field(default_factory=dict)
    told: set[tuple[str, datetime]] = field(default_factory=set)
    _customer: tuple[dict[str, datetime], Customer] | None = None

    def is_near(self, end: datetime, now: datetime) -> bool:
        """Whether something that ends then is worth a notice now."""
        return now < end and days_earlier(end, 7, self.zone or VALUES.time_zone) <= now

    def customer(self) -> Customer:
        """As the host tells of it; made anew only when something has changed."""
        if self._customer is None or self._customer[0] != self.expiries:
            services = (
                a_service(service_id=name, expires_at=end, time_zone=self.zone)
                for name, end in self.expiries.items()
            )
            self._customer = (dict(self.expiries), a_customer(*services))
        return self._customer[1]


def weather(luck: random.Random) -> Iterator[bool]:
    """Hour by hour, whether anything runs; now and then it does not, for up to three days."""
    while True:
        for _ in range(luck.randint(200, 1500)):
            yield True
        for _ in range(luck.randint(1, 72)):
            yield False


def live(count: int, seed: int) -> tuple[list[Life], Counter[str]]:
    luck = random.Random(seed)  # noqa: S311 - a repeatable year
    lives = [
        Life(
            luck.choice(ZONES),
            {
                f"s{number}": BEGINS
                + luck.randint(1, 400) * DAY
                + luck.randint(0, 86399) * HOUR / 3600
                for number in range(luck.choice((1, 1, 1, 2, 3, 5)))
            },
        )
        for _ in range(count)
    ]
    tally: Counter[str] = Counter()
    running = weather(luck)
    sending = weather(luck)
    for hour in range(HOURS):
        # Somebody sets the machine's clock back by an hour in the middle, for good.
        now = BEGINS + (hour if hour < HOURS // 2 else hour - 1) * HOUR
        runs, sends = next(running), next(sending)
        for one in lives:
            step(one, now, luck, runs=runs, sends=sends, tally=tally)
    return lives, tally


def step(
    one: Life, now: datetime, luck: random.Random, *, runs: bool, sends: bool, tally: Counter[str]
) -> None:
    if one.arrives_at is not None and now >= one.arrives_at and sends:
        near = {name: end for name, end in one.expiries.items() if one.is_near(end, now)}
        one.facts = Facts(now, near)
        one.notices.append(now)
        one.told |= set(near.items())
        one.arrives_at = None
    for name, end in list(one.expiries.items()):
        if end <= now:
            check_end(one, name, end, tally)
            one.expiries[name] = end + luck.choice((30, 90, 365)) * DAY
    if not runs:
        for name, end in one.expiries.items():
            if one.is_near(end, now):
                one.reasons.setdefault((name, end), Counter())[Reason.NO_SENDER] += 1
        return
    customer = one.customer()
    decision = decide(VALUES, customer, one.facts, now, sender_works=sends)
    for service in decision.services:
        about = (service.service_id, service.expires_at)
        hours = one.reasons.setdefault(about, Counter())
        if decision.reason is not None:
            hours[decision.reason] += 1
    if decision.reason is None:
        tally["due"] += 1
        # Most mails are taken at once, some only after hours.
        one.arrives_at = now + luck.choice((0, 0, 0, 0, 1, 30)) * HOUR
        one.facts = Facts(one.facts.last_at, one.facts.announced, waiting=True)
        if luck.random() < 0.5:  # about half of the customers renew one of them soon
            name = decision.services[0].service_id
            one.expiries[name] += 30 * DAY
            tally["renewed"] += 1


def check_end(one: Life, name: str, end: datetime, tally: Counter[str]) -> None:
    """Whatever ends was announced, or each hour of its window says why not."""
    if (name, end) in one.told:
        tally["announced"] += 1
        return
    tally["unannounced"] += 1
    hours = one.reasons.get((name, end), Counter())
    whole = min(7 * 24, int((end - BEGINS) / HOUR))
    # The hour in which a notice was written has none; the clock was set back over another.
    assert hours.total() >= whole - 3, (name, end, hours)


@pytest.mark.parametrize(
    "count", [25, pytest.param(2000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)
def test_a_year(count: int) -> None:
    lives, tally = live(count, seed=count)
    for one in lives:
        for before, after in itertools.pairwise(one.notices):
            assert after - before >= VALUES.min_hours * HOUR
    assert tally["announced"] > count, tally
    assert tally["renewed"] > count
    assert tally["unannounced"] < tally["announced"] / 20
