"""The renewal settings: what a field takes, whose apply, and what is warned about."""

import json
import re
from collections.abc import Mapping
from datetime import time
from typing import Any

import pytest

from smtp_admin.errors import Conflict, InvalidInput
from smtp_admin.renewals import service
from smtp_admin.renewals.values import (
    RenewalValues,
    clean_clock,
    clean_hours,
    clean_steps,
    clean_window,
    clean_zone,
    values_from_codes,
    warnings,
)
from tests.app import ACME_ADMIN, ADMIN, HostApp

PAGE = "/smtp-admin/renewals/partners/acme"
SYSTEM_PAGE = "/smtp-admin/renewals/system"
HTML = {"Accept": "text/html"}
GIVEN = {"own": "y", "enabled": "y", "window_days": "10", "steps": "1 3, 7;14", "min_hours": "36",
         "on_demand_min_hours": "12", "quiet_from": "22:00", "quiet_to": "7:30",
         "time_zone": "Europe/Berlin", "revision": "0"}  # fmt: skip


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "9999999", "٤٨", "8761", ""])
def test_hours_are_whole_and_at_least_one(text: str) -> None:
    with pytest.raises(ValueError, match="hours"):
        clean_hours(text)
    assert clean_hours(" 1 ") == 1


def test_other_fields() -> None:
    assert clean_window("90") == 90
    assert clean_steps(" 1, 14 3;3 ") == (14, 3, 1)
    assert clean_steps("") == ()
    assert (clean_clock("7:05"), clean_clock("")) == (time(7, 5), time(0))
    assert (clean_zone("Asia/Tokyo"), clean_zone(" ")) == ("Asia/Tokyo", "UTC")
    for clean, text in (
        (clean_window, "91"), (clean_steps, "0"), (clean_steps, "1,2,3,4,5,6,7,8,9,10,11"),
        (clean_clock, "24:00"), (clean_clock, "7"), (clean_zone, "Mars/Olympus"),
        (clean_zone, "../../etc/passwd"), (clean_zone, "/etc/passwd"), (clean_zone, "a\0b"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"\w"):
            clean(text)


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        (RenewalValues(), set()),
        (RenewalValues(on_demand_min_hours=48), {"on_demand_min_hours"}),
        (RenewalValues(on_demand_min_hours=5), {"on_demand_min_hours"}),
        (RenewalValues(on_demand_min_hours=6), set()),
        (RenewalValues(min_hours=168), {"min_hours"}),
        (RenewalValues(min_hours=4, on_demand_min_hours=4), {"on_demand_min_hours"}),
    ],
)
def test_warnings(values: RenewalValues, fields: set[str]) -> None:
    assert set(warnings(values)) == fields


def test_defaults_are_the_sources(host: HostApp) -> None:
    values = service.load(host.db.session(), "acme").values
    assert (values.enabled, values.min_hours, values.on_demand_min_hours) == (False, 48, 24)
    assert (values.window_days, values.steps) == (7, ())


def test_saved_on_the_page_and_shown_again(host: HostApp) -> None:
    answer = host.client.post(PAGE, data=GIVEN, headers=HTML, follow_redirects=True)
    assert "Saved. Reminders are on" in answer.text
    applied = service.load(host.db.session(), "acme")
    assert applied.values == RenewalValues(
        True, 10, (14, 7, 3, 1), 36, 12, time(22), time(7, 30), "Europe/Berlin"
    )
    assert (applied.own, applied.revision, applied.saved_by) == (True, 1, "Ada")
    page = host.client.get(PAGE, headers=HTML).text
    for text in ('value="14, 7, 3, 1"', 'value="36"', 'value="07:30"', "Recommended: 24 to 72"):
        assert text in page


def test_a_partner_takes_the_systems_until_it_has_its_own(host: HostApp) -> None:
    host.client.post(SYSTEM_PAGE, data=GIVEN | {"min_hours": "60"})
    assert service.load(host.db.session(), "acme").values.min_hours == 60
    host.actor = ACME_ADMIN
    host.client.post(PAGE, data=GIVEN)
    assert service.load(host.db.session(), "acme").values.min_hours == 36
    # Whatever stands in the fields then does not matter.
    host.client.post(PAGE, data={"revision": "1", "min_hours": "nonsense", "enabled": "y"})
    applied = service.load(host.db.session(), "acme")
    assert (applied.values.min_hours, applied.own, applied.revision) == (60, False, 2)
    assert "Uses the system" in host.client.get(PAGE, headers=HTML).text


def test_numbers_are_needed_only_while_reminders_are_on(host: HostApp) -> None:
    empty = GIVEN | {"min_hours": "", "on_demand_min_hours": " ", "window_days": ""}
    answer = host.client.post(PAGE, data=empty, headers=HTML)
    assert answer.status_code == 400
    assert len(re.findall(r'aria-invalid="true"', answer.text)) == 3
    off = {name: value for name, value in empty.items() if name != "enabled"}
    assert host.client.post(PAGE, data=off).status_code == 303
    values = service.load(host.db.session(), "acme").values
    assert (values.enabled, values.min_hours, values.on_demand_min_hours) == (False, 48, 24)


@pytest.mark.parametrize(
    ("field", "text"),
    [("min_hours", "0"), ("window_days", "x"), ("steps", "never"), ("quiet_from", "late"),
     ("time_zone", "Mars"), ("on_demand_min_hours", "1e9")],
)  # fmt: skip
def test_a_wrong_field_saves_nothing_and_keeps_what_was_typed(
    host: HostApp, field: str, text: str
) -> None:
    answer = host.client.post(PAGE, data=GIVEN | {field: text}, headers=HTML)
    assert answer.status_code == 400
    assert f'id="{field}-error"' in answer.text
    assert f'value="{text}"' in answer.text
    assert service.load(host.db.session(), "acme").revision == 0


def test_who_was_too_late_overwrites_nothing(host: HostApp) -> None:
    assert host.client.post(PAGE, data=GIVEN).status_code == 303
    late = host.client.post(PAGE, data=GIVEN | {"min_hours": "99"}, headers=HTML)
    assert late.status_code == 409
    assert "Ada saved the renewal settings while you were editing them" in late.text
    assert 'value="99"' in late.text
    again = re.search(r'name="revision"[^>]*value="(\d+)"', late.text)
    assert again
    data = GIVEN | {"min_hours": "99", "revision": again[1]}
    assert host.client.post(PAGE, data=data).status_code == 303
    assert service.load(host.db.session(), "acme").values.min_hours == 99
    with pytest.raises(Conflict):
        service.save(host.db.session(), "acme", RenewalValues(), own=True, expected_revision=1,
                     actor=ADMIN)  # fmt: skip


def test_warnings_stand_beside_the_field(host: HostApp) -> None:
    host.client.post(PAGE, data=GIVEN | {"on_demand_min_hours": "36"})
    assert "not shorter than the time between" in host.client.get(PAGE, headers=HTML).text


CODES: Mapping[str, Any] = {
    "smtp_server": "smtp.example.com",
    "renewal_notification_enabled": True,
    "renewal_notification_min_period_hours": 72,
    "renewal_notification_on_demand_min_hours": "12",
}


def test_codes_of_the_source_are_taken_over() -> None:
    before = RenewalValues(window_days=20)
    values = values_from_codes(CODES, before)
    assert values == RenewalValues(True, 20, min_hours=72, on_demand_min_hours=12)
    off = values_from_codes({"renewal_notification_enabled": "0",
                             "renewal_notification_min_period_hours": ""}, values)  # fmt: skip
    assert (off.enabled, off.min_hours) == (False, 72)


@pytest.mark.parametrize(
    "given",
    [{}, {"smtp_port": 25}, {"renewal_notification_enabled": "maybe"},
     {"renewal_notification_min_period_hours": 0},
     {"renewal_notification_on_demand_min_hours": [1]},
     {"renewal_notification_on_demand_min_hours": 1.5}],
)  # fmt: skip
def test_codes_that_cannot_be_used(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        values_from_codes(json.loads(json.dumps(given)), RenewalValues())
