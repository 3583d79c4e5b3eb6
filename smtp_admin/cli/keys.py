"""``keys generate``: a key for ``SMTP_ADMIN_SECRET_KEYS``."""

import click

from smtp_admin.cli.main import commands
from smtp_admin.encryption import generate_key


@commands.group("keys", help="The keys that encrypt stored passwords.")
def keys() -> None:
    """The keys."""


@keys.command(
    help="Print a new random key.\n\nExample: flask smtp-admin keys generate\n\n"
    "Put it first into SMTP_ADMIN_SECRET_KEYS and keep the old ones behind it."
)
def generate() -> None:
    """Print a key."""
    click.echo(generate_key())
