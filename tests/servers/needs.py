"""What the tests need of the machine, and the one line that installs what is missing.

It runs before anything is installed: ``python3 -m tests.servers.needs`` prints Debian's names.
"""

import functools
import os
from collections.abc import Callable

from . import Unavailable
from .chromium import find_chromium
from .curl import find_curl
from .mariadb import find_mariadb
from .postfix import find_dovecot_and_postfix
from .postgresql import find_postgresql

__all__ = ["missing_packages", "notice"]

_NEEDS: dict[str, Callable[[], object]] = {
    "in a browser": find_chromium,
    "with curl": find_curl,
    "with MariaDB": find_mariadb,
    "with a real Postfix and Dovecot": find_dovecot_and_postfix,
    "with PostgreSQL": find_postgresql,
}


@functools.cache
def _missing() -> dict[str, Unavailable]:
    found = {}
    for tests, find in _NEEDS.items():
        try:
            find()
        except Unavailable as unavailable:
            found[tests] = unavailable
    return found


def missing_packages() -> list[str]:
    """Debian's packages that are not there."""
    return [name for one in _missing().values() for name in one.packages]


def notice() -> list[str]:
    """What to read before a run that leaves tests out, so that nobody takes it for a whole one."""
    if not _missing():
        return []
    lines = ["NOT EVERYTHING CAN RUN HERE. Left out are the tests"]
    lines += [f"- {tests}: {unavailable}" for tests, unavailable in _missing().items()]
    if packages := missing_packages():
        command = "apt-get install --no-install-recommends " + " ".join(packages)
        lines += ["This installs what is missing:"]
        lines += [command if os.geteuid() == 0 else f"sudo {command}"]
    return lines


if __name__ == "__main__":
    print(*missing_packages())  # noqa: T201  # a script reads it
