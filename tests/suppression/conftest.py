"""Fixtures for providers' lists: a host whose calls to providers lead to loopback."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.app import ADMIN, HostApp
from tests.delivery.conftest import database
from tests.suppression.providers import ALL_PROVIDERS, Provider

__all__ = ["database"]

Opened = Callable[..., HostApp]


@pytest.fixture(params=ALL_PROVIDERS, ids=lambda one: one.name)
def provider(request: pytest.FixtureRequest) -> Iterator[Provider]:
    """Each of the four in turn."""
    made: Provider = request.param()
    with made.api.server:
        yield made


@pytest.fixture
def opened(new_app: Callable[..., HostApp]) -> Iterator[Opened]:
    """Makes a host, inside whose context the test runs, with acme's sender at some providers."""
    contexts: list[tuple[HostApp, Any]] = []

    def make(*providers: Provider, **config: Any) -> HostApp:
        config.setdefault("API_ENDPOINTS", {one.name: one.api.server.url for one in providers})
        host = new_app(**config)
        host.actor = ADMIN
        context = host.app.app_context()
        context.push()
        contexts.append((host, context))
        for number, one in enumerate(providers):
            one.save(host, key=f"k{number}" if number else "")
        return host

    yield make
    for host, context in reversed(contexts):
        host.db.session.remove()
        host.db.engine.dispose()
        context.pop()
