"""What every peer's script says and hears; runs in environments without smtp_admin."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any


def facts() -> Any:
    """What is to be sent where, from the command line."""
    return json.loads(sys.argv[1])


def ready() -> None:
    """Say that everything is queued."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def wait_for_word() -> None:
    """Wait until the work may begin; without the bench there is nothing to wait for."""
    if not sys.stdin.readline():
        sys.exit("the bench is gone")


def timed(run: Callable[[int], object], count: int) -> float:
    """How often *run* is done in a second; the first time is for warming up."""
    run(0)
    began = time.perf_counter()
    for number in range(1, count + 1):
        run(number)
    return count / (time.perf_counter() - began)


def tell_speeds(speeds: Mapping[str, float]) -> None:
    """Say what was measured, in mails a second."""
    sys.stdout.write(json.dumps(speeds) + "\n")
