"""A driver with a fault: nothing is sent twice, nothing is lost, and no thread dies of it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from smtp_admin.credentials.none import NoLogin
from smtp_admin.senders.resolve import load_sender
from smtp_admin.transports.base import More, Outgoing, no_more
from smtp_admin.transports.driver import Driver, Setup, Surroundings
from smtp_admin.transports.outcome import Outcome
from smtp_admin.transports.registry import forget, register
from tests.app import HostApp
from tests.delivery.workbench import deliveries, queue

SECRET_WORDS = "the words of a driver, with a key in them"


class Faulty:
    """Sends a mail, and raises before it says so."""

    sent = 0

    def deliver(
        self, mails: Iterable[Outgoing], more: More = no_more
    ) -> Iterator[tuple[int, Outcome]]:
        for _ in mails:
            Faulty.sent += 1
            raise RuntimeError(SECRET_WORDS)
        yield from ()

    def close(self) -> None: ...

    def abort(self) -> None: ...


def _raise(*_: Any) -> Any:
    raise RuntimeError(SECRET_WORDS)


def _read(*_: Any) -> Setup:
    return Setup("faulty", (), NoLogin(), "nowhere")


def _open(_setup: Setup, _surroundings: Surroundings) -> Faulty:
    return Faulty()


@pytest.fixture
def faulty(host: HostApp) -> Iterator[Callable[..., None]]:
    """Registers a driver that raises in one place, and saves a sender with it."""

    def make(**faults: Any) -> None:
        parts: dict[str, Any] = {"read": _read, "open": _open} | faults
        register(Driver("faulty", "Faulty", "For tests.", (), {}, test=_raise, **parts))
        host.save_sender(driver="faulty")

    Faulty.sent = 0
    yield make
    forget("faulty")


def test_a_mail_that_may_have_gone_is_not_sent_again(
    host: HostApp, faulty: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    faulty()
    queue(host)
    for _ in range(3):
        host.work()
    (one,) = deliveries(host)
    assert (one.state, one.uncertains, one.last_code) == ("uncertain", 1, "driver_failed")
    assert Faulty.sent == 1
    sender = load_sender(host.db.session(), "acme")
    assert sender.pause_code == "driver_failed"
    assert "RuntimeError" in caplog.text
    assert SECRET_WORDS not in caplog.text


@pytest.mark.parametrize("place", ["read", "open"])
def test_a_driver_that_cannot_begin_harms_no_mail(
    host: HostApp, faulty: Callable[..., None], place: str
) -> None:
    faulty(**{place: _raise})
    queue(host)
    host.work()
    (one,) = deliveries(host)
    assert (one.state, one.attempts, one.uncertains) == ("queued", 0, 0)
    assert load_sender(host.db.session(), "acme").pause_code == "driver_failed"


class Mute(Faulty):
    """Comes to its end without an outcome for anything."""

    def deliver(
        self, mails: Iterable[Outgoing], more: More = no_more
    ) -> Iterator[tuple[int, Outcome]]:
        yield from ()


def test_a_driver_without_outcomes_is_not_asked_for_ever(
    host: HostApp, faulty: Callable[..., None]
) -> None:
    """It had the whole processor of a worker."""
    faulty(open=lambda _setup, _surroundings: Mute())
    queue(host)
    host.work()
    (one,) = deliveries(host)
    assert (one.state, one.last_code) == ("queued", "driver_failed")
    assert load_sender(host.db.session(), "acme").pause_code == "driver_failed"
