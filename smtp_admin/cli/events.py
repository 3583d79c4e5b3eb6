"""``events ingest``: take in mail that came back, from a mail server's pipe or a file."""

import sys

import click
from sqlalchemy.exc import DBAPIError

from smtp_admin.cli.group import Failed, commands, explained, show_json
from smtp_admin.cli.which import known_partner, whose
from smtp_admin.database import SYSTEM, session
from smtp_admin.errors import Unavailable
from smtp_admin.events.bounces.ingesting import call_for_events, take_in
from smtp_admin.events.bounces.mbox import mails_in
from smtp_admin.sandbox import site


@commands.group("events", help="What became of mail after it was sent.")
def events() -> None:
    """Events."""


class _TryLater(Failed):
    """What a mail server keeps for another try (EX_TEMPFAIL); with 1 it would send it back."""

    exit_code = 75


@events.command(
    help="Take in bounces from standard input: one mail, or a file of many (mbox).\n\n"
    "Example: flask smtp-admin events ingest --partner acme\n\n"
    "Exit status 75 asks a mail server to try again later."
)
@click.option("--partner", "partner_id", default=SYSTEM, help="Whose mail came back there.")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def ingest(partner_id: str, as_json: bool) -> None:
    """Read, keep."""
    mails = kept = 0
    why: dict[str, int] = {}
    try:
        known_partner(partner_id)
        site.require(session())
        for content in mails_in(sys.stdin.buffer):
            taken = take_in(session(), partner_id, content)
            session().commit()
            mails += 1
            kept += taken.events
            if taken.why:
                why[taken.why] = why.get(taken.why, 0) + 1
    except Unavailable as error:
        raise _TryLater(error, as_json=as_json) from error
    except DBAPIError as error:
        raise _TryLater(explained(error), as_json=as_json) from error
    if kept:
        call_for_events()
    if as_json:
        show_json({"ok": True, "mails": mails, "events": kept, "without": why})
        return
    click.echo(f"Mails read: {mails}. Events kept for {whose(partner_id)}: {kept}.")
    for sentence, count in sorted(why.items()):
        click.echo(f"  {count}: {sentence}")
