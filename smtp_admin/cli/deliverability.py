"""``deliverability``: what DNS says about a sender, in a terminal."""

import sys

import click
from rich.markup import escape

from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.terminal import console, show_finding
from smtp_admin.cli.which import saved_sender, sender_options
from smtp_admin.deliverability.service import check_dns


@commands.command(
    help="Check SPF, DKIM, DMARC and MX of the From address's domain, and print the records to "
    "publish.\n\nExample: flask smtp-admin deliverability --partner acme\n\n"
    "Exit status 0 if nothing is missing or wrong, else 1."
)
@sender_options
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def deliverability(partner_id: str, sender_word: str | None, as_json: bool) -> None:
    """Check DNS."""
    found = check_dns(saved_sender(partner_id, sender_word))
    fine = found.status in {"ok", "unknown"}
    if as_json:
        show_json({"ok": fine, **found.as_json()})
    else:
        out = console()
        for one in found.checks:
            show_finding(out, one.status, one.subject, one.message, one.hint)
        for record in found.records:
            out.print(f"[bold]{escape(record.name)}[/] {record.type}", soft_wrap=True)
            out.print(f"    {escape(record.value or record.note)}", soft_wrap=True)
        out.print(f"[dim]DNS was asked at {found.checked_at:%Y-%m-%d %H:%M:%S} UTC.[/]")
    sys.exit(0 if fine else 1)
