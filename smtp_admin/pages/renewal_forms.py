"""The form of the renewal settings. What a field accepts is decided in :mod:`.values`."""

from collections.abc import Callable, Container
from dataclasses import replace
from typing import Any

from wtforms import BooleanField, Form, HiddenField, StringField

from smtp_admin.errors import InvalidInput
from smtp_admin.renewals import values as clean
from smtp_admin.renewals.service import Applied
from smtp_admin.renewals.values import RECOMMENDED, RenewalValues
from smtp_admin.translation import gettext, said_by

_READ: dict[str, Callable[[str], Any]] = {
    "window_days": clean.clean_window,
    "steps": clean.clean_steps,
    "min_hours": clean.clean_hours,
    "on_demand_min_hours": clean.clean_hours,
    "quiet_from": clean.clean_clock,
    "quiet_to": clean.clean_clock,
    "time_zone": clean.clean_zone,
}
#: Without these nothing can be sent; while reminders are off, an empty one keeps what was saved.
_NEEDED = {
    "window_days": gettext("Enter how many days before; 7 is usual."),
    "min_hours": gettext("Enter the hours; 48 is usual."),
    "on_demand_min_hours": gettext("Enter the hours; 24 is usual."),
}


def _range(name: str) -> str:
    least, most = RECOMMENDED[name]
    return gettext("Recommended: %(least)s to %(most)s; at least 1.", least=least, most=most)


class RenewalForm(Form):
    """The renewal settings of the system or of one partner."""

    own = BooleanField(gettext("Own settings instead of the system's"))
    enabled = BooleanField(gettext("Remind customers before their services expire"))
    window_days = StringField(
        gettext("Days before expiry"),
        description=gettext("From then on notices are sent as often as the frequency allows."),
    )
    steps = StringField(
        gettext("Only at these days before"),
        description=gettext("For example 14, 7, 3, 1. If empty, all of the days above."),
    )
    min_hours = StringField(
        gettext("Hours between notices"),
        description=gettext("To one customer. %(range)s", range=_range("min_hours")),
    )
    on_demand_min_hours = StringField(
        gettext("Hours before a reminder on demand"),
        description=gettext("After any notice. %(range)s", range=_range("on_demand_min_hours")),
    )
    quiet_from = StringField(
        gettext("Quiet from"), description=gettext("In the customer's own time zone.")
    )
    quiet_to = StringField(
        gettext("Quiet until"), description=gettext("Equal times mean no quiet hours.")
    )
    time_zone = StringField(
        gettext("Time zone"),
        description=gettext("For customers without a known time zone. Such as Europe/Berlin."),
    )
    revision = HiddenField(default="0")
    #: Of which settings the person was told whom they mail today.
    confirmed = HiddenField()

    def fill(self, applied: Applied) -> None:
        """Show what applies now."""
        self.own.data = applied.own
        self.revision.data = str(applied.revision)
        self.show(applied.values)

    def show(self, values: RenewalValues) -> None:
        """Show *values* in the fields."""
        self.enabled.data = values.enabled
        self.window_days.data = str(values.window_days)
        self.steps.data = ", ".join(map(str, values.steps))
        self.min_hours.data = str(values.min_hours)
        self.on_demand_min_hours.data = str(values.on_demand_min_hours)
        self.quiet_from.data = f"{values.quiet_from:%H:%M}"
        self.quiet_to.data = f"{values.quiet_to:%H:%M}"
        self.time_zone.data = values.time_zone

    def cleaned(self, before: RenewalValues) -> RenewalValues:
        """The values that were entered.

        Raises:
            InvalidInput: with every field that needs another look.
        """
        enabled = bool(self.enabled.data)
        read: dict[str, Any] = {"enabled": enabled}
        complaints: dict[str, list[str]] = {}
        for name, clean_one in _READ.items():
            text = str(self[name].data or "")
            if name in _NEEDED and not text.strip():
                if enabled:
                    complaints[name] = [_NEEDED[name]]
                continue
            try:
                read[name] = clean_one(text)
            except ValueError as error:
                complaints[name] = [said_by(error)]
        if complaints:
            raise InvalidInput(fields=complaints)
        return replace(before, **read)

    def chosen(self, applied: Applied, given: Container[str]) -> RenewalValues:
        """The values that are to be the partner's own from now on, or the system's.

        Fields that show what is inherited are disabled and do not come back: who takes settings of
        their own without a script begins with those that apply.

        Args:
            given: the names of the fields that came back.

        Raises:
            InvalidInput: as :meth:`cleaned`.
        """
        if not applied.own and not any(name in given for name in _READ):
            on = bool(self.enabled.data) or applied.values.enabled
            return replace(applied.values, enabled=on)
        return self.cleaned(applied.values)

    @property
    def seen_revision(self) -> int:
        """The revision that was on the page."""
        text = str(self.revision.data or "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else -1  # noqa: PLR2004
