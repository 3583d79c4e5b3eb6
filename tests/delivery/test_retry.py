"""The decisions about a delivery and its sender, without any server."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.config import Config, read_config
from smtp_admin.delivery.retry import MOST_RELEASES, UNCERTAIN_REST, backoff, decide, pause_for
from smtp_admin.delivery.states import may
from smtp_admin.providers.catalogue import replies
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.reply import Reply
from smtp_admin.transports import verdicts
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict


def config(**keys: object) -> Config:
    return read_config({f"SMTP_ADMIN_{name}": value for name, value in keys.items()}, app_name="x")


PLAIN = config()
TEMPORARY = Outcome(Verdict.TEMPORARY, code="server_refused")
BROKEN_OFF = verdicts.of_broken_conversation(
    SMTPFailure("connection_lost", "recipient", "gone"), after_dot=False
)


def fate(
    outcome: Outcome, attempts: int = 0, releases: int = 0, uncertains: int = 0, **more: object
) -> tuple[str, int, int, int, timedelta]:
    held = "hold" if more.get("hold") else "resend"
    decision = decide(
        outcome,
        attempts=attempts,
        releases=releases,
        uncertains=uncertains,
        on_uncertain=held,
        config=PLAIN,
    )
    return (
        decision.state,
        decision.attempts,
        decision.releases,
        decision.uncertains,
        decision.delay,
    )


NOW = timedelta()


def test_accepted_is_sent() -> None:
    assert fate(Outcome(Verdict.ACCEPTED), 2, 1, 1) == ("sent", 2, 1, 1, NOW)


@pytest.mark.parametrize(("before", "seconds"), [(0, 30), (1, 120), (2, 480)])
def test_temporary_waits_longer_each_time(before: int, seconds: int) -> None:
    expected = ("queued", before + 1, 0, 0, timedelta(seconds=seconds))
    assert fate(TEMPORARY, before) == expected


def test_the_fourth_failed_send_is_the_last() -> None:
    assert fate(TEMPORARY, 3)[:2] == ("dead", 4)


def test_permanent_is_dead_at_once() -> None:
    assert fate(Outcome(Verdict.PERMANENT))[:2] == ("dead", 1)


def test_unknown_rests_once_then_a_person_decides() -> None:
    unknown = Outcome(Verdict.UNCERTAIN, SenderHealth.DOWN)
    assert fate(unknown) == ("uncertain", 0, 0, 1, UNCERTAIN_REST)
    assert fate(unknown, uncertains=1)[0] == "dead"
    assert fate(unknown, uncertains=1, hold=True)[0] == "uncertain"


def test_a_conversation_that_breaks_off_is_the_messages_fault_in_the_end() -> None:
    for releases in range(MOST_RELEASES):
        assert fate(BROKEN_OFF, releases=releases) == ("queued", 0, releases + 1, 0, NOW)
    assert fate(BROKEN_OFF, releases=MOST_RELEASES)[:2] == ("queued", 1)
    assert fate(BROKEN_OFF, attempts=3, releases=MOST_RELEASES)[:2] == ("dead", 4)


@pytest.mark.parametrize(
    "failure",
    [
        SMTPFailure("server_refused", "greeting", "x", reply=Reply(554, ("no",))),
        SMTPFailure("server_refused", "auth", "x", reply=Reply(454, ("later",))),
        SMTPFailure("connection_lost", "greeting", "x"),
        SMTPFailure("timeout", "connect", "x"),
        SMTPFailure("timeout", "greeting", "x"),
        SMTPFailure("not_smtp", "greeting", "x"),
        SMTPFailure("connection_refused", "connect", "x"),
        SMTPFailure("dns_failed", "dns", "x"),
        SMTPFailure("tls_failed", "tls", "x"),
        SMTPFailure("certificate_error", "certificate", "x"),
        SMTPFailure("auth_failed", "auth", "x", reply=Reply(535, ("no",))),
    ],
    ids=lambda failure: f"{failure.code}-{failure.step}",
)
def test_what_fails_before_the_message_is_never_its_fault(failure: SMTPFailure) -> None:
    outcome = verdicts.of_opening(failure, replies())
    for releases in (0, MOST_RELEASES, 1000):
        assert fate(outcome, attempts=3, releases=releases)[:2] == ("queued", 3)


@given(
    st.sampled_from(Verdict),
    st.sampled_from(SenderHealth),
    st.sampled_from(["", "timeout", "rate_limited", "auth_failed", "sender_refused"]),
    st.integers(0, 10),
    st.integers(0, 10),
    st.integers(0, 3),
    st.booleans(),
)
def test_every_decision_is_a_possible_step_and_counts_only_upwards(
    verdict: Verdict,
    health: SenderHealth,
    code: str,
    attempts: int,
    releases: int,
    uncertains: int,
    hold: bool,
) -> None:
    state, *counts, delay = fate(
        Outcome(verdict, health, code=code), attempts, releases, uncertains, hold=hold
    )
    assert may("sending", state)  # type: ignore[arg-type]  # which the assertion is about
    assert counts >= [attempts, releases, uncertains]
    assert delay >= NOW


def test_backoff_has_an_end() -> None:
    assert backoff(100, config(RETRY_ATTEMPTS=100)) == timedelta(days=7)
    assert backoff(3, config(RETRY_DELAY=5, RETRY_FACTOR=1)) == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("health", "code", "pauses", "minutes"),
    [
        (SenderHealth.DOWN, "timeout", 0, 1),
        (SenderHealth.DOWN, "timeout", 1, 2),
        (SenderHealth.DOWN, "timeout", 2, 5),
        (SenderHealth.DOWN, "timeout", 3, 15),
        (SenderHealth.DOWN, "timeout", 99, 15),
        (SenderHealth.LIMITED, "rate_limited", 0, 5),
        (SenderHealth.MISCONFIGURED, "certificate_error", 0, 60),
    ],
)
def test_pauses(health: SenderHealth, code: str, pauses: int, minutes: int) -> None:
    assert pause_for(Outcome(Verdict.RELEASED, health, code=code), pauses) == timedelta(
        minutes=minutes
    )


def test_no_pause_without_a_reason() -> None:
    assert pause_for(TEMPORARY, 3) is None


def test_a_wrong_password_waits_for_new_settings() -> None:
    refused = Outcome(Verdict.RELEASED, SenderHealth.MISCONFIGURED, code="auth_failed")
    pause = pause_for(refused, 0)
    assert pause is not None
    assert pause > timedelta(days=365)
