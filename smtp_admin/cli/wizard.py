"""``wizard``: settings by questions and answers, or by options for provisioning scripts."""

import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.markup import escape
from sqlalchemy.orm import Session

from smtp_admin import schema
from smtp_admin.cli.dialogue import Dialogue
from smtp_admin.cli.group import OPERATOR, commands, known_partner, show_json
from smtp_admin.cli.questions import Questions
from smtp_admin.cli.terminal import console, mark, show_outcome, show_step
from smtp_admin.cli.unsaved_settings import UnsavedSettings
from smtp_admin.cli.wizard_options import WizardOptions
from smtp_admin.connection.answers import as_dict
from smtp_admin.connection.probe import TestResult
from smtp_admin.connection.service import test_connection
from smtp_admin.database import SYSTEM, host_engine, session
from smtp_admin.errors import Conflict
from smtp_admin.installation import installation
from smtp_admin.senders.pauses import end_pause
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.session import SECURITIES

_HELP = """\
Set up a sender: questions and answers, then the connection test, then saving. Nothing is saved
unless the test succeeded, or you insist.

Example: flask smtp-admin wizard --partner acme

With --no-input it asks nothing and takes everything from options, for provisioning scripts; what is
saved already need not be given again, and the same settings again change nothing, but end a pause
if they work.

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
              help="tls is STARTTLS, ssl is encrypted from the first byte. tls if not given; ssl "
              "with --port 465.")  # fmt: skip
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
    unsaved = UnsavedSettings(sender, site_domain=partner.site_domain if partner else "")
    asks = not (no_input or as_json or password_stdin)
    options_given = WizardOptions(unsaved, as_json=as_json)
    options_given.take(preset, options)
    options_given.read_password(password_file, from_stdin=password_stdin)
    options_given.refuse_problems(complete=not asks)
    if not asks:
        _provision(unsaved, tested=not no_test, as_json=as_json)
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("This is not a terminal, so nothing can be asked. Give the "
                               "settings as options, with --no-input.")  # fmt: skip
    _ask(unsaved, options_given.names, tested=not no_test)


def _ask(unsaved: UnsavedSettings, given: set[str], *, tested: bool) -> None:
    out = console()
    try:
        saved = Dialogue(unsaved, out, Questions(unsaved, out, given), tested=tested).run()
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
    click.echo(f"To see one arrive: flask smtp-admin send-test YOUR@ADDRESS{option}")


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
        out.print(f"{mark(out, 'warning')} {one.field}: {escape(one.message)}")
    if tested:
        result = test_connection(
            session(),
            unsaved.sender.partner_id,
            unsaved.as_request(values),
            OPERATOR,
            watch=lambda step: None if as_json else show_step(out, step),
        )
        if not as_json:
            show_outcome(out, result)
    answer: dict[str, Any] = {
        "saved": False,
        "partner_id": unsaved.sender.partner_id,
        "revision": unsaved.sender.revision,
        "settings": asdict(values),
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
              else f"Revision {number} says the same already; nothing was changed.")  # fmt: skip
    if resumed:
        out.print("The sender was paused, and goes on now that the test succeeded.")


def _save(session_: Session, unsaved: UnsavedSettings, values: SenderValues) -> ResolvedSender:
    saved = unsaved.save(session_, values, OPERATOR)
    session_.commit()
    return saved
