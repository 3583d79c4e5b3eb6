"""The wizard's questions, one after another, in a plain terminal.

Nothing is saved before the last of them is answered, so it can be left at any time.
"""

from collections.abc import Collection
from typing import Literal

import click
from rich.console import Console
from rich.markup import escape

from smtp_admin.cli.connection import OPERATOR
from smtp_admin.cli.draft import SSL_PORT, Draft
from smtp_admin.cli.terminal import ask, ask_secret, choose, show_outcome, show_step
from smtp_admin.connection.lookup import find_settings
from smtp_admin.connection.probe import TestResult
from smtp_admin.connection.service import test_connection
from smtp_admin.database import session
from smtp_admin.errors import InvalidInput, KeyMissing, SMTPAdminError
from smtp_admin.installation import installation
from smtp_admin.settings.forms import SenderForm
from smtp_admin.settings.presets import Provider, check_shape, providers
from smtp_admin.settings.sender import ResolvedSender
from smtp_admin.settings.values import SECURITY_LABELS, SenderValues

Next = Literal["save", "login", "server", "from", "test", "stop"]
#: What to look at again, by the code of the failure; else the server.
_SUSPECT: dict[str, Next] = {"auth_failed": "login", "sender_refused": "from"}
_PLACE = ("host", "port", "security")
_SHOWN = ("host", "port", "security", "username", "from_email", "from_name")


class Dialogue:
    """One run of the wizard.

    Args:
        given: fields that were given as options, and are not asked for unless they prove wrong.
        tested: whether to test the connection before saving.
    """

    def __init__(
        self, draft: Draft, out: Console, given: Collection[str] = (), *, tested: bool = True
    ) -> None:
        self._draft = draft
        self._out = out
        self._given = set(given)
        self._tested = tested
        self._form = SenderForm()
        #: What the last test that failed points at.
        self._suspect: Next = "server"

    def run(self) -> ResolvedSender | None:
        """Ask, test and save; what was saved and committed, or ``None`` if nothing was to be.

        Raises:
            click.Abort: somebody pressed Ctrl-C or Ctrl-D, or the terminal is gone.
            SMTPAdminError: it could not be saved; nothing was.
        """
        self._introduce()
        self._ask_from()
        self._ask_server()
        self._ask_login()
        test = self._tested
        while True:
            values = self._shaped()
            trouble = self._try(values, test=test)
            step = self._what_now(values, trouble, tested=test)
            test = self._tested or step == "test"
            self._given.clear()
            if step == "save":
                return self._save(values)
            if step == "stop":
                return None
            if step == "from":
                self._ask_from()
            elif step == "server":
                self._ask_server()
            if step in {"login", "server"}:
                self._ask_login(keep_typed=step == "server")

    def _introduce(self) -> None:
        sender = self._draft.sender
        whose = f"partner {sender.partner_id}" if sender.partner_id else "the system"
        self._out.print(f"[bold]Mail settings of {escape(whose)}[/]")
        if sender.revision:
            self._out.print(
                f"Now saved: revision {sender.revision}, by {escape(sender.saved_by)}. "
                "Enter keeps what stands in brackets."
            )
        self._out.print("Nothing is saved before the last question; Ctrl-C leaves at any time.")
        for name in _SHOWN:
            if variable := self._draft.locked_by(name):
                value = escape(str(getattr(sender.values, name)))
                self._out.print(f"{self._label(name)}: {value}  [dim](held by {variable})[/]")
        if variable := self._draft.locked_by("password"):
            self._out.print(f"Password: [dim](held by {variable})[/]")

    def _ask_from(self) -> None:
        if not self._asked("from_email", "from_name"):
            return
        self._heading("Who the mail comes from")
        self._ask("from_email")
        self._ask("from_name")

    def _ask_server(self) -> None:
        if not self._asked(*_PLACE):
            return
        self._heading("The mail server")
        if self._asked("host") and self._choose_server() and self._agrees():
            return
        for name in _PLACE:
            if name == "security":
                self._ask_security()
            else:
                self._ask(name)
                if name == "port" and self._draft.fields["port"].strip() == str(SSL_PORT):
                    self._draft.fill_in("", SSL_PORT, "ssl")

    def _choose_server(self) -> bool:
        """Fill in a provider's server, or one that is looked for; whether there is one."""
        now = self._draft.fields
        options = [(one.key, one.label) for one in providers()]
        options.append(("find", f"Find it from the address {now['from_email']}"))
        kept = f"{now['host']} as it is now, or another" if now["host"] else "Another server"
        options.append(("other", f"{kept}: enter it by hand"))
        known = self._draft.provider
        default = known.key if known else "other" if now["host"] else "find"
        chosen = choose("Mail goes out through", options, default)
        if chosen == "find":
            return self._find()
        for one in providers():
            if one.key == chosen:
                self._use(one)
                return bool(now["host"])
        return False

    def _agrees(self) -> bool:
        now = self._draft.fields
        security = next(label for one, label in SECURITY_LABELS.items() if one == now["security"])
        place = f"{now['host']}, port {now['port']}, {security}"
        return bool(click.confirm(f"Use {place}?", default=True))

    def _use(self, chosen: Provider) -> None:
        region = ""
        if chosen.regions:
            regions = [(one.key, f"{one.label} ({one.host})") for one in chosen.regions]
            here = [one.key for one in chosen.regions if one.host == self._draft.fields["host"]]
            region = choose("Region", regions, (here or [regions[0][0]])[0])
        self._draft.use(chosen, region)
        for step in chosen.steps:
            self._out.print(f"• {escape(step)}")
        self._out.print(f"[dim]{escape(chosen.page)}[/]", soft_wrap=True)

    def _find(self) -> bool:
        address = self._draft.fields["from_email"]
        self._out.print("Looking; this takes up to 15 seconds. Nothing is logged in to or sent …")
        try:
            found = find_settings(address)
        except ValueError as error:  # an address that cannot be looked up
            self._out.print(escape(str(error)))
            return False
        self._out.print(escape(found.summary))
        best = found.best
        if best is None:
            self._out.print("Ask your provider for the name of the “outgoing server (SMTP)”.")
            return False
        if best.caution:
            self._out.print(f"[yellow]Note:[/] {escape(best.caution)}")
        self._draft.fill_in(best.host, best.port, best.security, best.username)
        return True

    def _ask_security(self) -> None:
        if not self._asked("security"):
            return
        options = [(word, label) for word, label in SECURITY_LABELS.items()]
        chosen = choose(self._label("security"), options, self._draft.fields["security"])
        self._draft.fields["security"] = chosen

    def _ask_login(self, *, keep_typed: bool = False) -> None:
        """Ask for login and password; *keep_typed*: what was typed before is not in doubt."""
        username = self._draft.fields["username"].strip()
        if self._asked("username") or (username and self._asked("password")):
            self._heading("The login")
        known = self._draft.provider
        if known is not None and self._asked("username"):
            self._hint("Login", known.login)
        while True:
            self._ask("username")
            username = self._draft.fields["username"].strip()
            wrong = check_shape(known, username, "", self._draft.fields["from_email"])
            if not wrong.get("username") or self._draft.locked_by("username"):
                break
            self._complain(wrong)
            self._given.discard("username")
        if not username or self._draft.locked_by("password"):
            self._draft.password = ""
            return
        if not installation().keyring:
            raise KeyMissing(
                "A password cannot be stored: SMTP_ADMIN_SECRET_KEYS is empty.",
                hint="Run `flask smtp-admin keys generate`, put the key there, and begin again.",
            )
        if known is not None and self._asked("password"):
            self._hint("Password", known.password)
        self._ask_password(before=self._draft.password if keep_typed else "")

    def _ask_password(self, before: str) -> None:
        if "password" in self._given:
            return
        missing = "" if before else self._draft.keeps_password(self._draft.values())

        def complaint(text: str) -> str:
            return self._draft.complaint("password", text) if text else missing

        kept = "the one typed before" if before else "" if missing else "the saved one"
        label = "Password, not shown" + (f"; Enter keeps {kept}" if kept else "")
        self._draft.password = ask_secret(label, complaint) or before

    def _shaped(self) -> SenderValues:
        """The values, once login and password have a shape that the provider can accept."""
        while True:
            values = self._draft.values()
            self._draft.refuse_missing_variable(values)
            try:
                self._draft.typed_password(values)
            except InvalidInput as error:
                self._complain(error.fields)
                self._given -= error.fields.keys()
                if "from_email" in error.fields:
                    self._ask_from()
                if error.fields.keys() - {"from_email"}:
                    self._ask_login()
            else:
                return values

    def _try(self, values: SenderValues, *, test: bool) -> str:
        """Advise and test; what does not work, as a sentence, or ``""``."""
        advice = self._draft.advice(values)
        if advice:
            self._heading("Advice, which blocks nothing")
        for one in advice:
            where = f"{self._label(one.field)}: " if one.field in self._form else ""
            self._out.print(f"[yellow]![/] {where}{escape(one.message)}")
        if not test:
            return ""
        self._heading("The test: everything that sending does, but no mail")
        self._suspect = "server"
        try:
            result = test_connection(
                session(),
                self._draft.sender.partner_id,
                self._draft.as_request(values),
                OPERATOR,
                watch=lambda step: show_step(self._out, step),
            )
        except SMTPAdminError as error:  # too many tests, or a password that does not open
            session().rollback()
            self._out.print(f"[bold red]{escape(error.message)}[/] {escape(error.hint)}")
            return error.message
        show_outcome(self._out, result)
        return self._judge(result)

    def _judge(self, result: TestResult) -> str:
        if result.failure is None:
            return ""
        self._suspect = _SUSPECT.get(result.failure.code, "server")
        return result.failure.message

    def _what_now(self, values: SenderValues, trouble: str, *, tested: bool) -> Next:
        self._heading("What now? Nothing is saved yet.")
        options: list[tuple[str, str]] = [
            ("login", "Enter login and password again"),
            ("server", "Enter the server again"),
            ("from", "Enter the from address again"),
            ("test", "Test again"),
            ("stop", "Leave without saving"),
        ]
        default: str = self._suspect if trouble else "save"
        if not trouble:
            to = f"{values.host}, port {values.port}, {SECURITY_LABELS[values.security]}"
            state = "" if tested else ", untested"
            options.insert(0, ("save", f"Save: {to}, from {values.from_email}{state}"))
        else:
            options.insert(4, ("save", "Save anyway, although it does not work"))
        while True:
            chosen = choose("Choose", options, default)
            if chosen != "save" or not trouble or self._insists(trouble):
                return chosen  # type: ignore[return-value]  # one of the words above

    def _insists(self, trouble: str) -> bool:
        click.echo(f"  Mail cannot be sent this way: {trouble} It would wait in the queue.")
        return bool(click.confirm("  Save all the same?", default=False))

    def _save(self, values: SenderValues) -> ResolvedSender:
        try:
            saved = self._draft.save(session(), values, OPERATOR)
            session().commit()
        except BaseException:
            session().rollback()
            raise
        return saved

    def _ask(self, name: str) -> None:
        """Ask for one field, unless the environment holds it or an option gave it."""
        if not self._asked(name):
            return
        field = self._form[name]
        now = self._draft.fields[name]
        optional = not field.flags.required
        if not now and field.description:
            self._hint("", str(field.description))
        self._draft.fields[name] = ask(
            self._label(name), now, lambda text: self._draft.complaint(name, text),
            optional=optional,
        )  # fmt: skip

    def _asked(self, *names: str) -> bool:
        """Whether one of these fields is asked for."""
        return any(not self._draft.locked_by(name) and name not in self._given for name in names)

    def _label(self, name: str) -> str:
        return str(self._form[name].label.text)

    def _heading(self, text: str) -> None:
        self._out.print(f"\n[bold]{escape(text)}[/]")

    def _hint(self, what: str, text: str) -> None:
        self._out.print(f"[dim]{what}{': ' if what else ''}{escape(text)}[/]")

    def _complain(self, fields: dict[str, list[str]]) -> None:
        for name, texts in fields.items():
            self._out.print(f"[red]✕[/] {self._label(name)}: {escape(' '.join(texts))}")
