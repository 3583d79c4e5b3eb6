"""Fixtures for events: host apps whose senders have webhooks."""

from collections.abc import Callable, Iterator

import pytest

from tests.app import HostApp
from tests.delivery.conftest import NewHost, database, opened
from tests.events.hooking import Hooked

__all__ = ["database", "opened"]

Hook = Callable[[HostApp], Hooked]


@pytest.fixture
def hook(opened: NewHost) -> Iterator[Hook]:
    """Makes of a host app one whose webhooks can be posted to."""
    made: list[Hooked] = []

    def make(host: HostApp) -> Hooked:
        made.append(Hooked(host))
        return made[-1]

    yield make
    for one in made:
        one.engine.dispose()


@pytest.fixture
def hooked(opened: NewHost, hook: Hook) -> Hooked:
    """On SQLite; for what no database decides."""
    return hook(opened())


@pytest.fixture
def each(opened: NewHost, hook: Hook, database: str) -> Hooked:
    """On each database in turn."""
    return hook(opened(uri=database))
