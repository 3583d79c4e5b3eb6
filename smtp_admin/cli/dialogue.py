"""The wizard's course: questions, advice, the test, and what to do about it.

Nothing is saved before the last question is answered, so it can be left at any time.
"""

from typing import Literal

import click
from rich.console import Console
from rich.markup import escape

from smtp_admin.cli.questions import Questions
from smtp_admin.cli.terminal import choose, mark, show_outcome, show_step
from smtp_admin.cli.unsaved_settings import SMTP, UnsavedSettings
from smtp_admin.cli.which import whose
from smtp_admin.connection.service import test_connection
from smtp_admin.database import session
from smtp_admin.errors import SMTPAdminError
from smtp_admin.host import OPERATOR
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.values import SenderValues
from smtp_admin.transports.smtp.fields import SECURITY_LABELS

Next = Literal["save", "login", "server", "from", "more", "test", "stop"]
#: What to look at again, by the code of the failure; else the server.
_SUSPECT: dict[str, Next] = {"auth_failed": "login", "sender_refused": "from"}


class Dialogue:
    """One run of the wizard.

    Args:
        tested: whether to test the connection before saving.
    """

    def __init__(
        self, unsaved: UnsavedSettings, out: Console, questions: Questions, *, tested: bool = True
    ) -> None:
        self._unsaved = unsaved
        self._out = out
        self._questions = questions
        self._tested = tested
        #: What the last test that failed points at.
        self._suspect: Next = "server"

    def run(self) -> ResolvedSender | None:
        """Ask, test and save; what was saved and committed, or ``None`` if nothing was to be.

        Raises:
            click.Abort: somebody pressed Ctrl-C or Ctrl-D, or the terminal is gone.
            SMTPAdminError: it could not be saved; nothing was.
        """
        self._introduce()
        self._questions.ask_everything()
        test = self._tested
        while True:
            values = self._questions.checked()
            trouble = self._try(values, test=test)
            step = self._what_now(values, trouble, tested=test)
            test = self._tested or step == "test"
            self._questions.forget_options()
            if step == "save":
                return self._save(values)
            if step == "stop":
                return None
            if step == "from":
                self._questions.ask_from()
            elif step == "server":
                self._questions.ask_server()
            elif step == "more":
                self._questions.ask_more()
            if step in {"login", "server"}:
                self._questions.ask_login(keep_typed=step == "server")

    def _introduce(self) -> None:
        sender = self._unsaved.sender
        which = f", sender {sender.name}" if sender.key else ""
        self._out.print(f"[bold]Mail settings of {escape(whose(sender.partner_id) + which)}[/]")
        if sender.deleted:
            self._out.print("It was deleted. Save to restore it with its history.")
        elif sender.revision:
            self._out.print(
                f"Now saved: revision {sender.revision}, by {escape(sender.saved_by)}. "
                "Press Enter to keep the value in brackets."
            )
        elif sender.key:
            self._out.print("It is new.")
        self._out.print(
            "Nothing is saved before the last question. Press Ctrl-C to leave at any time."
        )
        for one in self._unsaved.fields():
            if variable := self._unsaved.locked_by(one.name):
                words = "" if one.secret else escape(one.words(sender.values[one.name]))
                self._out.print(f"{one.label}: {words}  [dim](held by {variable})[/]")

    def _try(self, values: SenderValues, *, test: bool) -> str:
        """Advise and test; what does not work, as a sentence, or ``""``."""
        advice = self._unsaved.advice(values)
        if advice:
            self._questions.heading("Advice; you can save anyway")
        for one in advice:
            label = self._questions.label(one.field)
            where = f"{label}: " if label else ""
            self._out.print(f"{mark(self._out, 'warning')} {where}{escape(one.message)}")
        if not test:
            return ""
        self._questions.heading("Connection test: every step of sending, but no mail")
        self._suspect = "server"
        try:
            result = test_connection(
                session(),
                self._unsaved.sender.partner_id,
                self._unsaved.as_request(values),
                OPERATOR,
                key=self._unsaved.sender.key,
                watch=lambda step: show_step(self._out, step),
            )
        except SMTPAdminError as error:  # too many tests, or a password that does not open
            session().rollback()
            self._out.print(f"[bold red]{escape(error.message)}[/] {escape(error.hint)}")
            for name, texts in getattr(error, "fields", {}).items():
                self._out.print(f"  {escape(f'{self._questions.label(name)}: ' + ' '.join(texts))}")
            return error.message
        self._unsaved.was_tested(result, OPERATOR)
        show_outcome(self._out, result)
        if result.failure is None:
            return ""
        self._suspect = _SUSPECT.get(result.failure.code, "server")
        if values.driver != SMTP and self._suspect == "login":
            self._suspect = "server"
        return result.failure.message

    def _what_now(self, values: SenderValues, trouble: str, *, tested: bool) -> Next:
        self._questions.heading("What now? Nothing is saved yet.")
        smtp = values.driver == SMTP
        options: list[tuple[str, str]] = [
            ("server", "Enter the server again" if smtp else "Choose the sending method again"),
            ("from", "Enter the from address again"),
            ("more", "Enter more: limits, reply-to address, headers, fallback senders, …"),
            ("test", "Test again"),
            ("stop", "Leave without saving"),
        ]
        if smtp:
            options.insert(0, ("login", "Enter login and password again"))
        default: str = self._suspect if trouble else "save"
        if not trouble:
            state = "" if tested else ", untested"
            words = f"Save: {_where(values)}, from {values.from_email}{state}"
            options.insert(0, ("save", words))
        else:
            options.insert(-1, ("save", "Save anyway, although the test failed"))
        while True:
            chosen = choose("Choose", options, default)
            if chosen != "save" or not trouble or self._insists(trouble):
                return chosen  # type: ignore[return-value]  # one of the words above

    def _insists(self, trouble: str) -> bool:
        click.echo(
            f"  Mail cannot be sent with these settings: {trouble} It would wait in the queue."
        )
        return bool(click.confirm("  Save anyway?", default=False))

    def _save(self, values: SenderValues) -> ResolvedSender:
        try:
            saved = self._unsaved.save(session(), values, OPERATOR)
            session().commit()
        except BaseException:
            session().rollback()
            raise
        return saved


def _where(values: SenderValues) -> str:
    """Where mail goes, for a person who just entered it."""
    if values.driver != SMTP:
        return values.place()
    return f"{values.host}, port {values.port}, {SECURITY_LABELS[values.security]}"
