"""``make bench``: sections in turn, tables on the screen and in ``benchmarks/results.md``."""

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Callable

from benchmarks import (
    apis,
    distance,
    enqueue,
    lanes,
    latency,
    pages,
    renewals,
    scale,
    silence,
    throughput,
)
from benchmarks.report import SECTIONS, Section, publish, text_of
from benchmarks.stage import open_stage

_BEGAN = time.monotonic()


def main() -> None:
    """Measure, print, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=5000, help="mails a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the large database")
    parser.add_argument("--backlog", type=int, default=100_000, help="mails that wait before one")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, metavar="SECTION",
                        help=f"some of: {', '.join(SECTIONS)}")  # fmt: skip
    asked = parser.parse_args()
    mails, rounds = asked.mails, asked.rounds
    # Else servers and workers would outlive us.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with open_stage() as stage:
        sections: dict[str, Callable[[], Section]] = {
            "throughput": lambda: throughput.run(stage, mails, rounds, _tell),
            "distance": lambda: distance.run(stage, mails, rounds, _tell),
            "apis": lambda: apis.run(stage, rounds, _tell),
            "scale": lambda: scale.run(stage, mails, rounds, asked.rows, _tell),
            "lanes": lambda: lanes.run(stage, rounds, _tell),
            "silent": lambda: silence.run(stage, _tell),
            "enqueue": lambda: enqueue.run(stage, mails, rounds, _tell),
            "renewals": lambda: renewals.run(stage, asked.rows, _tell),
            "latency": lambda: latency.run(stage, asked.backlog, _tell),
            "pages": lambda: pages.run(stage, asked.rows, _tell),
        }
        failed = [
            name for name in SECTIONS if name in asked.only and not _measure(name, sections[name])
        ]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _measure(name: str, run: Callable[[], Section]) -> bool:
    try:
        section = run()
    except Exception:  # noqa: BLE001 - the other sections take long too, and need not be lost
        traceback.print_exc()
        return False
    publish({name: section})
    print(text_of(name, section), flush=True)  # noqa: T201 - what the command is for
    return True


def _tell(what: str) -> None:
    seconds = time.monotonic() - _BEGAN
    print(f"[{seconds:5.0f} s] {what}", flush=True)  # noqa: T201 - it takes minutes


if __name__ == "__main__":
    main()
