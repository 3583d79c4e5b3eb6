"""What was measured, as tables for people and as JSON for programs.

Sections are kept from run to run, each with its own machine and date: a run of one section alone
does not throw away the others.
"""

import json
import os
import platform
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.tools import ROOT

_RESULTS = ROOT / "benchmarks" / "results.md"
_JSON = ROOT / "build" / "bench.json"
_TITLES = {
    "throughput": "Throughput",
    "distance": "Distance",
    "apis": "APIs",
    "scale": "Scale",
    "lanes": "Lanes",
    "silent": "Silent servers",
    "enqueue": "Enqueueing",
    "renewals": "Renewals",
    "latency": "Latency",
    "pages": "Pages",
}
SECTIONS = tuple(_TITLES)


@dataclass(frozen=True)
class Table:
    """Rows of texts; the first column is a name, the others are numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        widths = [
            max(len(row[position]) for row in (self.columns, *self.rows))
            for position in range(len(self.columns))
        ]
        lines = [_line(self.columns, widths)]
        lines.append(
            "|".join(
                ["", "-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]
            )
            + "|"
        )
        lines += [_line(row, widths) for row in self.rows]
        return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    padded = [first.ljust(widths[0])]
    padded += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
    return "| " + " | ".join(padded) + " |"


@dataclass(frozen=True)
class Section:
    """One part of the benchmark.

    Attributes:
        notes: what was done, in sentences.
        data: every number, for programs.
    """

    notes: Sequence[str]
    tables: Sequence[Table]
    data: Mapping[str, Any]
    machine: str = field(default_factory=lambda: machine())
    at: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))


def machine() -> str:
    """What it ran on; also how busy it was, because that is most of what makes runs differ."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GB, {platform.system()}"
        f" {platform.release()}, Python {platform.python_version()},"
        f" load average {os.getloadavg()[0]:.1f} at the end"
    )


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def publish(measured: Mapping[str, Section]) -> None:
    """Keep *measured* beside the sections of earlier runs."""
    _JSON.parent.mkdir(exist_ok=True)
    kept: dict[str, Any] = {}
    if _JSON.exists():
        kept = json.loads(_JSON.read_text()).get("sections", {})
    kept |= {name: asdict(section) for name, section in measured.items()}
    _JSON.write_text(json.dumps({"sections": kept}, indent=2) + "\n")
    texts = _published(_RESULTS.read_text() if _RESULTS.exists() else "")
    texts |= {name: text_of(name, section) for name, section in measured.items()}
    _RESULTS.write_text(
        "# Benchmark\n\nMade by `make bench`. Medians of interleaved rounds; the sink is Postfix's "
        "`smtp-sink` and everything runs on one machine.\n\n"
        + "\n".join(texts[name] for name in SECTIONS if name in texts)
    )


def _published(page: str) -> dict[str, str]:
    """The sections of a page that was written before, perhaps on another machine."""
    _, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    names = {title: name for name, title in _TITLES.items()}
    found = ((one.partition("\n")[0], one) for one in sections)
    return {names[title]: f"## {one.strip()}\n" for title, one in found if title in names}


def text_of(name: str, section: Section) -> str:
    """A section as Markdown."""
    parts = [f"## {_TITLES[name]}", "\n".join(section.notes)]
    parts += [str(table) for table in section.tables]
    parts.append(f"{section.at}; {section.machine}.")
    return "\n\n".join(parts) + "\n"


def spread(values: Sequence[float]) -> list[str]:
    """Median, lowest and highest, as texts."""
    return [f"{number:,.0f}" for number in (statistics.median(values), min(values), max(values))]


def goal(value: float, limit: float, *, most: bool, unit: str = "") -> str:
    """A goal, and whether it was met."""
    met = value <= limit if most else value >= limit
    return f"{'≤' if most else '≥'} {limit:g}{unit}: {'met' if met else 'missed'}"
