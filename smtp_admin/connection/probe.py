"""Run the connection test: everything that sending does, but no mail.

After the session is open, the sender address is tried: MAIL FROM, then RCPT TO the same address
(Postfix and others refuse a sender only there), then RSET.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from smtp_admin.connection.request import TestRequest
from smtp_admin.diagnosis.diagnose import Diagnosis, of_failure
from smtp_admin.smtp.client import GOODBYE_SECONDS, SMTPClient
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.explain import TECHNICAL
from smtp_admin.smtp.failure import SMTPFailure, Step
from smtp_admin.smtp.reply import Reply
from smtp_admin.smtp.session import Dialler, Report, Security, StepResult, open_session

OVERALL_SECONDS = 20.0
_LOGIN_WANTED, _CLOSING = 530, 421
_ABOUT_SENDER = re.compile(
    r"sender|not owned|send as|mail from|from address|not allowed to send|relay", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Caution:
    """Something to know although the test succeeded."""

    code: str
    message: str


@dataclass(slots=True)
class TestResult:
    """What a test found out; ``failure`` is ``None`` when it succeeded."""

    __test__ = False  # not one of pytest's

    request: TestRequest
    report: Report
    duration_ms: float
    failure: SMTPFailure | None = None
    diagnosis: Diagnosis | None = None
    warnings: list[Caution] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether mail could be sent this way."""
        return self.failure is None

    def connection_json(self) -> dict[str, Any]:
        """What was connected to, as far as it got."""
        to = self.request.destination
        return {
            "host": to.host,
            "port": to.port,
            "security": to.security,
            "username": to.username,
            "from_email": self.request.from_email,
            "address": self.report.address,
            "tls": self.report.tls.as_json() if self.report.tls else None,
            "extensions": self.report.extensions,
            "auth_methods": self.report.auth_methods,
        }

    def steps_json(self) -> list[dict[str, Any]]:
        """The steps in order."""
        return [
            {
                "name": step.name,
                "status": step.status,
                "ms": step.ms,
                "detail": step.detail,
                "reply": step.reply.as_json() if step.reply else None,
            }
            for step in self.report.steps
        ]


#: The steps in the order of the conversation, for what was not reached.
ORDER: tuple[Step, ...] = (
    "validate", "dns", "connect", "greeting", "ehlo", "starttls", "tls", "certificate", "auth",
    "sender", "quit",
)  # fmt: skip

_NOT_NEEDED: dict[Security, frozenset[Step]] = {
    "none": frozenset({"starttls", "tls", "certificate"}),
    "ssl": frozenset({"starttls"}),
    "tls": frozenset(),
}


def probe(
    request: TestRequest,
    dialler: Dialler,
    overall_seconds: float = OVERALL_SECONDS,
    watch: Callable[[StepResult], None] = lambda _: None,
) -> TestResult:
    """Test *request*; never raises for what a server does.

    Args:
        watch: told each step as it ends.
    """
    overall = Deadline(overall_seconds)
    report = Report(watch=watch)
    result = TestResult(request, report, 0.0)
    try:
        report.run("validate", lambda: (_validate(request, dialler), None))
        client = open_session(
            request.destination, request.password, dialler, overall=overall, report=report
        )
        talking = False
        try:
            _try_sender(client, request, result)
            talking = True
        except SMTPFailure as failure:
            talking = failure.reply is not None and failure.reply.code != _CLOSING
            raise
        finally:
            _say_goodbye(client, report, talking=talking)
    except SMTPFailure as failure:
        result.failure = failure
        result.diagnosis = of_failure(failure, request.destination, request.from_email)
        _, technical, reason = failure.hint.partition(TECHNICAL)
        failure.hint = f"{result.diagnosis.hint} {technical}{reason}".strip()
    _mark_unreached(report, request.destination.security)
    result.duration_ms = round((overall_seconds - overall.remaining()) * 1000, 1)
    if result.ok:
        result.warnings.extend(_about_encryption(request))
    return result


def _validate(request: TestRequest, dialler: Dialler) -> str:
    dialler.policy.check_port(request.destination.port)
    return f"{request.destination.host}, port {request.destination.port}"


def _try_sender(client: SMTPClient, request: TestRequest, result: TestResult) -> None:
    address = request.from_email
    if not address:
        result.report.skip("sender", "no from address was given")
        return

    def try_it() -> tuple[str, Reply]:
        reply = client.mail(address)
        if not reply.positive:
            return _judge(reply, result, at_recipient=False)
        reply = client.recipient(address, step="sender")
        if not reply.positive:
            return _judge(reply, result, at_recipient=True)
        return f"{address} is accepted", reply

    result.report.run("sender", try_it)


def _judge(reply: Reply, result: TestResult, *, at_recipient: bool) -> tuple[str, Reply]:
    """A refusal of the sender address: a failure if it is one for good, else a warning."""
    if not (reply.temporary or reply.permanent):
        raise SMTPFailure(
            "not_smtp",
            "sender",
            "The server answered out of turn.",
            hint="It is broken, or no mail server. Check host and port.",
            reply=reply,
        )
    if reply.code == _LOGIN_WANTED:
        raise SMTPFailure(
            "auth_failed",
            "sender",
            "The server wants a login before it takes mail.",
            hint="Enter the login and password that your provider gave you for sending.",
            reply=reply,
        )
    enhanced = reply.enhanced or ""
    about_sender = (
        not at_recipient
        or enhanced.startswith("5.7.")
        or enhanced in {"5.1.7", "5.1.8"}
        or (not enhanced and bool(_ABOUT_SENDER.search(reply.text)))
    )
    if reply.permanent and about_sender:
        raise SMTPFailure(
            "sender_refused",
            "sender",
            f"The server does not accept mail from {result.request.from_email}.",
            hint="Use an address that belongs to this login, or verify the address or its domain "
            "with your provider.",
            reply=reply,
        )
    if reply.temporary:
        code, message = "sender_not_now", "The server would not take the sender address just now."
    else:
        code = "sender_not_a_mailbox"
        message = "The server accepts the sender address, but says that no mail can go to it."
    result.warnings.append(Caution(code, f"{message} It said: {reply}"))
    return message, reply


def _say_goodbye(client: SMTPClient, report: Report, *, talking: bool) -> None:
    """Forget the envelope, and QUIT. What the server says to that changes nothing any more."""
    replies: list[Reply | None] = []

    def say() -> tuple[str, Reply | None]:
        still_talking = talking
        if talking:
            try:
                client.reset(seconds=GOODBYE_SECONDS)
            except SMTPFailure:
                still_talking = False
        replies.append(client.quit(wait=still_talking))
        return ("" if replies[0] else "the server just hung up"), replies[0]

    report.run("quit", say)


def _mark_unreached(report: Report, security: Security) -> None:
    """Add the steps that belong to this kind of connection and were not reached."""
    have = {step.name for step in report.steps}
    unreached = [
        StepResult(name, "skipped", 0.0, "not reached")
        for name in ORDER
        if name not in have | _NOT_NEEDED[security] and name != "quit"
    ]
    goodbye = [step for step in report.steps if step.name == "quit"]
    happened = [step for step in report.steps if step.name != "quit"]
    report.steps[:] = [*happened, *unreached, *goodbye]


def _about_encryption(request: TestRequest) -> list[Caution]:
    to = request.destination
    found = []
    if to.security == "none":
        what = "Mail and password travel" if to.username else "Mail travels"
        found.append(
            Caution("no_encryption", f"{what} without encryption; anybody on the way can read it.")
        )
    elif not to.verify_tls:
        found.append(
            Caution(
                "certificate_not_checked",
                "The server's certificate is not checked: somebody in between could read mail "
                "and password.",
            )
        )
    return found
