"""Moments on pages: in UTC as they are sent, and in the viewer's own zone where scripts run."""

from datetime import UTC, datetime

from markupsafe import Markup

from smtp_admin.clock import now
from smtp_admin.moments import time_tag
from smtp_admin.translation import as_shown, day


def shown_time(at: datetime | None, *, exact: bool = False) -> Markup:
    """A moment for people: the time alone if it is today, else with its day.

    The page's script replaces the words by the viewer's own time, and leaves UTC in the title.

    Args:
        exact: to the second.
    """
    if at is None:
        return Markup("–")
    at = at.astimezone(UTC)
    moment = now()
    clock = f"{at:%H:%M:%S}" if exact else f"{at:%H:%M}"
    shown: str = ""
    if at.date() != moment.date():
        shown = as_shown(day(at, year=at.year != moment.year)) + " "
    return time_tag(at, shown + f"{clock} UTC", exact=exact)
