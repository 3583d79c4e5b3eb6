"""``erase``: show, export or erase everything about one address."""

import sys
from pathlib import Path

import click

from smtp_admin.audit.service import record
from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.which import known_partner
from smtp_admin.database import SYSTEM, beside_workers, session
from smtp_admin.erasure.erasing import Erased
from smtp_admin.erasure.exporting import write_zip
from smtp_admin.erasure.finding import Search, find
from smtp_admin.erasure.working import erase
from smtp_admin.host import OPERATOR
from smtp_admin.mail.addresses import address_of
from smtp_admin.suppression.reading import address_hash


@commands.command(
    "erase",
    help="Show where an address is stored; with --export or --yes write it to a file or erase it."
    "\n\nExample: flask smtp-admin erase mia@example.com --yes\n\n"
    "Without --partner it covers everyone's mail.",
)
@click.argument("address")
@click.option("--partner", "partner_id", default=None, help="Only mail of this partner.")
@click.option("--texts", is_flag=True, help="Also look through the texts of mail to others.")
@click.option(
    "--export", "file", type=click.Path(dir_okay=False, path_type=Path), default=None,
    help="Write a ZIP file with the records and the mails.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Erase it. This cannot be undone.")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def erase_(
    address: str, partner_id: str | None, texts: bool, file: Path | None, yes: bool, as_json: bool
) -> None:
    """Show, export, erase."""
    known_partner(partner_id)
    wanted = address_of(address)[1].lower()
    search = Search(wanted, None if partner_id is None else [partner_id], texts)
    found = find(session(), search)
    labels = {one.place.key: str(one.place.label) for one in found}
    shown = {"ok": True, "address": wanted, "found": {one.place.key: one.count for one in found}}
    if file is not None:
        with file.open("wb") as written:
            write_zip(session(), search, written)
        detail = f"records of {address_hash(wanted)}"
        record(session(), OPERATOR, partner_id or SYSTEM, "address.exported", detail)
        session().commit()
        shown["file"] = str(file)
    if yes:
        session().rollback()
        done = _erase_now(search, sum(one.count for one in found))
        shown |= {"erased": done.counts, "under_way": done.under_way, "needed": done.needed,
                  "complete": done.complete}  # fmt: skip
    if as_json:
        show_json(shown)
        return
    if not found:
        click.echo("Nothing is stored about this address.")
    for one in found:
        note = "" if one.can_be_erased else " (only a hash of the address)"
        if one.without_text:
            note = f" (and {one.without_text} of which only the subject is left)"
        click.echo(f"{labels[one.place.key]}: {one.count - one.without_text}{note}")
    if file is not None:
        click.echo(f"Written: {file}")
    if yes:
        click.echo(f"Erased: {done.count} records.")
        if done.under_way:
            click.echo(f"Being sent right now: {done.under_way}.")
        if done.needed:
            click.echo(f"Texts that other recipients still wait for: {done.needed}.")
        if not done.complete:
            click.echo("A worker erases the rest as soon as it can.")
    elif found and not any(one.can_be_erased for one in found):
        click.echo("Nothing is left to erase: the hash keeps others from writing to it.")
    elif found and file is None:
        click.echo("Nothing was changed. Erase it with --yes.")


def _erase_now(search: Search, total: int) -> Erased:
    with beside_workers() as engine:
        if not sys.stderr.isatty():  # a bar says nothing in a log, and a script would mail it
            return erase(engine, OPERATOR, search)
        with click.progressbar(length=total, label="Records", file=sys.stderr) as bar:
            return erase(
                engine, OPERATOR, search, tell=lambda done: bar.update(done.count - bar.pos)
            )
