"""What was learnt on the way to a mail server: each step, and what was said, as far as it got."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.reply import Reply
from smtp_admin.smtp.tls import TLSDescription

Status = Literal["ok", "failed", "skipped"]
_MOST_LINES, _LONGEST_LINE = 400, 500


@dataclass(slots=True)
class StepResult:
    """How one step went; *ms* is its duration in milliseconds."""

    name: str
    status: Status
    ms: float
    detail: str = ""
    reply: Reply | None = None


@dataclass(slots=True)
class Report:
    """What was learnt on the way, as far as it got.

    Attributes:
        address: the one that answered.
        answers: the addresses that the host name led to.
        tried: each address that was dialled, with what came of it, in order.
        dialogue: what was said, one line each, ``C:`` us and ``S:`` the server, without secrets
            and without mails.
        watch: told each step as it ends, for whoever looks on; one that is done again, as EHLO
            is after STARTTLS, only if it fails then.
    """

    steps: list[StepResult] = field(default_factory=list)
    address: str | None = None
    tls: TLSDescription | None = None
    extensions: list[str] = field(default_factory=list)
    auth_methods: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    tried: list[tuple[str, str]] = field(default_factory=list)
    dialogue: list[str] = field(default_factory=list)
    watch: Callable[[StepResult], None] = field(default=lambda _: None, repr=False)

    def add(self, step: StepResult) -> None:
        """Write down how a step went."""
        again = any(one.name == step.name for one in self.steps)
        self.steps.append(step)
        if not again or step.status == "failed":
            self.watch(step)

    def run(self, name: str, act: Callable[[], tuple[str, Reply | None]]) -> None:
        """Do one step and write down how it went; *act* returns a detail and a reply."""
        started = time.monotonic()
        try:
            detail, reply = act()
        except SMTPFailure as failure:
            failed_at = failure.step
            if failed_at != name:  # a handshake that ends at the certificate
                self.add(StepResult(name, "ok", _ms(started), "agreed on encryption"))
                started = time.monotonic()
            self.add(StepResult(failed_at, "failed", _ms(started), failure.message, failure.reply))
            raise
        self.add(StepResult(name, "ok", _ms(started), detail, reply))

    def again(self, name: str, act: Callable[[], tuple[str, Reply | None]]) -> None:
        """Do a step once more; what came of it takes the place of the first time."""
        first = next(at for at, step in enumerate(self.steps) if step.name == name)
        try:
            self.run(name, act)
        finally:
            self.steps[first] = self.steps.pop()

    def note(self, line: str) -> None:
        """Write down a line of what was said; a server without end fills nobody's memory."""
        if len(self.dialogue) < _MOST_LINES:
            cut = line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"
            self.dialogue.append(cut)

    def skip(self, name: str, why: str) -> None:
        """Write down that a step was not needed, and why."""
        self.add(StepResult(name, "skipped", 0.0, why))


def _ms(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)
