"""The schedule against a slow model that keeps all history, with hypothesis."""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smtp_admin.renewals.schedule import Facts, Reason, decide
from smtp_admin.renewals.values import RenewalValues
from tests.examples import examples
from tests.renewals.things import a_customer, a_service, days_earlier

HOUR = timedelta(hours=1)
#: Around the last Sundays of March and October, and over a leap day.
STARTS = [datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 10, 17, tzinfo=UTC),
          datetime(2028, 2, 20, tzinfo=UTC)]  # fmt: skip
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/St_Johns",
    "Africa/Cairo",
]


@dataclass
class Model:
    """One customer, hour by hour, with everything that ever happened."""

    values: RenewalValues
    zone: str
    expiries: dict[str, datetime]
    notices: list[tuple[datetime, set[tuple[str, datetime]]]] = field(default_factory=list)

    def near(self, now: datetime) -> set[tuple[str, datetime]]:
        return {
            (name, end)
            for name, end in self.expiries.items()
            if days_earlier(end, self.lead, self.zone) <= now < end
        }

    @property
    def lead(self) -> int:
        return max(self.values.steps, default=self.values.window_days)

    def wants(self, now: datetime, works: bool) -> bool:
        near = self.near(now)
        if not near or not works:
            return False
        gap = self.values.min_hours * HOUR
        if any(now - at < gap for at, _ in self.notices):
            return False
        if self.values.steps and not any(self.untold(one, now) for one in near):
            return False
        clock = now.astimezone(ZoneInfo(self.zone))
        minute = clock.hour * 60 + clock.minute
        begins, ends = (one.hour * 60 + one.minute
                        for one in (self.values.quiet_from, self.values.quiet_to))  # fmt: skip
        quiet = set(range(begins, ends)) if begins <= ends else (
            set(range(begins, 1440)) | set(range(ends)))  # fmt: skip
        return minute not in quiet

    def untold(self, one: tuple[str, datetime], now: datetime) -> bool:
        steps = [days_earlier(one[1], days, self.zone) for days in self.values.steps]
        passed = [moment for moment in steps if moment <= now]
        return not any(at >= max(passed) and one in about for at, about in self.notices)


def clocks() -> Any:
    return st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30]))


VALUES = st.builds(
    RenewalValues,
    enabled=st.just(True),
    window_days=st.integers(1, 14),
    steps=st.one_of(
        st.just(()),
        st.sets(st.integers(1, 14), min_size=1, max_size=4).map(
            lambda found: tuple(sorted(found, reverse=True))
        ),
    ),
    min_hours=st.integers(1, 100),
    quiet_from=clocks(),
    quiet_to=clocks(),
)
#: At an hour: a service is renewed, bought or cancelled; or nothing can be sent for some hours.
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 24 * 25),
        st.sampled_from(["expires", "cancelled", "outage", "clock"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 600),
    ),
    max_size=12,
)


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
@given(
    values=VALUES,
    zone=st.sampled_from(ZONES),
    start=st.sampled_from(STARTS),
    events=EVENTS,
    first=st.integers(1, 20 * 24),
)
@example(  # quiet hours end at a time that the clocks skip
    values=RenewalValues(
        enabled=True, window_days=1, min_hours=1, quiet_from=time(0), quiet_to=time(2, 15)
    ),
    zone="Europe/Berlin",
    start=STARTS[0],
    events=[],
    first=218,
)
def test_hour_by_hour_as_the_model_says(
    values: RenewalValues,
    zone: str,
    start: datetime,
    events: list[tuple[int, str, str, int]],
    first: int,
) -> None:
    model = Model(values, zone, {"a": start + first * HOUR})
    facts = Facts()
    promised: datetime | None = None
    outage_ends = start
    set_back = timedelta()
    for hour in range(24 * 30):
        now = start + hour * HOUR - set_back
        for at, what, name, number in events:
            if at != hour:
                continue
            promised = None
            if what == "expires":
                model.expiries[name] = now + number * HOUR
            elif what == "cancelled":
                model.expiries.pop(name, None)
            elif what == "outage":
                outage_ends = now + (number % 72) * HOUR
            else:
                set_back += HOUR
                now -= HOUR
        works = now >= outage_ends
        customer = a_customer(
            *(a_service(service_id=name, expires_at=end, time_zone=zone)
              for name, end in sorted(model.expiries.items()))
        ) if model.expiries else None  # fmt: skip
        if customer is None:
            continue
        decision = decide(values, customer, facts, now, sender_works=works)
        assert (decision.reason is None) == model.wants(now, works)
        if promised is not None and now < promised:
            assert decision.reason is not None
        if decision.reason is None:
            about = {(one.service_id, one.expires_at) for one in decision.services}
            assert about == model.near(now)
            model.notices.append((now, about))
            facts = Facts(now, dict(about))
            promised = None
        else:
            assert decision.again_at is None or decision.again_at > now
            promised = decision.again_at
            if decision.reason not in {Reason.NO_SENDER, Reason.EXPIRED}:
                assert promised is not None
    times = [at for at, _ in model.notices]
    for before, after in itertools.pairwise(times):
        assert after - before >= values.min_hours * HOUR
