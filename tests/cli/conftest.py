"""An app to look at."""

from collections.abc import Callable, Iterator

import pytest

from tests.app import HostApp


@pytest.fixture
def host(new_app: Callable[..., HostApp]) -> Iterator[HostApp]:
    """An app with a sender that needs no login."""
    made = new_app()
    with made.app.app_context():
        made.save_sender("")
        yield made
