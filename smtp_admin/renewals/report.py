"""What a run did: counts, why others got nothing, and what was wrong, small enough to keep."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from smtp_admin.renewals.schedule import Reason

_EXAMPLES = 10
_PROBLEMS = 20
_LONGEST = 300


@dataclass(slots=True)
class Report:
    """The counts of one run.

    Attributes:
        due: customers whose notice was queued; in a preview, who would get one.
        failed: customers whose mail could not be made, and an app that failed as a whole.
        broken: records that could not be used.
        skipped: reason → customers.
        examples: reason → the first of them.
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
        self._add_problem(f"Customer {customer_id!r}: {problem}")

    def note_broken(self, problem: str) -> None:
        """A record cannot be used."""
        self.broken += 1
        self._add_problem(problem)

    def note_unordered(self) -> None:
        """The services of a customer came apart, and may do so where it costs a notice."""
        problem = "expiring_services() does not order by customer: services of one came apart."
        if problem not in self.problems:
            self._add_problem(problem)

    def as_json(self) -> str:
        """For a column, or a script."""
        return json.dumps(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self) | {"skipped": dict(self.skipped)}

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What :meth:`as_json` wrote."""
        fields = json.loads(text)
        return cls(**(fields | {"skipped": Counter(fields.get("skipped", {}))}))

    def _skip(self, customer_id: str, reason: Reason) -> None:
        self.skipped[reason.value] += 1
        some = self.examples.setdefault(reason.value, [])
        if len(some) < _EXAMPLES:
            some.append(customer_id)

    def _add_problem(self, problem: str) -> None:
        if len(self.problems) < _PROBLEMS:
            self.problems.append(problem[:_LONGEST])
