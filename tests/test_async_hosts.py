"""Hosts whose methods are ``async def``, and how little a host without them notices."""

import asyncio
import builtins
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from flask import Flask, g

from smtp_admin import Actor, ConfigError, ExpiringService, Host, Partner
from smtp_admin.host import METHODS
from smtp_admin.host_calls import HostCalls, calls_of
from tests.app import ADMIN, PARTNERS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def service(number: int) -> ExpiringService:
    return ExpiringService(
        partner_id="acme", customer_id=f"c{number}", service_id="s", customer_email="c@x.example",
        customer_name="C", language="en", time_zone="", service_name="hosting", expires_at=NOW,
        price=None, currency="", payment_url="",
    )  # fmt: skip


class Later(Host):
    """Everything takes a moment."""

    def __init__(self, services: int = 3) -> None:
        self.services = services
        self.made = 0
        self.closed = False

    async def current_actor(self) -> Actor | None:
        await asyncio.sleep(0)
        return ADMIN

    async def partners(self) -> AsyncIterator[Partner]:
        for one in PARTNERS:
            await asyncio.sleep(0)
            yield one

    async def expiring_services(
        self, until: datetime, partner_id: str
    ) -> AsyncIterator[ExpiringService]:
        del until, partner_id
        try:
            for number in range(self.services):
                self.made += 1
                yield service(number)
        finally:
            self.closed = True

    async def customer_services(self, customer_id: str) -> list[ExpiringService]:
        loop = asyncio.get_running_loop()
        return [service(int(customer_id))] if loop.is_running() else []

    def alert_recipients(self, partner_id: str) -> list[str]:
        return [f"alerts@{partner_id}.example"]


@pytest.fixture
def app() -> Iterator[Flask]:
    made = Flask(__name__)
    with made.app_context():
        yield made


def test_a_host_that_answers_at_once_is_used_as_it_is(app: Flask) -> None:
    class Plain(Host):
        def partners(self) -> list[Partner]:
            return list(PARTNERS)

    host: object = Plain()
    assert calls_of(app, cast("Host", host)) is host


def test_every_method_of_a_host_is_covered() -> None:
    """One that is added to it, and forgotten in what the product calls, would not be typed."""
    assert {name for name in vars(HostCalls) if not name.startswith("_")} == set(METHODS)


def test_all_answers_come_at_once(app: Flask) -> None:
    host = calls_of(app, Later())
    assert host.current_actor() == ADMIN
    assert list(host.partners()) == list(PARTNERS)
    assert [one.customer_id for one in host.expiring_services(NOW, "acme")] == ["c0", "c1", "c2"]
    assert [one.customer_id for one in host.customer_services("7")] == ["c7"]
    assert host.alert_recipients("acme") == ["alerts@acme.example"]
    # What the host does not have is Host's own, and searches the partners that come one by one.
    assert host.partner("globex") == PARTNERS[1]
    assert host.partner("nobody") is None
    assert host.sign_in_url("/") is None


def test_a_hundred_thousand_services_are_never_all_there(app: Flask) -> None:
    source = Later(100_000)
    ahead, seen = 0, 0
    for _ in calls_of(app, source).expiring_services(NOW, "acme"):
        seen += 1
        ahead = max(ahead, source.made - seen)
    assert seen == 100_000
    assert ahead < 500


def test_a_reader_that_stops_ends_the_hosts_generator(app: Flask) -> None:
    source = Later(1000)
    coming = iter(calls_of(app, source).expiring_services(NOW, "acme"))
    assert next(coming).customer_id == "c0"
    del coming
    gc.collect(1)  # the oldest first, for what other tests have left
    gc.collect()
    assert source.closed
    assert source.made < 500


def test_what_came_before_a_failure_is_used(app: Flask) -> None:
    class Failing(Host):
        async def partners(self) -> AsyncIterator[Partner]:
            yield PARTNERS[0]
            raise LookupError("the database is away")

    coming = iter(calls_of(app, Failing()).partners())
    assert next(coming) == PARTNERS[0]
    with pytest.raises(LookupError, match="away"):
        next(coming)


def test_what_is_cancelled_is_a_failure_like_others(app: Flask) -> None:
    """Else it would pass every ``except Exception`` of a worker, and end its thread."""

    class Cancelled(Host):
        async def current_actor(self) -> Actor | None:
            raise asyncio.CancelledError

        async def partners(self) -> AsyncIterator[Partner]:
            yield PARTNERS[0]
            raise asyncio.CancelledError

    host = calls_of(app, Cancelled())

    async def view() -> None:
        asked()

    def asked() -> None:
        for ask in (host.current_actor, lambda: [*host.partners()]):
            with pytest.raises(RuntimeError, match="was cancelled"):
                ask()

    asked()
    app.ensure_sync(view)()


def test_it_sees_the_app_and_its_context(app: Flask) -> None:
    class Looking(Host):
        async def partners(self) -> list[Partner]:
            return [Partner("a", g.name)]

        async def partner(self, partner_id: str) -> Partner | None:
            return Partner(partner_id, g.name)

    g.name = "from g"
    host = calls_of(app, Looking())
    assert [one.name for one in host.partners()] == ["from g"]
    found = host.partner("b")
    assert found is not None
    assert found.name == "from g"


@pytest.mark.parametrize("ask", [
    lambda host: [one.id for one in host.partners()],
    lambda host: [host.partner(one.id).id for one in PARTNERS],
    lambda host: [host.current_actor() and one.id for one in PARTNERS],
])  # fmt: skip
def test_a_view_that_is_async_itself_may_ask(app: Flask, ask: Callable[[Any], list[str]]) -> None:
    """There a loop runs in this thread already, and another cannot."""
    host = calls_of(app, Later())

    async def view() -> list[str]:
        await asyncio.sleep(0)
        return ask(host)

    assert app.ensure_sync(view)() == [one.id for one in PARTNERS]


def test_without_asgiref_a_sentence_says_what_to_install(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("asgiref"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r'current_actor\(\).*pip install "flask\[async\]"'):
        calls_of(app, Later())
    calls_of(app, Host())  # who does not need it does not miss it
