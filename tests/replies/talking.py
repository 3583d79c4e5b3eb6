"""One reply in two conversations: a mail that is sent, and the test of the same settings."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import cast

from smtp_admin.credentials.bearer import Bearer
from smtp_admin.diagnosis.causes import Cause
from smtp_admin.diagnosis.diagnose import of_failure
from smtp_admin.diagnosis.explanation import explain_refusal
from smtp_admin.providers.catalogue import replies
from smtp_admin.replies.meaning import Judgement, Login, SenderHealth, Step
from smtp_admin.replies.table import Table
from smtp_admin.senders.values import SenderValues
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
from tests.servers.scripted import Behaviour, Reply, ScriptedServer, Stage
from tests.setups import smtp_setup
from tests.transports.sending import BODY, LOOPBACK

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

    def hold(
        self,
        security: Security = "none",
        recipient: str = RECIPIENT,
        sender: str = SENDER,
        *,
        tested_by: Table | None = None,
    ) -> None:
        """Send a mail, and run the test.

        Args:
            tested_by: the table that the test asks, if that is to be another one.
        """
        policy = DiallingPolicy(frozenset({self.server.port}), LOOPBACK)
        timeouts = Timeouts(connect=5, command=5, final_dot=5)
        dialler = Dialler(policy, timeouts)
        surroundings = Surroundings(dialler, replies())
        who = ACCOUNT if self.login == "given" else ("", "")
        setup = smtp_setup("127.0.0.1", self.server.port, security, *who, verify_tls=False)
        if self.login == "token":
            setup = replace(setup, credential=Bearer(*ACCOUNT))
        transport = DRIVER.open(setup, surroundings)
        ((_, self.outcome),) = transport.deliver([Outgoing(0, sender, recipient, BODY)])
        transport.close()
        if tested_by is not None:
            surroundings = Surroundings(dialler, tested_by)
        self.trial = Trial(setup, sender, surroundings, Report(), Deadline(5))
        try:
            DRIVER.test(self.trial)
        except SMTPFailure as failure:
            self.failure = failure

    @property
    def values(self) -> SenderValues:
        """The settings of both, for whoever explains what came of them."""
        return SenderValues(
            host="127.0.0.1",
            port=self.server.port,
            security="none",
            username=ACCOUNT[0] if self.login in {"given", "token"} else "",
            from_email=SENDER,
        )

    def shown(self) -> Cause:
        """The cause that stands first beside the mail that was not sent."""
        return explain_refusal(self.outcome, self.values).causes[0]

    def shown_by_the_test(self) -> Cause:
        """The cause that stands first beside the failed test."""
        assert self.failure is not None
        return of_failure(self.failure, self.values).causes[0]

    def tell_the_same(self, step: Step, judged: Judgement) -> None:
        """Both are what the table says."""
        outcome = self.outcome
        assert (outcome.verdict, outcome.health) == (judged.verdict, judged.health)
        assert (outcome.code, outcome.cause) == (judged.code, judged.cause)
        assert (outcome.pause, outcome.recognised) == (judged.pause, judged.recognised)
        assert not judged.cause or self.shown().key == judged.cause
        if step in {"data", "dot"}:  # there the test never comes
            assert self.failure is None
            return
        if judged.test == "failed":
            assert self.failure is not None
            assert self.failure.step == ("sender" if step in {"mail", "rcpt"} else step)
            assert (self.failure.code, self.failure.cause) == (code_of(judged), judged.cause)
            assert dict(self.failure.facts) == dict(outcome.facts)
            assert not judged.cause or self.shown_by_the_test() == self.shown()
            return
        assert self.failure is None
        said = [one for one in self.trial.cautions if "It said: " in one.message]
        assert [one.cause for one in said] == [judged.cause]
        # A test that only warns stands beside a sender that goes on, or will by itself.
        assert judged.health is not SenderHealth.MISCONFIGURED


@contextmanager
def server_with(
    step: Step, text: str, login: Login, context: ssl.SSLContext | None
) -> Iterator[ScriptedServer]:
    """A server that gives this reply at this step; it may send without the login it offers."""
    behaviours: dict[Stage, Behaviour] = {"mail": Reply("250 2.1.0 Ok")}
    behaviours[cast(Stage, step)] = Reply("\r\n".join(text.split("\n")))
    with ScriptedServer(
        auth=None if login == "none" else ACCOUNT,
        auth_methods=("XOAUTH2",) if login == "token" else ("PLAIN", "LOGIN"),
        starttls=context if step == "starttls" else None,
        auth_before_tls=True,
        behaviours=behaviours,
    ) as server:
        yield server
