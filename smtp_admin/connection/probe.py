"""Run the connection test of a sender's driver, and name the causes where it fails."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from smtp_admin.connection.certificate import names_shown
from smtp_admin.connection.request import TestRequest
from smtp_admin.diagnosis.causes import NOTHING
from smtp_admin.diagnosis.diagnose import Diagnosis, facts_about, of_failure
from smtp_admin.diagnosis.table import causes
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.report import Report, StepResult
from smtp_admin.smtp.session import Server
from smtp_admin.translation import gettext, joined
from smtp_admin.transports.driver import Caution, Surroundings, Trial
from smtp_admin.transports.registry import driver

OVERALL_SECONDS = 20.0


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

    @property
    def runs(self) -> list[tuple[bool, list[StepResult]]]:
        """The steps in order, those that passed one after the other together."""
        runs = groupby(self.report.steps, key=lambda one: one.status == "ok")
        return [(passed, list(some)) for passed, some in runs]

    def hint(self, warning: Caution) -> str:
        """What is behind *warning* and what to do about it, where the server's words told."""
        row = causes().by_key.get(warning.cause)
        if row is None:
            return ""
        found = row.cause(facts_about(warning.code, values=self.request.values))
        return joined((found.what, found.do))

    def connection_json(self) -> dict[str, Any]:
        """What was connected to, as far as it got."""
        values, report = self.request.values, self.report
        return {
            "driver": values.driver,
            **{name: values[name] for name in ("host", "port", "security") if name in values},
            "username": self.request.setup.credential.username,
            "from_email": values.from_email,
            "address": report.address,
            "tls": report.tls.as_json() if report.tls else None,
            "extensions": report.extensions,
            "auth_methods": report.auth_methods,
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
    request: TestRequest,
    surroundings: Surroundings,
    overall_seconds: float = OVERALL_SECONDS,
    watch: Callable[[StepResult], None] = lambda _: None,
    known: Mapping[str, str] = NOTHING,
) -> TestResult:
    """Test *request*; never raises for what a server does.

    Args:
        watch: told each step as it ends.
        known: what else may explain a failure, from :mod:`smtp_admin.diagnosis.background`.
    """
    overall = Deadline(overall_seconds)
    report = Report(watch=watch)
    trial = Trial(
        request.setup,
        request.sender_address,
        surroundings,
        report,
        overall,
        from_address=request.values.from_email,
    )
    result = TestResult(request, report, 0.0, warnings=trial.cautions)
    try:
        driver(request.setup.driver).test(trial)
    except SMTPFailure as failure:
        result.failure = failure
        failure.facts = {**known, **_seen(failure, trial), **failure.facts}
        result.diagnosis = of_failure(failure, request.values)
        technical = failure.facts.get("technical")
        more = gettext("Technical reason: %(technical)s.", technical=technical) if technical else ""
        failure.hint = joined((result.diagnosis.hint, more))
    result.duration_ms = round((overall_seconds - overall.remaining()) * 1000, 1)
    return result


def _seen(failure: SMTPFailure, trial: Trial) -> dict[str, str]:
    """What the test itself saw that explains its failure, by name."""
    found: dict[str, str] = {}
    credential, server = trial.setup.credential, trial.setup.settings
    if failure.code == "auth_failed" and not all(one.isascii() for one in credential.secrets):
        found["odd_letters"] = "yes"
    if trial.report.auth_methods and not credential.username:
        found["login_offered"] = "yes"
    if failure.cause in _ABOUT_NAMES and isinstance(server, Server):
        names = names_shown(server, trial.surroundings.dialler, trial.overall)
        if names:
            found["names"] = ", ".join(names)
    return found


#: Causes that the names in a certificate explain.
_ABOUT_NAMES = frozenset({"certificate_name", "certificate_address"})
