"""A connection test as one text, to paste into a provider's support form.

There is no secret in it: what a server said was redacted before it came into the report, and of the
settings only those are shown that the page shows too.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from smtp_admin.clock import now
from smtp_admin.connection.from_worker import BothTests
from smtp_admin.connection.probe import TestResult
from smtp_admin.diagnosis.report import program, settings_lines


def report_text(
    result: TestResult, both: BothTests | None = None, *, at: datetime | None = None
) -> str:
    """What was tried, what was answered, and from where.

    Args:
        both: where the same was tested from two places; *result* is then one of them.
        at: when; now where nothing is said.
    """
    moment = (at or now()).astimezone(UTC)
    lines = [
        f"Connection test, {moment:%Y-%m-%d %H:%M:%S} UTC",
        program(),
        "",
        *settings_lines(result.request.values),
    ]
    places = [("", result)]
    if both is not None:
        found = (("the web process", both.web), ("a worker", both.remote))
        places = [(where, one) for where, one in found if one is not None]
    for where, one in places:
        lines += ["", f"From {where}:" if where else "Result:", *_outcome(one)]
    if both is not None and both.remote is None and both.message:
        lines += ["", f"From a worker: {both.message}"]
    return "\n".join(lines) + "\n"


def _outcome(result: TestResult) -> Iterator[str]:
    report, failure = result.report, result.failure
    if failure is None:
        yield f"  It worked, in {result.duration_ms:g} ms."
    else:
        yield f"  {failure.message} [{failure.code} at {failure.step}]"
        if failure.reply is not None:
            unknown = result.diagnosis is not None and result.diagnosis.unrecognised
            yield f"  The server said{' (not recognised)' if unknown else ''}: {failure.reply}"
    for one in result.warnings:
        yield f"  Warning{' (not recognised)' if one.unrecognised else ''}: {one.message}"
    for step in report.steps:
        words = f"{step.name}: {step.status}"
        if step.status != "skipped":
            words += f", {step.ms:g} ms"
        said = str(step.reply) if step.reply is not None else step.detail
        yield f"  - {words}{f' ({said})' if said else ''}"
    if report.answers:
        yield f"  DNS answered: {', '.join(report.answers)}"
    for address, outcome in report.tried:
        yield f"  Tried {address}: {outcome}"
    if report.tls is not None:
        tls = report.tls
        checked = "checked" if tls.verified else "not checked"
        yield f"  Encryption: {tls.version}, {tls.cipher}; certificate of {tls.subject}, {checked}"
    if report.dialogue:
        yield "  Dialogue:"
        yield from (f"    {line}" for line in report.dialogue)
