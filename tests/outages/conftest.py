"""What delivery is tested with, for outages too."""

from tests.delivery.conftest import (
    bench_of,
    database,
    host_with_bench,
    opened,
    server,
)

__all__ = [
    "bench_of",
    "database",
    "host_with_bench",
    "opened",
    "server",
]
