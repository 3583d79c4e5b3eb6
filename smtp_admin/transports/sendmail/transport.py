"""Hand mail to a program, one process a mail."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from smtp_admin.replies.meaning import Context
from smtp_admin.replies.table import Table
from smtp_admin.smtp.address import clean_address
from smtp_admin.smtp.client import Timeouts
from smtp_admin.translation import said_by
from smtp_admin.transports.base import More, Outgoing, Sequel, no_more
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict
from smtp_admin.transports.sendmail import exit_codes
from smtp_admin.transports.sendmail.process import run
from smtp_admin.transports.sendmail.program import of_start, without_path

#: One that asks to try later has this mail in mind; so many in a row have the whole sender.
_DEFERRALS_IN_A_ROW = 3


class SendmailTransport:
    """A mail program and its arguments, as the host's configuration has them."""

    def __init__(self, program: Sequence[str], timeouts: Timeouts, replies: Table) -> None:
        self._program = tuple(program)
        self._timeouts = timeouts
        self._replies = replies
        self._aborted = threading.Event()
        self._deferrals = 0

    def __repr__(self) -> str:
        return f"<SendmailTransport through {self._program[0] if self._program else 'nothing'}>"

    def deliver(
        self, mails: Iterable[Outgoing], more: More = no_more
    ) -> Iterator[tuple[int, Outcome]]:
        """See :class:`smtp_admin.transports.base.Transport`."""
        self._aborted.clear()
        sequel = Sequel(mails, more)
        while (mail := sequel.first()) is not None:
            if self._aborted.is_set():
                return
            outcome = self._outcome(mail)
            sequel.done()
            yield mail.key, outcome
            if outcome.ends_stream:
                return

    def close(self) -> None:
        """Nothing stays open between two mails."""

    def abort(self) -> None:
        """End the program that is running, from any thread."""
        self._aborted.set()

    def _outcome(self, mail: Outgoing) -> Outcome:
        refused = without_path(self._program) or _unusable(mail)
        if refused is not None:
            return refused
        content = mail.content.replace(b"\r\n", b"\n")
        try:
            ending = run(
                self.arguments(mail),
                content,
                reading=self._timeouts.command + len(content) / self._timeouts.body_rate,
                ending=self._timeouts.final_dot,
                aborted=self._aborted,
            )
        except OSError as error:
            return of_start(self._program, error)
        context = Context(mail.recipient, mail.mail_from)
        outcome = exit_codes.judge(ending, self._replies, context)
        self._deferrals = self._deferrals + 1 if outcome.verdict is Verdict.TEMPORARY else 0
        if self._deferrals < _DEFERRALS_IN_A_ROW:
            return outcome
        self._deferrals = 0
        return replace(outcome, verdict=Verdict.RELEASED, health=SenderHealth.DOWN)

    def arguments(self, mail: Outgoing) -> list[str]:
        """The command line for *mail*: what is ours stands after what the host configured.

        ``-i``: a line with a lone dot is text. ``-oep``: errors are said here, not mailed.
        """
        sender = mail.mail_from or "<>"
        return [*self._program, "-i", "-oep", "-f", sender, "--", mail.recipient]


def _unusable(mail: Outgoing) -> Outcome | None:
    """The refusal of an address that must not become an argument, or ``None``."""
    try:
        if mail.mail_from:
            clean_address(mail.mail_from)
    except ValueError as error:
        return Outcome(Verdict.PERMANENT, reason=said_by(error), code="sender_refused")
    try:
        clean_address(mail.recipient)
    except ValueError as error:
        return Outcome(
            Verdict.PERMANENT, reason=said_by(error), code="recipient_refused", bad_address=True
        )
    return None
