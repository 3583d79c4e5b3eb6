"""The group itself, and how every command fails: a sentence, never a traceback."""

import json
from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError

from smtp_admin.errors import NotFound, SMTPAdminError
from smtp_admin.installation import installation


class CommandGroup(AppGroup):
    """Turns the errors of a person or an installation into a message and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except SMTPAdminError as error:
            raise _Failed(error.message, error.hint, getattr(error, "fields", {})) from error
        except DBAPIError as error:
            raise _Failed(
                f"The database cannot be used ({type(error.orig).__name__}).",
                "Check SQLALCHEMY_DATABASE_URI, and run `flask smtp-admin db upgrade`.",
                {},
            ) from error


class _Failed(click.ClickException):
    exit_code = 1

    def __init__(self, message: str, hint: str, fields: Any) -> None:
        lines = [message, *(f"  {name}: {' '.join(texts)}" for name, texts in fields.items())]
        if hint:
            lines.append(hint)
        super().__init__("\n".join(lines))


def known_partner(partner_id: str | None) -> None:
    """Return if there is such a partner: a mistyped one would look like one without mail.

    Raises:
        NotFound: there is none.
    """
    if partner_id and installation().host.partner(partner_id) is None:
        raise NotFound(f"There is no partner {partner_id[:100]!r}.")


def show_json(value: Any) -> None:
    """*value* for a script."""
    click.echo(json.dumps(value, indent=2, default=str))


commands = CommandGroup("smtp-admin", help="Mail settings, sending and workers.")

# The modules add their commands to the group when they are imported.
from smtp_admin.cli import connection, database, keys, mail, sending  # noqa: E402, F401
