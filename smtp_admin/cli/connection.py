"""``test-connection``: the test of the page, in a terminal."""

import sys
from typing import NoReturn

import click
from rich.markup import escape

from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.terminal import console, show_outcome, show_step
from smtp_admin.cli.which import saved_sender, sender_options
from smtp_admin.connection.answers import as_dict, both_as_json
from smtp_admin.connection.from_worker import from_both_places
from smtp_admin.connection.probe import TestResult
from smtp_admin.connection.service import test_connection
from smtp_admin.database import session
from smtp_admin.host import OPERATOR
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.values import texts_of

#: In a terminal somebody waits for a test that begins late and takes as long as one may.
_WORKER_WAITS_SECONDS = 25.0
_BOTH_WORK = 200


@commands.command(
    "test-connection",
    help="Test the saved settings step by step; no mail is sent.\n\n"
    "Example: flask smtp-admin test-connection --partner acme\n\n"
    "Exit status 0 if mail could be sent, else 1; with --from-worker, if it could be sent from "
    "here and from a worker.",
)
@sender_options
@click.option("--from-worker", is_flag=True, help="Test from a worker too, and show both results.")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def test_connection_command(
    partner_id: str, sender_word: str | None, from_worker: bool, as_json: bool
) -> None:
    """Test the saved settings."""
    sender = saved_sender(partner_id, sender_word)
    if from_worker:
        _from_both(sender, as_json)
    result = test_connection(
        session(), partner_id, texts_of(sender.values), OPERATOR, key=sender.key
    )
    if as_json:
        show_json(as_dict(result))
    else:
        show(result)
    sys.exit(0 if result.ok else 1)


def _from_both(sender: ResolvedSender, as_json: bool) -> NoReturn:
    both = from_both_places(
        session(),
        sender.partner_id,
        texts_of(sender.values),
        OPERATOR,
        key=sender.key,
        wait_seconds=_WORKER_WAITS_SECONDS,
    )
    body, status = both_as_json(both, follow=None)
    if as_json:
        show_json(body)
    else:
        out = console()
        for where, result in (("From here", both.web), ("From the worker", both.remote)):
            if result is not None:
                name = f" {both.worker}" if result is both.remote else ""
                out.print(f"[bold]{where}[/]{escape(name)}")
                show(result)
        if both.remote is None:
            out.print(f"[bold]From the worker[/]\n{escape(both.message)} {escape(both.hint)}")
        elif both.differs_at:
            out.print(
                f"[yellow]The results differ at {both.differs_at}.[/] The settings are "
                "the same, so the "
                "machine is the cause."
            )
    sys.exit(0 if status == _BOTH_WORK else 1)


def show(result: TestResult) -> None:
    """The steps, one a line, and what they amount to."""
    out = console()
    for step in result.report.steps:
        show_step(out, step)
    show_outcome(out, result)
