"""``db upgrade|downgrade|current|check``."""

import click

from smtp_admin import schema
from smtp_admin.cli.group import commands
from smtp_admin.database import host_engine
from smtp_admin.sandbox import site


@commands.group("db", help="Create, update and check the plugin's tables.")
def db() -> None:
    """Our tables."""


@db.command(help="Create or update the tables.\n\nExample: flask smtp-admin db upgrade")
def upgrade() -> None:
    """Create or update the tables."""
    schema.upgrade(host_engine())
    click.echo(f"The tables are at {schema.head()}.")
    if site.record_start(host_engine()):
        home = site.own_address()
        click.echo(f"The database belongs to {home}; a copy at another address sends nothing.")


@db.command(help="Go back to REVISION.\n\nExample: flask smtp-admin db downgrade base --yes")
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask.")
def downgrade(revision: str, yes: bool) -> None:
    """Go back."""
    if not yes:
        click.confirm("The data in newer tables and columns will be lost. Continue?", abort=True)
    schema.downgrade(host_engine(), revision)
    click.echo(f"The tables are at {schema.current(host_engine()) or 'nothing'}.")


@db.command(help="Show the revision of the tables.\n\nExample: flask smtp-admin db current")
def current() -> None:
    """Show the revision."""
    click.echo(schema.current(host_engine()) or "none")


@db.command(
    help="Exit with status 0 if the tables are up to date, else with 1.\n\n"
    "Example: flask smtp-admin db check"
)
def check() -> None:
    """Compare."""
    schema.check(host_engine())
    click.echo(f"The tables are at {schema.head()}, the newest revision.")
