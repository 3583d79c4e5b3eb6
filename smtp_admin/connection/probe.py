"""Run the connection test of a sender's driver, and name the causes where it fails."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from smtp_admin.diagnosis.diagnose import Diagnosis, of_failure
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.explain import TECHNICAL
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.report import Report, StepResult
from smtp_admin.transports.driver import Caution, Setup, Surroundings, Trial
from smtp_admin.transports.registry import driver

OVERALL_SECONDS = 20.0


@dataclass(slots=True)
class TestResult:
    """What a test found out; ``failure`` is ``None`` when it succeeded."""

    __test__ = False  # not one of pytest's

    setup: Setup
    sender_address: str
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
        server = self.setup.settings
        return {
            "host": getattr(server, "host", ""),
            "port": getattr(server, "port", None),
            "security": getattr(server, "security", ""),
            "username": self.setup.credential.username,
            "from_email": self.sender_address,
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


def probe(
    setup: Setup,
    sender_address: str,
    surroundings: Surroundings,
    overall_seconds: float = OVERALL_SECONDS,
    watch: Callable[[StepResult], None] = lambda _: None,
) -> TestResult:
    """Test *setup*; never raises for what a server does.

    Args:
        sender_address: the envelope sender to try; empty for none.
        watch: told each step as it ends.
    """
    overall = Deadline(overall_seconds)
    trial = Trial(setup, sender_address, surroundings, Report(watch=watch), overall)
    result = TestResult(setup, sender_address, trial.report, 0.0, warnings=trial.cautions)
    try:
        driver(setup.driver).test(trial)
    except SMTPFailure as failure:
        result.failure = failure
        result.diagnosis = of_failure(failure, setup, sender_address)
        _, technical, reason = failure.hint.partition(TECHNICAL)
        failure.hint = f"{result.diagnosis.hint} {technical}{reason}".strip()
    result.duration_ms = round((overall_seconds - overall.remaining()) * 1000, 1)
    return result
