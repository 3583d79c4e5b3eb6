"""``wizard``: settings by questions and answers, or by options for provisioning scripts."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import click
from sqlalchemy.orm import Session

from smtp_admin import schema
from smtp_admin.cli.connection import OPERATOR
from smtp_admin.cli.dialogue import Dialogue
from smtp_admin.cli.draft import SSL_PORT, Draft, preset
from smtp_admin.cli.main import BadUsage, commands, known_partner, show_json
from smtp_admin.cli.terminal import console, show_outcome, show_step
from smtp_admin.connection.probe import TestResult
from smtp_admin.connection.service import test_connection
from smtp_admin.connection.views import as_dict
from smtp_admin.database import SYSTEM, host_engine, session
from smtp_admin.errors import Conflict, InvalidInput
from smtp_admin.installation import installation
from smtp_admin.settings.sender import ResolvedSender, load_sender
from smtp_admin.settings.values import SenderValues
from smtp_admin.smtp.opening import SECURITIES

_LONGEST_PASSWORD_FILE = 64 * 1024
_GIVE_PASSWORD = "Give --password-file or --password-stdin."  # noqa: S105 - names of options
_HELP = """\
Set up a sender: questions and answers, then the connection test, then saving. Nothing is saved
unless the test succeeded, or you insist.

Example: flask smtp-admin wizard --partner acme

With --no-input it asks nothing and takes everything from options, for provisioning scripts; what is
saved already need not be given again, and the same settings again change nothing.

\b
  flask smtp-admin wizard --no-input --preset sendgrid --username apikey \\
      --from-email noreply@acme.example --password-file /run/secrets/sendgrid

There is no option for the password itself: a command line stands in the shell's history, and every
user of the machine can read it in the list of processes.

Exit status 0 if saved (or nothing had to be), 1 if not, 2 if something is missing or cannot be
used; nothing was dialled then."""


@commands.command(help=_HELP)
@click.option("--partner", "partner_id", default=SYSTEM, help="The partner's id; the system's "
              "sender without it.")  # fmt: skip
@click.option("--preset", default=None, metavar="NAME", help="Host, port and security of a "
              "provider, such as gmail or ses:eu-central-1.")  # fmt: skip
@click.option("--host", default=None, help="The outgoing mail server.")
@click.option("--port", default=None, help="587 if not given; 465 with --security ssl.")
@click.option("--security", type=click.Choice(SECURITIES), default=None,
              help="tls is STARTTLS, ssl is encrypted from the first byte.")  # fmt: skip
@click.option("--username", default=None, help="The login; empty for none.")
@click.option("--password-file", type=click.Path(path_type=Path), default=None,
              help="Read the password from this file. One line break at its end is not part of "
              "it.")  # fmt: skip
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; "
              "implies --no-input.")  # fmt: skip
@click.option("--from-email", default=None, help="The address that mails come from.")
@click.option("--from-name", default=None, help="The name beside it.")
@click.option("--reply-to", default=None, help="Where answers go.")
@click.option("--max-per-hour", default=None, help="Mails per hour, at most; empty for no limit.")
@click.option("--max-per-day", default=None, help="Mails per day, at most; empty for no limit.")
@click.option("--max-connections", default=None, help="Connections at a time.")
@click.option("--fallback/--no-fallback", default=None,
              help="Let the system's sender step in while this one cannot send.")  # fmt: skip
@click.option("--verify-tls/--no-verify-tls", default=None,
              help="Whether to check the server's certificate.")  # fmt: skip
@click.option("--no-test", is_flag=True, help="Save without testing.")
@click.option("--no-input", is_flag=True, help="Ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="For a script; implies --no-input.")
def wizard(
    partner_id: str,
    preset: str | None,
    password_file: Path | None,
    password_stdin: bool,
    no_test: bool,
    no_input: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Set up a sender."""
    # What fails is told here; where no logging is set up, Python would print it a second time.
    logging.getLogger("smtp_admin.connection").addHandler(logging.NullHandler())
    schema.check(host_engine())
    known_partner(partner_id)
    sender = load_sender(session(), partner_id)
    sender.refuse_problems()
    session().rollback()  # a person may think for long, and no transaction waits for that
    partner = installation().host.partner(partner_id) if partner_id else None
    draft = Draft(sender, site_domain=partner.site_domain if partner else "")
    asks = not (no_input or as_json or password_stdin)
    given = _Given(draft, as_json=as_json)
    given.take(preset, options)
    given.read_password(password_file, from_stdin=password_stdin)
    given.refuse_problems(complete=not asks)
    if not asks:
        _provision(draft, tested=not no_test, as_json=as_json)
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("This is not a terminal, so nothing can be asked. Give the "
                               "settings as options, with --no-input.")  # fmt: skip
    _ask(draft, given.names, tested=not no_test)


def _ask(draft: Draft, given: set[str], *, tested: bool) -> None:
    out = console()
    try:
        saved = Dialogue(draft, out, given, tested=tested).run()
    except (click.Abort, KeyboardInterrupt):
        _leave(out, "\nStopped: nothing was saved.")
    except Conflict as error:
        raise Conflict(error.message, hint="Run the wizard again; it begins with what is saved "
                       "now.") from error  # fmt: skip
    if saved is None:
        _leave(out, "Nothing was saved.")
    option = f" --partner {saved.partner_id}" if saved.partner_id else ""
    out.print(f"[bold green]Saved[/] as revision {saved.revision}. Mail goes out this way from now "
              "on, as soon as a worker runs.")  # fmt: skip
    out.print(f"To see one arrive: flask smtp-admin send-test YOUR@ADDRESS{option}")


def _leave(out: Any, words: str) -> NoReturn:
    out.print(words, markup=False)
    sys.exit(1)


class _Given:
    """What the options say, and everything that is wrong with them, told at once."""

    def __init__(self, draft: Draft, *, as_json: bool) -> None:
        self._draft = draft
        self._as_json = as_json
        #: The fields that need not be asked for.
        self.names: set[str] = set()
        self._wrong: dict[str, list[str]] = {}

    def take(self, preset_name: str | None, options: Mapping[str, Any]) -> None:
        """Put the options into the draft, the preset before what is more exact."""
        given = {name: value for name, value in options.items() if value is not None}
        email = given.pop("from_email", None)
        if email is not None:
            self._put("from_email", email)  # the preset of a domain needs it
        if preset_name is not None:
            self._use(preset_name)
        elif given.get("security") == "ssl" and not self._draft.sender.revision:
            self._draft.fill_in("", SSL_PORT, "ssl")
        for name, value in given.items():
            self._put(name, str(value).lower() if isinstance(value, bool) else str(value))

    def read_password(self, path: Path | None, *, from_stdin: bool) -> None:
        """Read the password from where it is."""
        if path is None and not from_stdin:
            return
        try:
            if path is not None and from_stdin:
                raise ValueError("Give one of --password-file and --password-stdin.")
            text = _read(path)
            if not text:
                raise ValueError("There is no password in it.")
        except ValueError as error:
            self._wrong["password"] = [str(error)]
            return
        self._draft.password = text
        self._judge("password", text)

    def refuse_problems(self, *, complete: bool) -> None:
        """Return if everything that was given can be used, and nothing is missing.

        Args:
            complete: whether nothing may be missing, because nothing will be asked.

        Raises:
            BadUsage: with all of it at once.
        """
        fields = (self._missing() if complete else {}) | self._wrong
        if not fields and complete:
            fields = self._misfits()
        if fields:
            message = "Nothing was tested or saved. This is missing or cannot be used:"
            self._refuse(InvalidInput(message, fields=fields))

    def _missing(self) -> dict[str, list[str]]:
        fields, sender = self._draft.fields, self._draft.sender
        found: dict[str, list[str]] = {}
        if not fields["host"].strip():
            found["host"] = ["Give --host or --preset."]
        if not fields["from_email"].strip():
            found["from_email"] = ["Give --from-email."]
        has_password = self._draft.password or sender.has_password
        if fields["username"].strip() and not has_password and "password" not in sender.locked:
            found["password"] = [_GIVE_PASSWORD]
        return found

    def _misfits(self) -> dict[str, list[str]]:
        """What does not fit together although each value alone can be used."""
        try:
            values = self._draft.values()
            self._draft.refuse_missing_variable(values)
            typed = self._draft.typed_password(values)
        except InvalidInput as error:
            if not error.fields:
                self._refuse(error)
            return error.fields
        if values.username and not typed and not self._draft.locked_by("password"):
            needed = self._draft.keeps_password(values)
            if needed:
                return {"password": [needed, _GIVE_PASSWORD]}
        return {}

    def _use(self, name: str) -> None:
        try:
            self._draft.use(*preset(name))
        except InvalidInput as error:
            self._wrong["preset"] = [error.message]
        else:
            self.names |= {"host", "port", "security"} if self._draft.fields["host"] else set()

    def _put(self, name: str, text: str) -> None:
        variable = self._draft.locked_by(name)
        if variable:
            self._wrong[name] = [f"The environment holds it: {variable}."]
            return
        self._draft.fields[name] = text
        self._judge(name, text)

    def _judge(self, name: str, text: str) -> None:
        variable = self._draft.locked_by(name)
        complaint = f"The environment holds it: {variable}." if variable else (
            self._draft.complaint(name, text))  # fmt: skip
        if complaint:
            self._wrong[name] = [complaint]
        else:
            self.names.add(name)

    def _refuse(self, error: InvalidInput) -> NoReturn:
        raise BadUsage(error, as_json=self._as_json) from error


def _read(path: Path | None) -> str:
    """The password in a file, or on standard input, without one line break at its end."""
    try:
        if path is None:
            raw = sys.stdin.buffer.read(_LONGEST_PASSWORD_FILE)
        else:
            with path.open("rb") as file:
                raw = file.read(_LONGEST_PASSWORD_FILE)
        text = raw.decode("utf-8")
    except OSError as error:
        raise ValueError(f"It cannot be read: {error.strerror or type(error).__name__}.") from error
    except UnicodeDecodeError as error:
        raise ValueError("It is not UTF-8 text.") from error
    return text.removesuffix("\n").removesuffix("\r")


def _provision(draft: Draft, *, tested: bool, as_json: bool) -> None:
    """Test and save without a question."""
    values = draft.values()
    out = console()
    advice = draft.advice(values)
    result: TestResult | None = None
    if tested:
        result = test_connection(
            session(),
            draft.sender.partner_id,
            draft.as_request(values),
            OPERATOR,
            watch=lambda step: None if as_json else show_step(out, step),
        )
        if not as_json:
            show_outcome(out, result)
    answer: dict[str, Any] = {
        "saved": False,
        "partner_id": draft.sender.partner_id,
        "revision": draft.sender.revision,
        "settings": asdict(values),
        "advice": [asdict(one) for one in advice],
    }
    if result is not None and not result.ok:
        if as_json:
            show_json(as_dict(result) | answer)
        else:
            _leave(out, "Nothing was saved.")
        sys.exit(1)
    changed = not draft.changes_nothing(values)
    if changed:
        saved = _save(session(), draft, values)
        answer |= {"saved": True, "revision": saved.revision}
    if as_json:
        tests = None if result is None else as_dict(result)
        show_json({"ok": True, **answer, "test": tests})
        return
    for one in advice:
        out.print(f"Note on {one.field}: {one.message}", markup=False)
    number = answer["revision"]
    out.print(f"Saved as revision {number}." if changed
              else f"Revision {number} says the same already; nothing was changed.")  # fmt: skip


def _save(session_: Session, draft: Draft, values: SenderValues) -> ResolvedSender:
    saved = draft.save(session_, values, OPERATOR)
    session_.commit()
    return saved
