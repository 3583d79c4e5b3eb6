"""What a run did: counts, why others got nothing, and what was wrong, small enough to keep."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from smtp_admin.renewals.schedule import Reason
from smtp_admin.translation import gettext, joined, ngettext

_EXAMPLES = 10
_PROBLEMS = 20
_LONGEST = 300
#: Different names of zones that are told apart.
_ZONES = 10
_LONGEST_ZONE = 60
_FURTHER = ""


@dataclass(slots=True)
class Report:
    """The counts of one run.

    Attributes:
        due: customers whose notice was queued; in a preview, who would get one.
        failed: customers whose mail could not be made, and an app that failed as a whole.
        broken: records that could not be used.
        skipped: reason → customers.
        examples: reason → the first of them.
        zones: name of a time zone that is not known → customers of whom the host says it.
        zone_examples: the same name → the first of them.
        zone_taken: the zone that is taken instead, or ``""`` where there are none.
        settings_zone: that of the settings if it is not known either, else ``""``.
        problems: the first failures and broken records, in words.
        ended: why it ended early, or ``""``.
    """

    customers: int = 0
    services: int = 0
    due: int = 0
    failed: int = 0
    broken: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    zones: Counter[str] = field(default_factory=Counter)
    zone_examples: dict[str, list[str]] = field(default_factory=dict)
    zone_taken: str = ""
    settings_zone: str = ""
    problems: list[str] = field(default_factory=list)
    ended: str = ""

    @property
    def eventful(self) -> bool:
        """Whether it is worth keeping."""
        return bool(self.due or self.failed or self.problems or self.ended)

    def note(self, customer_id: str, reason: Reason | None) -> None:
        """Count one customer."""
        self.customers += 1
        if reason is None:
            self.due += 1
        else:
            self._skip(customer_id, reason)

    def change(self, customer_id: str, reason: Reason) -> None:
        """One that was counted as due gets nothing after all."""
        self.due -= 1
        self._skip(customer_id, reason)

    def note_failed(self, customer_id: str, problem: str) -> None:
        """One that was counted as due cannot get its mail."""
        self.due -= 1
        self.failed += 1
        self._add_problem(
            gettext(
                "Customer %(customer_id)s: %(problem)s",
                customer_id=repr(customer_id),
                problem=problem,
            )
        )

    def note_broken(self, problem: str) -> None:
        """A record cannot be used."""
        self.broken += 1
        self._add_problem(problem)

    def note_zone(self, customer_id: str, name: str, taken: str) -> None:
        """The zone of a customer is not known, so that *taken* counts; no reason against a notice.

        It does not make a report worth keeping: it would be the same four times an hour.
        """
        shown = name[:_LONGEST_ZONE]
        if shown not in self.zones and len(self.zones) >= _ZONES:
            shown = _FURTHER
        self.zones[shown] += 1
        self.zone_taken = taken
        _add_example(self.zone_examples, shown, customer_id)

    @property
    def zone_sentences(self) -> list[str]:
        """What is wrong with time zones, one sentence for each."""
        found = []
        if self.settings_zone:
            found.append(
                gettext(
                    "The time zone of the settings, %(settings_zone)s, is not known here; "
                    "UTC is taken.",
                    settings_zone=repr(self.settings_zone),
                )
            )
        for name, count in self.zones.most_common():
            which = (
                gettext("Further time zones are not known")
                if name == _FURTHER
                else gettext("Time zone %(name)s is not known", name=repr(name))
            )
            some = ", ".join(self.zone_examples.get(name, []))
            more = "" if count <= _EXAMPLES else ", …"
            taken = ngettext(
                "%(zone)s is taken for %(number)s customer: %(names)s.",
                "%(zone)s is taken for %(number)s customers: %(names)s.",
                count,
                zone=self.zone_taken,
                names=some + more,
            )
            found.append(joined((which, taken), "; "))
        return found

    def note_unordered(self) -> None:
        """The services of a customer came apart, and may do so where it costs a notice."""
        problem = gettext(
            "expiring_services() does not order by customer: services of one came apart."
        )
        if problem not in self.problems:
            self._add_problem(problem)

    def as_json(self) -> str:
        """For a column, or a script."""
        return json.dumps(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self) | {"skipped": dict(self.skipped), "zones": dict(self.zones)}

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What :meth:`as_json` wrote."""
        fields = json.loads(text)
        counts = {name: Counter(fields.get(name, {})) for name in ("skipped", "zones")}
        return cls(**(fields | counts))

    def _skip(self, customer_id: str, reason: Reason) -> None:
        self.skipped[reason.value] += 1
        _add_example(self.examples, reason.value, customer_id)

    def _add_problem(self, problem: str) -> None:
        if len(self.problems) < _PROBLEMS:
            self.problems.append(problem[:_LONGEST])


def _add_example(examples: dict[str, list[str]], name: str, customer_id: str) -> None:
    some = examples.setdefault(name, [])
    if len(some) < _EXAMPLES:
        some.append(customer_id)
