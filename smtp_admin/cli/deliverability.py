"""``deliverability``: what DNS says about a sender, in a terminal."""

import sys

import click
from rich.markup import escape

from smtp_admin.cli.discovery import MARKS
from smtp_admin.cli.group import commands, saved_sender, show_json
from smtp_admin.cli.terminal import console
from smtp_admin.database import SYSTEM
from smtp_admin.deliverability.service import check_dns


@commands.command(
    help="Check SPF, DKIM, DMARC and MX of the From address's domain, and print the records to "
    "publish.\n\nExample: flask smtp-admin deliverability --partner acme\n\n"
    "Exit status 0 if nothing is missing or wrong, else 1."
)
@click.option("--partner", "partner_id", default=SYSTEM, help="The partner's id; the system's "
              "sender without it.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def deliverability(partner_id: str, as_json: bool) -> None:
    """Check DNS."""
    found = check_dns(saved_sender(partner_id))
    fine = found.status in {"ok", "unknown"}
    if as_json:
        show_json({"ok": fine, **found.as_json()})
    else:
        out = console()
        for one in found.checks:
            out.print(f"{MARKS[one.status]} {one.subject:<10}{escape(one.message)}")
            if one.hint:
                out.print(f"    {escape(one.hint)}")
        for record in found.records:
            out.print(f"[bold]{escape(record.name)}[/] {record.type}", soft_wrap=True)
            out.print(f"    {escape(record.value or record.note)}", soft_wrap=True)
        out.print(f"[dim]DNS was asked at {found.checked_at:%Y-%m-%d %H:%M:%S} UTC.[/]")
    sys.exit(0 if fine else 1)
