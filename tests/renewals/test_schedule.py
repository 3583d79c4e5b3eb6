"""Each rule of the schedule by itself: who gets a notice, who does not, why, and until when."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from smtp_admin.renewals.schedule import SENTENCES, Facts, Reason, decide, project
from smtp_admin.renewals.values import RenewalValues
from tests.renewals.things import NOW, a_customer, a_service, ids

ON = RenewalValues(enabled=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
INSTANT = timedelta(microseconds=1)


def test_due_names_everything_in_the_window_soonest_first() -> None:
    customer = a_customer(
        a_service(6, service_id="later"),
        a_service(30, service_id="far"),
        a_service(1, service_id="soon"),
        a_service(-1, service_id="over"),
    )
    decision = decide(ON, customer, Facts(), NOW)
    assert decision.reason is None
    assert ids(decision.services) == ["soon", "later"]


def test_off_by_default() -> None:
    assert decide(RenewalValues(), a_customer(), Facts(), NOW).reason is Reason.DISABLED


def test_window_has_exact_ends() -> None:
    customer = a_customer(a_service(7))
    assert decide(ON, customer, Facts(), NOW).reason is None
    early = decide(ON, customer, Facts(), NOW - INSTANT)
    assert (early.reason, early.again_at) == (Reason.NOT_YET, NOW)
    assert decide(ON, customer, Facts(), NOW + 7 * DAY - INSTANT).reason is None
    assert decide(ON, customer, Facts(), NOW + 7 * DAY).reason is Reason.EXPIRED


@pytest.mark.parametrize(("on_demand", "hours"), [(False, 48), (True, 24)])
def test_frequency_counts_from_the_last_notice(on_demand: bool, hours: int) -> None:
    facts = Facts(last_at=NOW)
    allowed_at = NOW + hours * HOUR
    before = decide(ON, a_customer(), facts, allowed_at - INSTANT, on_demand=on_demand)
    assert (before.reason, before.again_at) == (Reason.TOO_SOON, allowed_at)
    assert decide(ON, a_customer(), facts, allowed_at, on_demand=on_demand).reason is None


def test_a_notice_on_its_way_blocks_the_next_however_old() -> None:
    facts = Facts(last_at=NOW - 100 * DAY, waiting=True)
    for on_demand in (False, True):
        decision = decide(ON, a_customer(), facts, NOW, on_demand=on_demand)
        assert (decision.reason, decision.again_at) == (Reason.WAITING, None)


@pytest.mark.parametrize(
    ("facts", "email", "works", "reason"),
    [
        (Facts(unsubscribed=True), "a@b.example", True, Reason.UNSUBSCRIBED),
        (Facts(refused_address="a@b.example"), "a@b.example", True, Reason.SUPPRESSED),
        (Facts(refused_address="old@b.example"), "a@b.example", True, None),
        (Facts(), "nobody", True, Reason.NO_ADDRESS),
        (Facts(), "", True, Reason.NO_ADDRESS),
        (Facts(), "a@b.example", False, Reason.NO_SENDER),
    ],
)
def test_who_gets_nothing(facts: Facts, email: str, works: bool, reason: Reason | None) -> None:
    customer = a_customer(a_service(customer_email=email))
    assert decide(ON, customer, facts, NOW, sender_works=works).reason is reason


def test_one_good_address_of_several_is_enough() -> None:
    customer = a_customer(
        a_service(customer_email="nobody"), a_service(customer_email="a@B.Example")
    )
    assert customer.email == "a@b.example"
    assert decide(ON, customer, Facts(), NOW).reason is None


def test_renewed_is_told_from_not_yet() -> None:
    customer = a_customer(a_service(40))
    told = Facts(last_at=NOW - 9 * DAY, announced={"s1": NOW + 2 * DAY})
    assert decide(ON, customer, told, NOW).reason is Reason.RENEWED
    assert decide(ON, customer, Facts(), NOW).reason is Reason.NOT_YET


STEPS = replace(ON, steps=(14, 7, 3, 1))


def test_steps_alone_bring_notices() -> None:
    customer = a_customer(a_service(20))
    moments = [moment for moment, one in project(STEPS, customer, Facts(), NOW, NOW + 30 * DAY)
               if one.reason is None]  # fmt: skip
    assert moments == [NOW + days * DAY for days in (6, 13, 17, 19)]


def test_a_step_missed_in_an_outage_is_made_up_for_once() -> None:
    customer = a_customer(a_service(2.5))  # the steps at 14, 7 and 3 days all passed unseen
    moments = [moment for moment, one in project(STEPS, customer, Facts(), NOW, NOW + 30 * DAY)
               if one.reason is None]  # fmt: skip
    assert moments == [NOW, NOW + 2 * DAY]


def test_a_service_bought_between_steps_is_announced() -> None:
    old = a_service(5, service_id="old")
    told = Facts(last_at=NOW - 2 * DAY, announced={"old": old.expires_at})
    alone = decide(STEPS, a_customer(old), told, NOW)
    assert (alone.reason, alone.again_at) == (Reason.ANNOUNCED, old.expires_at - 3 * DAY)
    assert decide(STEPS, a_customer(old, a_service(4, service_id="new")), told, NOW).reason is None


def test_steps_do_not_break_the_frequency() -> None:
    values = replace(STEPS, steps=(3, 2, 1), min_hours=40)
    customer = a_customer(a_service(5), a_service(5.5, service_id="s2"))
    moments = [moment for moment, one in project(values, customer, Facts(), NOW, NOW + 30 * DAY)
               if one.reason is None]  # fmt: skip
    assert moments == [NOW + 48 * HOUR, NOW + 88 * HOUR, NOW + 128 * HOUR]


QUIET = replace(ON, quiet_from=time(22), quiet_to=time(7), time_zone="Europe/Berlin")


def test_quiet_hours_are_the_customers_own() -> None:
    late = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    berlin = a_customer(a_service(customer_id="b"))
    tokyo = a_customer(a_service(time_zone="Asia/Tokyo"))
    nowhere = a_customer(a_service(time_zone="Mars/Olympus"))
    quiet = decide(QUIET, berlin, Facts(), late)
    assert (quiet.reason, quiet.again_at) == (Reason.QUIET, datetime(2026, 3, 3, 6, tzinfo=UTC))
    assert decide(QUIET, tokyo, Facts(), late).reason is None
    assert decide(QUIET, nowhere, Facts(), late).reason is Reason.QUIET
    assert decide(QUIET, berlin, Facts(), late, on_demand=True).reason is None
    assert decide(QUIET, berlin, Facts(), quiet.again_at or NOW).reason is None


@pytest.mark.parametrize(
    ("moment", "begins", "ends", "over"),
    [
        # In spring 02:00 to 03:00 does not exist, in autumn it comes twice.
        ("2026-03-29 00:30", time(1), time(2, 30), "2026-03-29 01:00"),
        ("2026-10-25 00:15", time(1), time(2, 30), "2026-10-25 00:30"),
        ("2026-10-25 01:15", time(1), time(2, 30), "2026-10-25 01:30"),
        ("2028-02-29 22:30", time(22), time(7), "2028-03-01 06:00"),
        # They begin in the hour that comes twice, and end when it comes again.
        ("2026-10-25 00:45:10.5", time(2, 30), time(8), "2026-10-25 01:00"),
        ("2026-10-25 01:45", time(2, 30), time(8), "2026-10-25 07:00"),
        # All that is not quiet is skipped.
        ("2026-03-29 00:30", time(2, 40), time(2, 20), "2026-03-30 00:20"),
    ],
)
def test_quiet_hours_end_also_when_clocks_change(
    moment: str, begins: time, ends: time, over: str
) -> None:
    values = replace(QUIET, quiet_from=begins, quiet_to=ends)
    now, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (moment, over))
    customer = a_customer(a_service(3, now=now))
    decision = decide(values, customer, Facts(), now)
    assert (decision.reason, decision.again_at) == (Reason.QUIET, end)
    moments = (end - timedelta(microseconds=1), end)
    assert [decide(values, customer, Facts(), one).reason for one in moments] == [
        Reason.QUIET, None
    ]  # fmt: skip


def test_equal_times_are_no_quiet_hours() -> None:
    values = replace(QUIET, quiet_from=time(9), quiet_to=time(9))
    for hour in range(24):
        assert decide(values, a_customer(), Facts(), NOW + hour * HOUR).reason is None


def test_three_days_at_48_hours_means_one_or_two() -> None:
    """The example of the source."""
    customer = a_customer(a_service(3))
    decisions = [*project(ON, customer, Facts(), NOW, NOW + 30 * DAY)]
    assert [moment for moment, one in decisions if one.reason is None] == [NOW, NOW + 2 * DAY]
    assert decisions[-1][1].reason is Reason.EXPIRED


def test_five_services_on_different_days_never_break_the_frequency() -> None:
    customer = a_customer(*(a_service(8 + day, service_id=f"s{day}") for day in range(5)))
    moments = [moment for moment, one in project(ON, customer, Facts(), NOW, NOW + 60 * DAY)
               if one.reason is None]  # fmt: skip
    assert moments == [NOW + DAY + number * 2 * DAY for number in range(6)]


def test_projection_counts_a_notice_on_its_way_as_arrived() -> None:
    customer = a_customer(a_service(5))
    moments = [moment for moment, one in
               project(ON, customer, Facts(waiting=True), NOW, NOW + 30 * DAY)
               if one.reason is None]  # fmt: skip
    assert moments == [NOW + 2 * DAY, NOW + 4 * DAY]


def test_every_reason_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Reason)
