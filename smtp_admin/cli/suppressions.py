"""``suppressions list|add|remove|import|export|sync``: addresses that get less mail, and why."""

import csv
import sys
from pathlib import Path

import click
from sqlalchemy import select

from smtp_admin.api.suppressions import as_json, lifted_words
from smtp_admin.audit.service import record_change
from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.which import key_of, known_partner, whose, word_of
from smtp_admin.csv_cells import safe_cell
from smtp_admin.database import SYSTEM, session
from smtp_admin.database_errors import begin_again
from smtp_admin.delivery.provider_suppressions import (
    COMMAND_SECONDS,
    account_to_read,
    take_over,
)
from smtp_admin.delivery.suppressions import lift_rows, suppress, suppress_all
from smtp_admin.errors import InvalidInput, NotFound, RequestError
from smtp_admin.host import OPERATOR
from smtp_admin.mail.addresses import address_of
from smtp_admin.mail.bad_lines import BadLines, numbers_of
from smtp_admin.mail.suppression_file import read_suppressions
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.provider_lists.removing import remove_at_providers
from smtp_admin.suppression.provider_lists.table import accounts_of
from smtp_admin.suppression.reading import address_hash, suppressions_of
from smtp_admin.suppression.reasons import ALL, REASONS
from smtp_admin.suppression.writing import clean_category

_STEP = 1000
_OF_PARTNER = click.option(
    "--partner", "partner_id", default=SYSTEM, help="Whose mail; the system's if left out."
)
_AS_JSON = click.option("--json", "as_json_", is_flag=True, help="For a script.")
_BY = "flask smtp-admin"


@commands.group("suppressions", help="Addresses that get no mail, or no notices, and why.")
def suppressions() -> None:
    """Suppressions."""


@suppressions.command(
    "list", help="List suppressed addresses.\n\nExample: flask smtp-admin suppressions list"
)
@_OF_PARTNER
@click.option("--address", default="", help="Only this address.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@_AS_JSON
def list_(partner_id: str, address: str, limit: int, as_json_: bool) -> None:
    """List."""
    known_partner(partner_id)
    wanted = select(Suppression).where(Suppression.partner_id == partner_id)
    if address:
        wanted = wanted.where(Suppression.address_hash == address_hash(address_of(address)[1]))
    rows = session().scalars(wanted.order_by(Suppression.id.desc()).limit(limit)).all()
    if as_json_:
        show_json([as_json(one) for one in rows])
        return
    if not rows:
        click.echo(f"No address is suppressed for {whose(partner_id)}.")
    for one in rows:
        click.echo(
            f"{one.address or one.address_hash}  {one.category}  {one.reason}  "
            f"since {one.created_at:%Y-%m-%d}  {one.detail}".rstrip()
        )


@suppressions.command(
    help="Stop sending mail to an address.\n\n"
    "Example: flask smtp-admin suppressions add mia@example.com --partner acme"
)
@click.argument("address")
@_OF_PARTNER
@click.option(
    "--category", default=ALL, show_default=True, help="all, notices, or the name of one type."
)
@click.option("--note", default="", help="Why, for the list.")
@_AS_JSON
def add(address: str, partner_id: str, category: str, note: str, as_json_: bool) -> None:
    """Add."""
    known_partner(partner_id)
    found, wanted = address_of(address)[1], clean_category(category)
    done = suppress(session(), partner_id, found, "manual", category=wanted, detail=note, by=_BY)
    if done.new:
        detail = f"{found}: {wanted}"
        record_change(session(), OPERATOR, partner_id, "suppression.added", detail)
    session().commit()
    if as_json_:
        show_json({"ok": True, "address": found, "new": done.new, "kept_back": done.kept_back})
        return
    click.echo(f"Suppressed: {found}." if done.new else f"{found} was suppressed before.")
    if done.kept_back:
        click.echo(f"Waiting mail that was kept back: {done.kept_back}.")


@suppressions.command(
    help="Let an address have its mail again.\n\n"
    "Example: flask smtp-admin suppressions remove mia@example.com --partner acme"
)
@click.argument("address")
@_OF_PARTNER
@click.option("--category", default="", help="Only this category.")
@click.option("--reason", type=click.Choice([*REASONS]), help="Only what came for this reason.")
@_AS_JSON
def remove(
    address: str, partner_id: str, category: str, reason: str | None, as_json_: bool
) -> None:
    """Remove."""
    known_partner(partner_id)
    found = address_of(address)[1]
    categories = [clean_category(category)] if category else []
    rows = suppressions_of(
        session(), partner_id, found, categories=categories, reasons=[reason] if reason else []
    )
    lifting = lift_rows(session(), partner_id, rows, found, asks_now=True)
    if not lifting.count:
        raise NotFound(f"{found} is not suppressed for {whose(partner_id)}.")
    left = [
        f"{one.category} ({one.reason})" for one in suppressions_of(session(), partner_id, found)
    ]
    detail = lifted_words(found, category, reason or "")
    record_change(session(), OPERATOR, partner_id, "suppression.removed", detail)
    session().commit()
    done = remove_at_providers(session(), partner_id, lifting)
    if as_json_:
        providers = [one.as_json() for one in done]
        told = {"ok": True, "address": found, "count": lifting.count, "left": len(left)}
        show_json({**told, "providers": providers})
        return
    if left:
        click.echo(f"Removed. {found} is still on the list: {', '.join(left)}.")
    else:
        click.echo(f"{found} gets mail again.")
    for one in done:
        click.echo(one.message)


@suppressions.command(
    "import",
    help="Import a CSV file of addresses: all of it, or nothing.\n\n"
    "One address in each line, or columns address, category, reason, detail (or note).\n\n"
    "Example: flask smtp-admin suppressions import bounced.csv --partner acme",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_OF_PARTNER
@click.option("--category", default=ALL, show_default=True, help="Of lines that name none.")
@click.option("--skip-bad-lines", is_flag=True, help="Import the others.")
@_AS_JSON
def import_(
    file: Path, partner_id: str, category: str, skip_bad_lines: bool, as_json_: bool
) -> None:
    """Import."""
    known_partner(partner_id)
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file.name} is not text in UTF-8.") from error
    wanted = clean_category(category)
    skipped: frozenset[int] = frozenset()
    try:
        given = read_suppressions(text, partner_id, category=wanted, by=_BY)
    except BadLines as bad:
        skipped = numbers_of(bad.skip)
        if not skip_bad_lines or not skipped:
            raise
        given = read_suppressions(text, partner_id, category=wanted, by=_BY, skip=skipped)
    rows = given.rows

    def write() -> int:
        new = suppress_all(session(), partner_id, rows)
        detail = f"{new} new of {len(rows)}"
        record_change(session(), OPERATOR, partner_id, "suppression.imported", detail)
        session().commit()
        return new

    new = begin_again(write, session().rollback)
    if as_json_:
        ignored = list(given.ignored)
        found = {"rows": len(rows), "new": new, "skipped_lines": sorted(skipped)}
        show_json({"ok": True, **found, "ignored_columns": ignored})
        return
    click.echo(f"Addresses: {len(rows)}, of which new: {new}.")
    if skipped:
        click.echo(f"Lines skipped: {', '.join(map(str, sorted(skipped)))}.")
    if given.ignored:
        click.echo(f"Columns not used: {', '.join(given.ignored)}.")


@suppressions.command(
    help="Write all suppressed addresses as CSV, which can be imported again.\n\n"
    "Example: flask smtp-admin suppressions export --partner acme"
)
@_OF_PARTNER
def export(partner_id: str) -> None:
    """Export."""
    known_partner(partner_id)
    written = csv.writer(sys.stdout)
    written.writerow(("address", "category", "reason", "detail", "at", "by"))
    before = 0
    while True:
        wanted = select(Suppression).where(
            Suppression.partner_id == partner_id, Suppression.address != ""
        )
        if before:
            wanted = wanted.where(Suppression.id < before)
        rows = session().scalars(wanted.order_by(Suppression.id.desc()).limit(_STEP)).all()
        for one in rows:
            cells = (one.address, one.category, one.reason, one.detail,
                     one.created_at.isoformat(), one.created_by)  # fmt: skip
            written.writerow([safe_cell(cell) for cell in cells])
        if len(rows) < _STEP:
            return
        before = rows[-1].id


@suppressions.command(
    help="Suppress what the providers of a partner's senders suppress.\n\n"
    "Example: flask smtp-admin suppressions sync --partner acme"
)
@_OF_PARTNER
@click.option("--sender", "sender_word", default=None, metavar="KEY", help="Only of this sender.")
@_AS_JSON
def sync(partner_id: str, sender_word: str | None, as_json_: bool) -> None:
    """Import from providers."""
    known_partner(partner_id)
    if sender_word is None:
        chosen = accounts_of(session(), partner_id)
    else:
        chosen = [account_to_read(session(), partner_id, key_of(sender_word))]
    done: list[dict[str, object]] = []
    for one in chosen:
        provider, key = one.account.provider, word_of(one.sender.key)
        try:
            taken = take_over(session(), partner_id, one, OPERATOR, seconds=COMMAND_SECONDS)
        except RequestError as error:
            session().rollback()
            why = f"{error.message} {error.hint}".rstrip()
            done.append({"sender": key, "provider": provider, "trouble": why})
        else:
            done.append(taken.as_json())
    trouble = any(one["trouble"] for one in done)
    if as_json_:
        show_json({"ok": not trouble, "senders": done})
    elif not done:
        click.echo("No sender has a suppression list at its provider that can be read.")
    else:
        for found in done:
            words = [f"{found['provider']} ({found['sender']}):"]
            if "rows" in found:
                words.append(f"addresses: {found['rows']}, of which new: {found['new']}.")
            click.echo(" ".join([*words, str(found["trouble"] or "")]).rstrip())
    sys.exit(1 if trouble else 0)
