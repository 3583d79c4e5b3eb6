"""Several rounds of several contestants, in turn, so that a busy minute harms all alike."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.contestants import Contestant, Run, Task, measure
from benchmarks.contestants.ours import Ours
from benchmarks.sink import Stalled
from tests.servers import Unavailable

_FEWEST = 100
Tell = Callable[[str], None]


@dataclass
class Entry:
    """One contestant's runs, or why there are none."""

    contestant: Contestant
    versions: str = ""
    runs: list[Run] = field(default_factory=list)
    missing: str = ""

    @property
    def speeds(self) -> list[float]:
        """Mails per second, of each round."""
        return [run.speed for run in self.runs]

    @property
    def processor(self) -> float | None:
        """Microseconds of the processor a mail, the median of all rounds, where it is known."""
        known = [run.processor / run.count for run in self.runs if run.processor is not None]
        return statistics.median(known) * 1e6 if known else None


def compete(
    contestants: Sequence[Contestant],
    rounds: int,
    task_for: Callable[[int], Task],
    mails: int,
    tell: Tell,
) -> list[Entry]:
    """Measure everybody *rounds* times.

    A peer that is missing or fails is a line of its own in the table; we must not fail.

    Args:
        task_for: makes the task of so many mails.
    """
    entries = [Entry(one) for one in contestants]
    for entry in entries:
        try:
            entry.versions = entry.contestant.install()
        except Unavailable as why:
            entry.missing = str(why)
    for number in range(1, rounds + 1):
        for entry in entries:
            if entry.missing:
                continue
            count = max(_FEWEST, round(mails * entry.contestant.share))
            try:
                entry.runs.append(measure(entry.contestant, task_for(count)))
            except Unavailable as why:
                entry.missing = str(why)
            except (Stalled, RuntimeError) as error:
                if isinstance(entry.contestant, Ours):
                    raise
                entry.missing = str(error).splitlines()[0]
                tell(f"{entry.contestant.name}: {error}")
                continue
            tell(f"round {number}: {entry.contestant.name} {entry.speeds[-1]:,.0f} mails/s")
    return entries
