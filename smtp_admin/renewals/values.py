"""The renewal settings, what each field accepts, and what a person should think about."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from smtp_admin.errors import InvalidInput
from smtp_admin.translation import gettext, said_by

MOST_HOURS = 24 * 365
MOST_DAYS = 90
_MOST_STEPS = 10
#: Under this, customers who ask again and again are a nuisance to themselves.
_SHORT_ON_DEMAND = 6
#: What the recommendations on the page say, in hours.
RECOMMENDED = {"min_hours": (24, 72), "on_demand_min_hours": (12, 48)}
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class RenewalValues:
    """When reminders go out.

    Attributes:
        window_days: how long before its expiry a service is worth a notice.
        steps: days before the expiry at which alone notices go out, largest first; empty for
            whenever the frequency allows.
        min_hours: between automatic notices to the same customer.
        on_demand_min_hours: after any notice, before a customer may ask for one.
        quiet_from: from then on nothing is sent automatically, in the customer's zone …
        quiet_to: … until then; equal times mean that no hours are quiet.
        time_zone: of customers whose own is not known.
    """

    enabled: bool = False
    window_days: int = 7
    steps: tuple[int, ...] = ()
    min_hours: int = 48
    on_demand_min_hours: int = 24
    quiet_from: time = time(0)
    quiet_to: time = time(0)
    time_zone: str = "UTC"

    @property
    def lead_days(self) -> int:
        """Days of the customer's calendar before its expiry from which a service is looked at.

        The largest step, if there are any.
        """
        return self.steps[0] if self.steps else self.window_days

    @property
    def zone(self) -> ZoneInfo:
        """Of customers whose own is not known; UTC where this one is not known any more either."""
        return zone_called(self.time_zone) or _UTC

    def gap(self, *, on_demand: bool) -> timedelta:
        """How long after a notice the next one may follow."""
        return timedelta(hours=self.on_demand_min_hours if on_demand else self.min_hours)


def clean_hours(text: str) -> int:
    """Whole hours, at least 1.

    Raises:
        ValueError: with a sentence.
    """
    return _whole(text, MOST_HOURS, "hours")


def clean_window(text: str) -> int:
    """Whole days, at least 1.

    Raises:
        ValueError: with a sentence.
    """
    return _whole(text, MOST_DAYS, "days")


def clean_steps(text: str) -> tuple[int, ...]:
    """Days such as ``14, 7, 3, 1``, largest first, each once; nothing for none.

    Raises:
        ValueError: with a sentence.
    """
    found = [one for one in re.split(r"[\s,;]+", text.strip()) if one]
    if len(found) > _MOST_STEPS:
        raise ValueError(gettext("At most %(most)s steps.", most=_MOST_STEPS))
    return tuple(sorted({_whole(one, MOST_DAYS, "days") for one in found}, reverse=True))


def clean_clock(text: str) -> time:
    """A time of day such as ``22:00``; midnight for nothing.

    Raises:
        ValueError: with a sentence.
    """
    if not text.strip():
        return time(0)
    found = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::00)?", text.strip(), re.ASCII)
    if found is None:
        raise ValueError(gettext("Enter a time such as 22:00."))
    return time(int(found[1]), int(found[2]))


def clean_zone(text: str) -> str:
    """The name of a time zone, such as ``Europe/Berlin``; UTC for nothing.

    Raises:
        ValueError: with a sentence.
    """
    name = text.strip() or "UTC"
    if zone_called(name) is None:
        raise ValueError(gettext("There is no such time zone. Use a name such as Europe/Berlin."))
    return name


@lru_cache(maxsize=1000)
def zone_called(name: str) -> ZoneInfo | None:
    """The time zone of that name, or ``None``; remembered, as odd ones are looked for as files."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # a folder, a name that is too long
        return None


def warnings(values: RenewalValues) -> dict[str, list[str]]:
    """Field → sentences about what can be saved, but should be thought about."""
    found: dict[str, list[str]] = {}
    if values.on_demand_min_hours >= values.min_hours:
        found.setdefault("on_demand_min_hours", []).append(
            gettext(
                "This is not shorter than the time between automatic notices, so "
                "reminders on demand have no use."
            )
        )
    if values.on_demand_min_hours < _SHORT_ON_DEMAND:
        found.setdefault("on_demand_min_hours", []).append(
            gettext(
                "Under %(hours)s hours, one customer can ask for many mails a day.",
                hours=_SHORT_ON_DEMAND,
            )
        )
    if values.min_hours >= 24 * values.lead_days:
        found.setdefault("min_hours", []).append(
            gettext(
                "This is as long as the days before expiry. A customer with several "
                "services may get no notice about one of them."
            )
        )
    return found


#: The codes that the settings have in the source document → our field and how it is read.
_CODES = {
    "renewal_notification_enabled": "enabled",
    "renewal_notification_min_period_hours": "min_hours",
    "renewal_notification_on_demand_min_hours": "on_demand_min_hours",
}


def values_from_codes(given: Mapping[str, Any], before: RenewalValues) -> RenewalValues:
    """*before* with what an export of another panel says (``renewal_notification_…``).

    The two numbers are needed only where notices are on; other settings in it are not ours and
    are left alone.

    Raises:
        InvalidInput: none of the codes is there, or a value cannot be used; by its code.
    """
    known = {code: given[code] for code in _CODES if code in given}
    if not known:
        raise InvalidInput(
            gettext("The file contains no renewal setting."),
            hint=gettext("It should have some of: %(names)s.", names=", ".join(_CODES)),
        )
    read: dict[str, Any] = {}
    complaints: dict[str, list[str]] = {}
    for code, value in known.items():
        try:
            read[_CODES[code]] = _read_code(_CODES[code], value)
        except ValueError as error:
            complaints[code] = [said_by(error)]
    if complaints:
        raise InvalidInput(fields=complaints)
    return replace(before, **{name: one for name, one in read.items() if one is not None})


def _read_code(name: str, value: Any) -> bool | int | None:
    text = value if isinstance(value, str) else json.dumps(value)
    if name != "enabled":
        return None if text.strip() in {"", "null"} else clean_hours(text)
    word = text.strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", "", "null"}:
        return False
    raise ValueError(gettext("This must be on or off."))


def _whole(text: str, most: int, unit: str) -> int:
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdecimal() and len(stripped) <= 6):  # noqa: PLR2004
        raise ValueError(
            gettext("Enter whole hours, such as 48.")
            if unit == "hours"
            else gettext("Enter whole days, such as 7.")
        )
    if not 1 <= int(stripped) <= most:
        raise ValueError(gettext("From 1 to %(most)s %(unit)s.", most=most, unit=unit))
    return int(stripped)
