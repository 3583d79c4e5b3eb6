"""``discover``: settings for an address, in a terminal."""

import sys

import click
from rich.markup import escape

from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.terminal import console, show_finding
from smtp_admin.discovery.service import find_settings
from smtp_admin.errors import InvalidInput


@commands.command(
    help="Find the settings for mail from ADDRESS: known providers, DNS, then the usual ports. It "
    "does not log in, send or save anything.\n\n"
    "Example: flask smtp-admin discover mia@acme.example\n\n"
    "Exit status 0 if something can be recommended, else 1."
)
@click.argument("address")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def discover(address: str, as_json: bool) -> None:
    """Find settings."""
    try:
        found = find_settings(address)
    except ValueError as error:
        raise InvalidInput(fields={"address": [str(error)]}) from error
    if as_json:
        show_json({"ok": found.best is not None, **found.as_json()})
    else:
        out = console()
        for one in found.findings:
            words = f"{one.subject}: {one.detail}"
            show_finding(out, one.status, one.where, words, one.hint)
        out.print(f"[bold]{escape(found.summary)}[/]")
    sys.exit(0 if found.best is not None else 1)
