"""What every peer's script says and hears; runs in environments without smtp_admin."""

import json
import sys
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
