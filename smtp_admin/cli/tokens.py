"""``tokens create|list|revoke``: tokens of the API."""

from datetime import datetime

import click
from sqlalchemy import select

from smtp_admin.api import tokens as service
from smtp_admin.api.models import ApiToken
from smtp_admin.api.scopes import SCOPES
from smtp_admin.api.tokens import LIFETIMES
from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.which import known_partner, whose
from smtp_admin.database import SYSTEM, database_now, session
from smtp_admin.host import OPERATOR


@commands.group("tokens", help="Create, list and revoke tokens of the API.")
def tokens() -> None:
    """Tokens."""


@tokens.command(
    help="Create a token and print it. It is shown only this once.\n\n"
    "Example: flask smtp-admin tokens create CRM --partner acme --scope send --scope read\n\n"
    "Without --partner it is for the system and every partner."
)
@click.argument("name")
@click.option("--partner", "partner_id", default=SYSTEM, help="Only for this partner.")
@click.option(
    "--scope", "scopes", type=click.Choice(list(SCOPES)), multiple=True,
    help="What it may do; give it several times.",
)  # fmt: skip
@click.option(
    "--expires", "lifetime", type=click.Choice(list(LIFETIMES)), default="90d", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def create(
    name: str, partner_id: str, scopes: tuple[str, ...], lifetime: str, as_json: bool
) -> None:
    """Create."""
    if not scopes:
        raise click.UsageError(f"Say what it may do: --scope with one of {', '.join(SCOPES)}.")
    known_partner(partner_id)
    made = service.create_token(
        session(), OPERATOR, partner_id, name=name, scopes=scopes, lifetime=lifetime
    )
    session().commit()
    if as_json:
        shown = service.as_json(made.row, database_now(session()))
        show_json({"ok": True, "token": made.text, **shown})
        return
    click.echo(made.text)
    ends = f"until {made.row.expires_at:%Y-%m-%d}" if made.row.expires_at else "without end"
    click.echo(f"Token {made.row.public_id} of {_owner(partner_id)}, {ends}. "
               "Copy it now: it is not shown again.", err=True)  # fmt: skip


@tokens.command(
    "list",
    help="List tokens: their ids, and what they may do. Never the tokens themselves.\n\n"
    "Example: flask smtp-admin tokens list --partner acme",
)
@click.option("--partner", "partner_id", default=None, help="Only tokens of this partner.")
@click.option("--all", "all_", is_flag=True, help="Also those that expired or were revoked.")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def list_(partner_id: str | None, all_: bool, as_json: bool) -> None:
    """List."""
    known_partner(partner_id)
    moment = database_now(session())
    wanted = select(ApiToken).order_by(ApiToken.id)
    if partner_id is not None:
        wanted = wanted.where(ApiToken.partner_id == partner_id)
    if not all_:
        wanted = wanted.where(service.is_live(moment))
    found = session().scalars(wanted).all()
    if as_json:
        show_json([service.as_json(one, moment) for one in found])
        return
    if not found:
        click.echo("No tokens.")
    for one in found:
        click.echo(_line(one, moment))


@tokens.command(
    help="Revoke a token. It stops working at once.\n\nExample: flask smtp-admin tokens revoke ID"
)
@click.argument("public_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def revoke(public_id: str, as_json: bool) -> None:
    """Revoke."""
    row = service.find_token(session(), public_id)
    name = row.name
    service.revoke_token(session(), OPERATOR, row)
    session().commit()
    if as_json:
        show_json({"ok": True, "id": public_id})
    else:
        click.echo(f"Revoked: {name}.")


def _owner(partner_id: str) -> str:
    return whose(partner_id) if partner_id else "the system and every partner"


def _line(one: ApiToken, moment: datetime) -> str:
    """The id whole and first, so that it can be cut out and passed on."""
    used = f"used {one.last_used_at:%Y-%m-%d %H:%M} UTC" if one.last_used_at else "never used"
    ends = f"until {one.expires_at:%Y-%m-%d}" if one.expires_at else "without end"
    words = (one.public_id, service.state_of(one, moment), one.partner_id or "system",
             one.scopes.replace(" ", ","), ends, used, one.name)  # fmt: skip
    return "  ".join(words)
