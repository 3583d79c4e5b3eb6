"""``audit``: who did what, in a terminal."""

import click

from smtp_admin.audit.actions import ACTIONS, action_words
from smtp_admin.audit.models import Audit
from smtp_admin.audit.queries import as_json, entries
from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.which import known_partner
from smtp_admin.database import SYSTEM, session


@commands.command(
    "audit",
    help="List who did what, the newest first; tests with how they ended.\n\n"
    "Example: flask smtp-admin audit --partner acme --action connection.tested",
)
@click.option("--partner", "partner_id", default=None, help="Only what concerns this partner.")
@click.option(
    "--action", default=None, type=click.Choice(sorted(ACTIONS)), metavar="NAME",
    help="Only this, by the name that --json shows.",
)  # fmt: skip
@click.option("--search", "words", default="", help="A part of who it was, or of the details.")
@click.option("--limit", default=50, type=click.IntRange(1, 10_000), help="How many. Default: 50.")
@click.option("--json", "as_json_", is_flag=True, help="For a script.")
def audit(
    partner_id: str | None, action: str | None, words: str, limit: int, as_json_: bool
) -> None:
    """List."""
    known_partner(partner_id)
    scope = None if partner_id is None else {partner_id}
    newest = entries(scope, action=action or "", words=words).order_by(Audit.id.desc()).limit(limit)
    found = session().scalars(newest).all()
    if as_json_:
        show_json([as_json(one) for one in found])
        return
    if not found:
        click.echo("No entries.")
    for one in found:
        click.echo(_line(one))


def _line(one: Audit) -> str:
    owner = one.partner_id if one.partner_id != SYSTEM else "system"
    words = (f"{one.at:%Y-%m-%d %H:%M:%S}", owner, one.actor_email or one.actor_id,
             action_words(one.action), one.detail)  # fmt: skip
    return "  ".join(word for word in words if word)
