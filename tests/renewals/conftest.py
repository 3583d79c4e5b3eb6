"""The databases, mail servers and workbenches of the tests of delivery; what takes minutes."""

import os
from pathlib import Path

import pytest

from tests.delivery.conftest import (
    bench_of,
    database,
    each,
    host_with_bench,
    mariadb,
    opened,
    postgresql,
    server,
)

__all__ = [
    "bench_of",
    "database",
    "each",
    "host_with_bench",
    "mariadb",
    "opened",
    "postgresql",
    "server",
]

HERE = Path(__file__).parent
LONG = "SMTP_ADMIN_TEST_LONG"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"long: takes minutes; runs only with {LONG}=1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long ones out, without a skip: where nothing may be skipped, that would fail."""
    if os.environ.get(LONG):
        return
    long = [item for item in items if HERE in item.path.parents and item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
