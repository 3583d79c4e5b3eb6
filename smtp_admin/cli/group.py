"""The group itself, where its commands are, and how each fails: a sentence, never a traceback."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from types import MappingProxyType
from typing import IO, Any

import click
from flask.cli import AppGroup, ScriptInfo
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from smtp_admin import schema
from smtp_admin.database import host_engine
from smtp_admin.errors import InvalidInput, SetupError, SMTPAdminError, Unavailable, envelope
from smtp_admin.identifiers import is_storable


class SubGroup(AppGroup):
    """Lists its commands with their whole first sentence, on two lines where one has no room."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write them; Click would cut a sentence off at the end of the line."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        lines = [(name, one.get_short_help_str(_WHOLE)) for name, one in found if one is not None]
        with formatter.section("Commands"):
            formatter.write_dl(lines)


class CommandGroup(SubGroup):
    """Turns the errors of a person or an installation into a message and exit status 1."""

    def group(  # type: ignore[override]  # as in Flask's own group
        self, *args: Any, **kwargs: Any
    ) -> Callable[[Callable[..., Any]], click.Group]:
        """Make the groups inside like this one."""
        kwargs.setdefault("cls", SubGroup)
        return super().group(*args, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note whether the answer is for a script, which then gets its errors as JSON too."""
        ctx.meta[_AS_JSON] = "--json" in args
        for one in args:
            if not is_storable(one):
                raise click.UsageError(f"This is not UTF-8: {ascii(one)[:100]}.", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except SMTPAdminError as error:
            raise Failed(error, as_json=ctx.meta[_AS_JSON]) from error
        except DBAPIError as error:
            with ctx.ensure_object(ScriptInfo).load_app().app_context():
                known = explained(error)
            raise Failed(known, as_json=ctx.meta[_AS_JSON]) from error
        except click.UsageError as error:
            if not ctx.meta[_AS_JSON]:
                raise
            raise BadUsage(_misused(error), as_json=True) from error


_AS_JSON = "smtp_admin.as_json"
#: More than any first sentence has.
_WHOLE = 1000


def explained(error: DBAPIError) -> SMTPAdminError:
    """What a failing database means: most often that the tables are not there yet."""
    try:
        schema.check(host_engine())
    except SetupError as missing:
        return missing
    except SQLAlchemyError:
        pass  # it is away altogether
    return Unavailable(
        f"The database cannot be used ({type(error.orig).__name__}).",
        hint="Check SQLALCHEMY_DATABASE_URI, and that the database runs.",
    )


def _misused(error: click.UsageError) -> SMTPAdminError:
    """What Click says about wrong options or arguments, for a script."""
    path = error.ctx.command_path if error.ctx else "flask smtp-admin"
    return InvalidInput(error.format_message(), hint=f"See `{path} --help`.")


class Failed(click.ClickException):
    """An error as a command tells it.

    Args:
        options: field → the option that people know it by.
    """

    exit_code = 1

    def __init__(
        self,
        error: SMTPAdminError,
        *,
        as_json: bool,
        options: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        fields = getattr(error, "fields", {})
        lines = [
            error.message,
            *(f"  {options.get(name, name)}: {' '.join(texts)}" for name, texts in fields.items()),
            *([error.hint] if error.hint else []),
        ]
        super().__init__("\n".join(lines))
        self._json = envelope(error) if as_json else None

    def show(self, file: IO[Any] | None = None) -> None:
        """Tell the person on standard error, or the script on standard output."""
        if self._json is None:
            super().show(file)
        else:
            show_json(self._json)


class BadUsage(Failed):
    """The options cannot be used; nothing was begun."""

    exit_code = 2


def show_json(value: Any) -> None:
    """*value* for a script."""
    click.echo(json.dumps(value, indent=2, default=_plain))


def _plain(value: Any) -> str:
    """Times as everywhere in our JSON: ``2027-01-01T00:00:00Z``."""
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else str(value)


#: Command → its module here, which adds it to the group when it is imported.
MODULES: Mapping[str, str] = {
    "alerts": "alerts",
    "audit": "audit",
    "batch": "batch",
    "db": "database",
    "deliverability": "deliverability",
    "discover": "discovery",
    "doctor": "doctor",
    "erase": "erase",
    "events": "events",
    "explain": "explain",
    "expiry": "expiry",
    "keys": "keys",
    "mail": "mail",
    "prune": "sending",
    "renewals": "renewals",
    "sandbox": "sandbox",
    "send-many": "send_many",
    "send-test": "sending",
    "senders": "routes",  # one of its commands, beside those in `senders`
    "status": "sending",
    "test-connection": "connection",
    "suppressions": "suppressions",
    "tokens": "tokens",
    "wizard": "wizard",
    "worker": "sending",
}


class _AllCommands(CommandGroup):
    """Imports a command's module when the command is asked for.

    Every process of a host has the group, and most run none of its commands.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all, imported or not."""
        return sorted(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, if there is one."""
        if cmd_name in MODULES:
            import_module(f"smtp_admin.cli.{MODULES[cmd_name]}")
        return super().get_command(ctx, cmd_name)


commands = _AllCommands("smtp-admin", help="Mail settings, sending and workers.")
