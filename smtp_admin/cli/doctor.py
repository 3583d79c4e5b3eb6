"""``doctor``: what is wrong with this installation, if anything."""

import logging
import sys

import click
from rich.markup import escape
from rich.table import Table

from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.terminal import console, mark
from smtp_admin.monitor.health import Health, examine
from smtp_admin.monitor.parts import PARTS


@commands.command(
    help="Check every part of this installation: database, tables, Redis, workers, waiting mail, "
    "keys, senders, clocks. It changes nothing, connects to no mail server, and ends after some "
    "seconds.\n\nExample: flask smtp-admin doctor --json\n\n"
    "Exit status 0 if all is well, 1 if something failed; with --strict also 1 for a warning."
)
@click.option("--strict", is_flag=True, help="Warnings count as failures.")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def doctor(strict: bool, as_json: bool) -> None:
    """Look at everything."""
    # What fails is told here; where no logging is set up, Python would print it with a traceback.
    for name in ("smtp_admin", "sqlalchemy"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    health = examine(PARTS)
    well = health.status == "ok" or (health.status == "warning" and not strict)
    if as_json:
        show_json({"ok": well, **health.as_json()})
    else:
        _show(health)
    sys.exit(0 if well else 1)


def _show(health: Health) -> None:
    out = console()
    here = ", ".join(f"{name} {version}" for name, version in health.versions.items())
    out.print(f"[dim]{health.checked_at:%Y-%m-%d %H:%M:%S} UTC, {escape(here)}[/]")
    table = Table.grid(padding=(0, 1))
    for one in health.checks:
        subject = f"{one.subject}: " if one.subject else ""
        table.add_row(mark(out, one.status), one.name, escape(subject + one.message))
        if one.hint and one.status != "ok":
            table.add_row("", "", f"[dim]→[/] {escape(one.hint)}")
    out.print(table)
    failed, warnings = health.count("failed"), health.count("warning")
    if failed or warnings:
        words = f"{failed} failed, {warnings} warning{'' if warnings == 1 else 's'}."
        out.print(f"[bold {'red' if failed else 'yellow'}]{words}[/]")
    else:
        out.print("[bold green]All is well.[/]")
