"""The connection test says what sending will do: both are told the same, over a real conversation.

For each row, at each of its steps, one server gives the reply to both.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smtp_admin.providers.catalogue import replies
from smtp_admin.replies.meaning import OPENING, Context, Judgement, Login, SenderHealth, Step
from smtp_admin.replies.row import Row
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.report import Report
from smtp_admin.smtp.session import Dialler, Security
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.driver import Surroundings, Trial
from smtp_admin.transports.outcome import Outcome
from smtp_admin.transports.smtp.driver import DRIVER
from smtp_admin.transports.verdicts import code_of
from tests.replies.judging import example_of, reply_of
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import Behaviour, Reply, ScriptedServer, Stage
from tests.setups import smtp_setup
from tests.transports.sending import BODY, LOOPBACK

ROWS = replies().rows
SENDER, RECIPIENT = "news@acme.example", "mia@example.org"
ACCOUNT = ("robot", "secret")


@dataclass
class Talk:
    """One server, and what sending and the test made of it."""

    server: ScriptedServer
    login: Login
    outcome: Outcome = field(init=False)
    failure: SMTPFailure | None = None
    trial: Trial = field(init=False)

    def hold(self, security: Security, recipient: str, sender: str) -> None:
        """Send a mail, and run the test."""
        policy = DiallingPolicy(frozenset({self.server.port}), LOOPBACK)
        timeouts = Timeouts(connect=5, command=5, final_dot=5)
        surroundings = Surroundings(Dialler(policy, timeouts), replies())
        who = ACCOUNT if self.login == "given" else ("", "")
        setup = smtp_setup("127.0.0.1", self.server.port, security, *who, verify_tls=False)
        transport = DRIVER.open(setup, surroundings)
        ((_, self.outcome),) = transport.deliver([Outgoing(0, sender, recipient, BODY)])
        transport.close()
        self.trial = Trial(setup, sender, surroundings, Report(), Deadline(5))
        try:
            DRIVER.test(self.trial)
        except SMTPFailure as failure:
            self.failure = failure

    def tell_the_same(self, step: Step, judged: Judgement) -> None:
        """Both are what the table says."""
        outcome = self.outcome
        assert (outcome.verdict, outcome.health) == (judged.verdict, judged.health)
        assert (outcome.code, outcome.cause) == (judged.code, judged.cause)
        assert (outcome.pause, outcome.recognised) == (judged.pause, judged.recognised)
        if step in {"data", "dot"}:  # there the test never comes
            assert self.failure is None
            return
        if judged.test == "failed":
            assert self.failure is not None
            assert self.failure.step == ("sender" if step in {"mail", "rcpt"} else step)
            assert (self.failure.code, self.failure.cause) == (code_of(judged), judged.cause)
            assert dict(self.failure.facts) == dict(outcome.facts)
            return
        assert self.failure is None
        said = [one for one in self.trial.cautions if "It said: " in one.message]
        assert [one.cause for one in said] == [judged.cause]
        # A test that only warns stands beside a sender that goes on, or will by itself.
        assert judged.health is not SenderHealth.MISCONFIGURED


@contextmanager
def server_with(
    step: Step, text: str, login: Login, context: ssl.SSLContext
) -> Iterator[ScriptedServer]:
    """A server that gives this reply at this step; it may send without the login it offers."""
    behaviours: dict[Stage, Behaviour] = {"mail": Reply("250 2.1.0 Ok")}
    behaviours[cast(Stage, step)] = Reply("\r\n".join(text.split("\n")))
    with ScriptedServer(
        auth=None if login == "none" else ACCOUNT,
        starttls=context if step == "starttls" else None,
        auth_before_tls=True,
        behaviours=behaviours,
    ) as server:
        yield server


@pytest.fixture(scope="module")
def context(certificates: CertificateFactory) -> ssl.SSLContext:
    return certificates.server_context(certificates.valid())


def _tell_both(step: Step, text: str, known: Context, context: ssl.SSLContext) -> None:
    login: Login = known.login or "given"
    if step == "auth":
        login = "given"
    with server_with(step, text, login, context) as server:
        _compare(server, step, text, known, login)


def _compare(server: ScriptedServer, step: Step, text: str, known: Context, login: Login) -> None:
    recipient, sender = known.recipient or RECIPIENT, known.sender or SENDER
    talk = Talk(server, login)
    talk.hold("tls" if step == "starttls" else "none", recipient, sender)
    at_hand: Login = login if step not in OPENING or login == "given" else "none"
    judged = replies().judge(step, reply_of(text), Context(recipient, sender, "127.0.0.1", at_hand))
    talk.tell_the_same(step, judged)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_each_row_at_each_of_its_steps(row: Row, context: ssl.SSLContext) -> None:
    _, text = example_of(row)
    for step in row.steps:
        _tell_both(step, text, row.given, context)


_WORDS = sorted({word for row in ROWS for word in example_of(row)[1].split()[1:]})


@given(
    st.sampled_from(["greeting", "ehlo", "auth", "mail", "rcpt", "data", "dot"]),
    st.integers(400, 599),
    st.lists(st.sampled_from(_WORDS), min_size=1, max_size=10),
)
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_a_server_says(
    context: ssl.SSLContext, step: Step, code: int, words: list[str]
) -> None:
    _tell_both(step, f"{code} {' '.join(words)}", Context(), context)
