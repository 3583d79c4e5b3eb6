"""How long tests wait for what comes, on a machine that has other things to do.

Nothing fails because it took long, unless a test is about how long it takes: waiting costs only
those that fail.
"""

from collections.abc import Mapping
from importlib import import_module

__all__ = ["CONSTANTS", "SECONDS", "be_patient"]

#: For what happens as soon as somebody has a core: another thread, a server, a worker's sweep.
SECONDS = 40.0

#: A request waits for Redis for 0.4 seconds, and then everything goes as it goes without Redis. How
#: much a lane claims, when it writes down and when it gives way follows from how fast it is. Where
#: several test processes share two cores, that would be decided by the others.
CONSTANTS: Mapping[str, float] = {
    "smtp_admin.delivery.shared_redis:PATIENCE_SECONDS": SECONDS,
    "smtp_admin.delivery.engine:SLICE_SECONDS": 3 * SECONDS,
    "smtp_admin.delivery.engine:_BATCH_SECONDS": 3 * SECONDS,
    "smtp_admin.delivery.engine:_LONGEST_BATCH_SECONDS": 3 * SECONDS,
    "smtp_admin.delivery.lane_database:_GROUP_SECONDS": 3 * SECONDS,
}


def be_patient() -> None:
    """Let nothing go another way because this process, or one that it talks to, stood still.

    Whoever tests these times sets them; workers that are processes have the product's own.
    """
    for where, seconds in CONSTANTS.items():
        module, _, name = where.partition(":")
        setattr(import_module(module), name, seconds)
