"""What delivery is tested with, for reminders too."""

from tests.delivery.conftest import (
    bench_of,
    database,
    each,
    host_with_bench,
    opened,
    server,
)

__all__ = [
    "bench_of",
    "database",
    "each",
    "host_with_bench",
    "opened",
    "server",
]
