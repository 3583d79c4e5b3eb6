"""A host whose methods are ``async def``, for callers that cannot wait: one place for all of them.

A host without such methods is used as it is, and pays nothing.
"""

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from datetime import datetime
from typing import Any, Protocol, TypeVar, cast

from flask import Flask

from smtp_admin.errors import ConfigError
from smtp_admin.host import METHODS, Actor, ExpiringService, Host, Partner, has_own

T = TypeVar("T")
#: So many are read before the first of them is handed on, and so on.
_AT_ONCE = 200


class HostCalls(Protocol):
    """A host whose methods answer at once; what each is for stands in :class:`Host`."""

    def current_actor(self) -> Actor | None:
        """Who is signed in."""

    def partners(self) -> Iterable[Partner]:
        """All partners."""

    def partner(self, partner_id: str) -> Partner | None:
        """One partner."""

    def expiring_services(self, until: datetime, partner_id: str) -> Iterable[ExpiringService]:
        """What expires."""

    def customer_services(self, customer_id: str) -> Iterable[ExpiringService]:
        """All services of one customer."""

    def alert_recipients(self, partner_id: str) -> Iterable[str]:
        """Who gets mail about alerts."""

    def summary_recipients(self) -> Iterable[tuple[str, Iterable[str] | None]]:
        """Who gets the weekly summary."""

    def admin_language(self, address: str) -> str | None:
        """The language of mail to an admin."""

    def keep_days(self, partner_id: str) -> int | None:
        """How long the mail of a partner is kept."""

    def sign_in_url(self, next_url: str) -> str | None:
        """Where to sign in."""


def calls_of(app: Flask, host: Host) -> HostCalls:
    """*host*, or what waits for its answers where one of its methods is ``async def``.

    Raises:
        ConfigError: one is, and the package that Flask needs for that is missing.
    """
    own = [name for name in METHODS if has_own(host, name)]
    found = [name for name in own if _is_async(getattr(host, name))]
    if not found:
        return cast("HostCalls", host)
    try:
        app.ensure_sync(_awaited)
    except RuntimeError as error:
        raise ConfigError(
            f"{found[0]}() of your Host is async def, and Flask needs asgiref to call it. "
            'Install it: pip install "flask[async]"'
        ) from error
    methods = {name: _waiting(app, host, name) for name in own}
    return cast("HostCalls", type(f"Waiting{type(host).__name__}", (Host,), methods)())


def answer_of(app: Flask, value: Any) -> Any:
    """*value*, awaited if it must be; what comes asynchronously becomes a plain iterator."""
    if inspect.isawaitable(value):
        wait = app.ensure_sync(_awaited)
        with _Place() as place:
            value = place.run(lambda: wait(value))
    return _streamed(value) if isinstance(value, AsyncIterable) else value


def _is_async(method: Any) -> bool:
    function = inspect.unwrap(method)
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _waiting(app: Flask, host: Host, name: str) -> Callable[..., Any]:
    def method(_self: Host, *args: Any) -> Any:
        return answer_of(app, getattr(host, name)(*args))

    return method


async def _awaited(value: Any) -> Any:
    return await value


class _Place:
    """Where an event loop can run: here, or beside a view that is ``async def`` itself.

    A thread has one loop at a time, and waits for us like for any other call.
    """

    def __init__(self) -> None:
        self._held = ExitStack()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> "_Place":
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self
        self._pool = self._held.enter_context(ThreadPoolExecutor(1, "smtp-admin-host"))
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    def run(self, what: Callable[[], T]) -> T:
        """Run *what*, with the context that the caller is in.

        Raises:
            RuntimeError: something in it was cancelled. As it comes that is no ``Exception``, and
                would pass everybody who goes on with the next partner after a failure.
        """
        try:
            if self._pool is None:
                return what()
            return self._pool.submit(copy_context().run, what).result()
        except asyncio.CancelledError as error:
            raise RuntimeError("A method of the host was cancelled before it answered.") from error


def _streamed(source: AsyncIterable[T]) -> Iterator[T]:
    """What *source* has, read in one loop of its own and never far ahead.

    Nothing of it runs while the caller works with what came, so both may use the same session.
    """
    with _Place() as place:
        runner, coming = asyncio.Runner(), aiter(source)
        try:
            while True:
                some, failure = place.run(lambda: runner.run(_some(coming)))
                yield from some
                if failure is not None:
                    raise failure
                if len(some) < _AT_ONCE:
                    return
        finally:
            if hasattr(coming, "aclose"):
                place.run(lambda: runner.run(_awaited(coming.aclose())))
            place.run(runner.close)


async def _some(coming: AsyncIterator[T]) -> tuple[list[T], Exception | None]:
    """The next ones, and what went wrong after them."""
    found: list[T] = []
    try:
        while len(found) < _AT_ONCE:
            found.append(await anext(coming))
    except StopAsyncIteration:
        pass
    except Exception as error:  # noqa: BLE001 - the host's code; raised again after what came
        return found, error
    return found, None
