"""What the worker relies on, whatever the driver."""

import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smtp_admin.transports import registry
from smtp_admin.transports.base import Outgoing, Transport
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict
from tests.patience import SECONDS
from tests.transports.contract.drivers import SINKS
from tests.transports.contract.sink import Ability, Sink, address
from tests.transports.sending import (
    ACCEPTED,
    BODY,
    MEGABYTE,
    PERMANENT,
    RELEASED,
    TEMPORARY,
    UNCERTAIN,
    mail,
    mails,
)

TRICKY = (
    b"Subject: tricky\r\n\r\n"
    b".\r\n..\r\n.a\r\n\r\n\r\nFrom me\r\n>From you\r\nQUIT\r\n \t\r\n"
    b"\xc3\xa4\xff\x00\x01\x1a\r\n" + b"x" * 990 + b"\r\n" + b"." * 70 + b"\r\n.\r\n"
)


def running(*abilities: Ability) -> pytest.MarkDecorator:
    """Run a test with each sink that can do all of these."""
    able = [name for name, (_, can) in SINKS.items() if can >= set(abilities)]
    return pytest.mark.parametrize("sink", able, indirect=True)


@pytest.fixture
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sink]:
    open_sink, _ = SINKS[request.param]
    with open_sink(tmp_path) as opened:
        yield opened


@contextmanager
def transport_on(sink: Sink) -> Iterator[Transport]:
    transport = sink.transport()
    try:
        yield transport
    finally:
        transport.close()


def some(*keys: int) -> list[Outgoing]:
    return [mail(key) for key in keys]


def verdicts(outcomes: list[tuple[int, Outcome]]) -> list[tuple[int, Verdict]]:
    return [(key, outcome.verdict) for key, outcome in outcomes]


def accepted(*keys: int) -> list[tuple[int, Verdict]]:
    return [(key, ACCEPTED) for key in keys]


def arrived(sink: Sink) -> list[str]:
    return [body.recipient for body in sink.bodies()]


def addresses(*keys: int) -> list[str]:
    return [address(key) for key in keys]


def test_every_shipped_driver_is_here() -> None:
    names = {name.partition("-")[0] for name in SINKS}
    shipped = [one.name for one in registry.drivers() if registry.is_shipped(one.name)]
    assert {one for one in shipped if one not in SINKS} <= names


# --- Order, and bytes -----------------------------------------------------------------------------


@running()
def test_outcomes_come_in_order_and_each_once(sink: Sink) -> None:
    with transport_on(sink) as transport:
        assert verdicts([*transport.deliver(mails(7))]) == accepted(*range(7))
    assert arrived(sink) == addresses(*range(7))


@running()
def test_no_outcome_waits_for_a_later_mail(sink: Sink) -> None:
    """Whoever looks on knows of each mail before the next one is complete."""
    with transport_on(sink) as transport:
        for number, _ in enumerate(transport.deliver(mails(4))):
            assert len(sink.bodies()) == number + 1


@running()
def test_no_mails_no_outcomes(sink: Sink) -> None:
    with transport_on(sink) as transport:
        assert not [*transport.deliver([])]
        assert sink.openings() in {None, 0}, "nothing is opened for nothing"


@running()
def test_what_follows_goes_in_the_same_stream(sink: Sink) -> None:
    waiting = [some(2, 3), some(4)]

    def more(_ahead: bool) -> list[Outgoing]:
        return waiting.pop(0) if waiting else []

    with transport_on(sink) as transport:
        assert verdicts([*transport.deliver(mails(2), more)]) == accepted(*range(5))
    assert arrived(sink) == addresses(*range(5))
    assert sink.openings() in {None, 1}


@running()
def test_not_yet_is_not_the_end(sink: Sink) -> None:
    """No answer while a mail is still to be sent only means that there is nothing yet."""
    waiting = some(1, 2)

    def more(ahead: bool) -> list[Outgoing]:
        return [waiting.pop(0)] if waiting and not ahead else []

    with transport_on(sink) as transport:
        assert verdicts([*transport.deliver(mails(1), more)]) == accepted(0, 1, 2)


@running()
def test_bytes_arrive_unchanged(sink: Sink) -> None:
    with transport_on(sink) as transport:
        sent = [mail(0, TRICKY), mail(1, BODY), mail(2, BODY + b"z" * 500 + b"\r\n" * 300_000)]
        assert verdicts([*transport.deliver(sent)]) == accepted(0, 1, 2)
    assert [body.content for body in sink.bodies()] == [one.content for one in sent]


@running()
def test_envelope(sink: Sink) -> None:
    """The sender is that of the mail, or none at all; the recipient is nobody else."""
    sent = [mail(0), Outgoing(1, "", "r1@example.com", BODY)]
    with transport_on(sink) as transport:
        assert verdicts([*transport.deliver(sent)]) == accepted(0, 1)
    found = sink.bodies()
    assert [one.recipient for one in found] == [one.recipient for one in sent]
    if "sender" in sink.can:
        assert [one.mail_from for one in found] == [one.mail_from for one in sent]


# --- Refusals -------------------------------------------------------------------------------------


@running("refuse")
def test_a_refused_mail_stops_no_other(sink: Sink) -> None:
    sink.refuse(1)
    sink.defer(3)
    with transport_on(sink) as transport:
        outcomes = [*transport.deliver(mails(5))]
    assert verdicts(outcomes) == [
        (0, ACCEPTED), (1, PERMANENT), (2, ACCEPTED), (3, TEMPORARY), (4, ACCEPTED)
    ]  # fmt: skip
    assert {outcome.health for _, outcome in outcomes} == {SenderHealth.FINE}
    assert [one for one in arrived(sink) if one not in addresses(1, 3)] == addresses(0, 2, 4)


# --- Failures -------------------------------------------------------------------------------------


@running()
@pytest.mark.parametrize("at", [0, 2])
def test_nothing_is_touched_after_a_failure(sink: Sink, at: int) -> None:
    """The mail that met it is released; those after it have no outcome and went nowhere."""
    sink.break_at(at)
    asked = []

    def more(ahead: bool) -> list[Outgoing]:
        asked.append(ahead)
        return []

    with transport_on(sink) as transport:
        outcomes = [*transport.deliver(mails(5), more)]
        assert verdicts(outcomes) == [*accepted(*range(at)), (at, RELEASED)]
        assert outcomes[-1][1].health is not SenderHealth.FINE
        assert outcomes[-1][1].ends_stream
        assert False not in asked, "nobody is asked for more after a failure"
    assert arrived(sink) == addresses(*range(at))


@running("lose")
def test_a_lost_answer_is_uncertain(sink: Sink) -> None:
    sink.lose_answer_to(1)
    with transport_on(sink) as transport:
        outcomes = [*transport.deliver(mails(4))]
    assert verdicts(outcomes) == [(0, ACCEPTED), (1, UNCERTAIN)]
    assert outcomes[-1][1].health is not SenderHealth.FINE
    assert not {*arrived(sink)} & {*addresses(2, 3)}


@running()
def test_it_works_again_after_a_failure(sink: Sink) -> None:
    sink.break_at(1)
    with transport_on(sink) as transport:
        assert verdicts([*transport.deliver(mails(3))]) == [(0, ACCEPTED), (1, RELEASED)]
        sink.mend()
        assert verdicts([*transport.deliver(some(1, 2))]) == accepted(1, 2)
    assert arrived(sink) == addresses(0, 1, 2)


# --- Warm -----------------------------------------------------------------------------------------


@running()
def test_it_is_used_again(sink: Sink) -> None:
    with transport_on(sink) as transport:
        for first in (0, 3, 6):
            keys = range(first, first + 3)
            assert verdicts([*transport.deliver(some(*keys))]) == accepted(*keys)
        assert sink.openings() in {None, 1}
    assert arrived(sink) == addresses(*range(9))


@running()
def test_closing_is_not_the_end(sink: Sink) -> None:
    transport = sink.transport()
    transport.close()
    transport.close()
    assert verdicts([*transport.deliver(mails(1))]) == accepted(0)
    transport.close()
    assert verdicts([*transport.deliver(some(1))]) == accepted(1)
    transport.close()


@running()
def test_whoever_stops_listening_stops_the_stream(sink: Sink) -> None:
    """A mail without an outcome did not arrive, or the next use would not be sure of it."""
    with transport_on(sink) as transport:
        outcomes = transport.deliver(mails(5))
        assert verdicts([next(outcomes), next(outcomes)]) == accepted(0, 1)
        outcomes.close()  # type: ignore[attr-defined]
        assert arrived(sink) == addresses(0, 1)
        assert verdicts([*transport.deliver(some(2, 3))]) == accepted(2, 3)
    assert arrived(sink) == addresses(*range(4))


# --- Abort ----------------------------------------------------------------------------------------


@running("hang")
def test_abort_ends_a_hanging_delivery(sink: Sink) -> None:
    """From another thread, at once; what was under way may have arrived, what follows did not."""
    sink.hang_at(1)
    with transport_on(sink) as transport:
        outcomes: list[tuple[int, Outcome]] = []
        worker = threading.Thread(target=lambda: outcomes.extend(transport.deliver(mails(4))))
        worker.start()
        sink.wait_until_it_hangs()
        transport.abort()
        worker.join(SECONDS)
        assert not worker.is_alive()
        assert verdicts(outcomes) == [(0, ACCEPTED), (1, UNCERTAIN)]
        assert outcomes[-1][1].code in {"connection_lost", "timeout"}, "taken for our own doing"
        sink.mend()
        assert verdicts([*transport.deliver(some(5))]) == accepted(5)
    assert not {*arrived(sink)} & {*addresses(2, 3)}


@running()
def test_abort_ends_a_busy_delivery(sink: Sink) -> None:
    """An endless stream ends soon after, and nothing is accepted that nobody hears of."""
    began = threading.Event()
    keys = iter(range(1_000_000))
    outcomes: list[tuple[int, Outcome]] = []

    def more(_ahead: bool) -> list[Outgoing]:
        return some(next(keys))

    def deliver() -> None:
        for one in transport.deliver([], more):
            outcomes.append(one)
            began.set()

    with transport_on(sink) as transport:
        worker = threading.Thread(target=deliver)
        worker.start()
        assert began.wait(SECONDS)
        transport.abort()
        worker.join(SECONDS)
        assert not worker.is_alive()
    assert [key for key, _ in outcomes] == list(range(len(outcomes)))
    assert {one.verdict for _, one in outcomes[:-1]} <= {ACCEPTED}
    assert len(sink.bodies()) <= len(outcomes)


@running()
def test_abort_of_an_idle_one_does_no_harm(sink: Sink) -> None:
    with transport_on(sink) as transport:
        transport.abort()
        assert verdicts([*transport.deliver(mails(1))]) == accepted(0)
        transport.abort()
        assert verdicts([*transport.deliver(some(1))]) == accepted(1)


# --- Memory ---------------------------------------------------------------------------------------


@running()
def test_nothing_is_kept_of_mails_that_are_done(sink: Sink) -> None:
    left = iter(range(20))

    def more(_ahead: bool) -> list[Outgoing]:
        key = next(left, None)
        return [] if key is None else [mail(key, BODY + b"y" * MEGABYTE + b"\r\n")]

    with transport_on(sink) as transport:
        tracemalloc.start()
        try:
            for _, outcome in transport.deliver([], more):
                assert outcome.verdict is ACCEPTED
                del outcome
                sink.forget()
            kept, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert kept < 3 * MEGABYTE
    assert most < 15 * MEGABYTE


def test_names_of_drivers_are_theirs_alone() -> None:
    assert len({one.name for one in registry.drivers()}) == len(registry.drivers())
