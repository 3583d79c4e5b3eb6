"""``wizard``: settings by questions and answers, or by options for provisioning scripts."""

import logging
import sys
from dataclasses import asdict
from typing import Any, NoReturn

import click
from rich.markup import escape
from sqlalchemy.orm import Session

from smtp_admin import schema
from smtp_admin.cli.dialogue import Dialogue
from smtp_admin.cli.field_options import WizardCommand
from smtp_admin.cli.group import BadUsage, commands, show_json
from smtp_admin.cli.questions import Questions
from smtp_admin.cli.terminal import console, mark, show_outcome, show_step
from smtp_admin.cli.unsaved_settings import UnsavedSettings
from smtp_admin.cli.which import key_of, known_partner, sender_options
from smtp_admin.cli.wizard_options import Given, WizardOptions
from smtp_admin.connection.answers import as_dict
from smtp_admin.connection.probe import TestResult
from smtp_admin.connection.service import test_connection
from smtp_admin.database import host_engine, session
from smtp_admin.errors import Conflict, InvalidInput
from smtp_admin.host import OPERATOR
from smtp_admin.installation import installation
from smtp_admin.senders.cleaning import clean_key
from smtp_admin.senders.in_commands import options_of
from smtp_admin.senders.pauses import end_pause
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, load_sender
from smtp_admin.senders.values import SenderValues

_HELP = """\
Set up a sender: answer questions, run the connection test, save. It saves only after a successful
test, or if you confirm.

Example: flask smtp-admin wizard --partner acme

With --sender it sets up one of several senders, and adds it if the key is new. A key has 1 to 40 of
these: a-z, 0-9, hyphen.

With --no-input it asks nothing and takes everything from options, for provisioning scripts; what is
saved already need not be given again, and the same settings again change nothing, but end a pause
if they work.

\b
  flask smtp-admin wizard --no-input --preset sendgrid --username apikey \\
      --from-email noreply@acme.example --password-file /run/secrets/sendgrid

There is no option for a secret itself: the shell's history and the list of processes show command
lines to others.

Exit status 0 if saved (or nothing had to be), 1 if not, 2 if something is missing or cannot be
used; no connection was made then."""


@commands.command(help=_HELP, cls=WizardCommand)
@sender_options
@click.option("--label", default=None, help="The sender's name for people.")
@click.option("--preset", default=None, metavar="NAME", help="Host, port and security of a "
              "provider, such as gmail or ses:eu-central-1.")  # fmt: skip
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; "
              "implies --no-input.")  # fmt: skip
@click.option("--no-test", is_flag=True, help="Save without testing.")
@click.option("--no-input", is_flag=True, help="Ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="For a script; implies --no-input.")
def wizard(
    partner_id: str,
    sender_word: str | None,
    label: str | None,
    preset: str | None,
    password_stdin: bool,
    no_test: bool,
    no_input: bool,
    as_json: bool,
    **fields: Any,
) -> None:
    """Set up a sender."""
    # What fails is told here; where no logging is set up, Python would print it a second time.
    logging.getLogger("smtp_admin.connection").addHandler(logging.NullHandler())
    schema.check(host_engine())
    sender = _sender(partner_id, sender_word, as_json)
    sender.refuse_problems()
    session().rollback()  # a person may think for long, and no transaction waits for that
    partner = installation().host.partner(partner_id) if partner_id else None
    unsaved = UnsavedSettings(sender, site_domain=partner.site_domain if partner else "")
    asks = not (no_input or as_json or password_stdin)
    options = WizardOptions(unsaved, as_json=as_json)
    options.take(Given(preset, label, password_stdin, fields))
    options.refuse_problems(complete=not asks)
    if not asks:
        _provision(unsaved, tested=not no_test, as_json=as_json)
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("This is not a terminal, so the wizard cannot ask questions. "
                               "Give the settings as options with --no-input.")  # fmt: skip
    _ask(unsaved, options.names, tested=not no_test)


def _sender(partner_id: str, word: str | None, as_json: bool) -> ResolvedSender:
    """The sender to set up, which need not be there yet."""
    known_partner(partner_id)
    key = key_of(word)
    if key != DEFAULT_KEY:
        try:
            key = clean_key(key)
        except ValueError as error:
            wrong = InvalidInput(fields={"sender": [str(error)]})
            raise BadUsage(wrong, as_json=as_json, options={"sender": "--sender"}) from error
    return load_sender(session(), partner_id, key)


def _ask(unsaved: UnsavedSettings, given: set[str], *, tested: bool) -> None:
    out = console()
    try:
        saved = Dialogue(unsaved, out, Questions(unsaved, out, given), tested=tested).run()
    except (click.Abort, KeyboardInterrupt):
        _leave(out, "\nStopped: nothing was saved.")
    except Conflict as error:
        raise Conflict(error.message, hint="Run the wizard again. It starts with the saved "
                       "settings.") from error  # fmt: skip
    if saved is None:
        _leave(out, "Nothing was saved.")
    out.print(f"[bold green]Saved[/] as revision {saved.revision}. New mail uses these settings as "
              "soon as a worker runs.")  # fmt: skip
    click.echo(f"To see one arrive: flask smtp-admin send-test YOUR@ADDRESS{options_of(saved)}")


def _leave(out: Any, words: str) -> NoReturn:
    out.print(words, markup=False)
    sys.exit(1)


def _provision(unsaved: UnsavedSettings, *, tested: bool, as_json: bool) -> None:
    """Test and save without a question."""
    values = unsaved.values()
    out = console()
    advice = unsaved.advice(values)
    result: TestResult | None = None
    for one in () if as_json else advice:
        field = unsaved.field(one.field)
        label = field.label if field else one.field
        out.print(f"{mark(out, 'warning')} {escape(label)}: {escape(one.message)}")
    if tested:
        result = test_connection(
            session(),
            unsaved.sender.partner_id,
            unsaved.as_request(values),
            OPERATOR,
            key=unsaved.sender.key,
            watch=lambda step: None if as_json else show_step(out, step),
        )
        unsaved.was_tested(result, OPERATOR)
        if not as_json:
            show_outcome(out, result)
    answer: dict[str, Any] = {
        "saved": False,
        "partner_id": unsaved.sender.partner_id,
        "sender": unsaved.sender.key,
        "revision": unsaved.sender.revision,
        "settings": dict(values),
        "advice": [asdict(one) for one in advice],
    }
    if result is not None and not result.ok:
        if as_json:
            show_json(as_dict(result) | answer)
        else:
            _leave(out, "Nothing was saved.")
        sys.exit(1)
    changed = not unsaved.changes_nothing(values)
    resumed = False
    if changed:
        saved = _save(session(), unsaved, values)
        answer |= {"saved": True, "revision": saved.revision}
    elif tested:
        resumed = end_pause(session(), unsaved.sender, OPERATOR)
        session().commit()
    answer["resumed"] = resumed
    if as_json:
        tests = None if result is None else as_dict(result)
        show_json({"ok": True, **answer, "test": tests})
        return
    number = answer["revision"]
    out.print(f"Saved as revision {number}." if changed
              else f"Revision {number} already has these values. Nothing was changed.")  # fmt: skip
    if resumed:
        out.print("The sender was paused. It resumes, because the test succeeded.")


def _save(session_: Session, unsaved: UnsavedSettings, values: SenderValues) -> ResolvedSender:
    saved = unsaved.save(session_, values, OPERATOR)
    session_.commit()
    return saved
