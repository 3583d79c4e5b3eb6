"""What delivery is tested with, for alerts too, and a server that a webhook calls."""

from collections.abc import Iterator

import pytest

from tests.alerts.receiver import Receiver
from tests.delivery.conftest import database, each, opened, server, shared_database

__all__ = ["database", "each", "opened", "receiver", "server", "shared_database"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An HTTP server on loopback."""
    with Receiver() as running:
        yield running
