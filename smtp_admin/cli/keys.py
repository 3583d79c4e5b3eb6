"""``keys generate|check|rotate``: the keys of ``SMTP_ADMIN_SECRET_KEYS``."""

import sys
from collections.abc import Callable
from dataclasses import asdict

import click
from sqlalchemy.orm import Session

from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.which import whose, word_of
from smtp_admin.database import session
from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.installation import installation
from smtp_admin.monitor.stored_secrets import check_all, rotate_all
from smtp_admin.senders.keys import PLACE_WORDS, KeyReport, Unreadable, count_passwords


@commands.group("keys", help="The keys that encrypt stored secrets, such as passwords.")
def keys() -> None:
    """The keys."""


@keys.command(
    help="Print a new random key.\n\nExample: flask smtp-admin keys generate\n\n"
    "Put it first into SMTP_ADMIN_SECRET_KEYS and keep the old ones after it."
)
def generate() -> None:
    """Print a key."""
    click.echo(generate_key())


@keys.command(
    help="Decrypt every stored secret, and list those that fail.\n\n"
    "Example: flask smtp-admin keys check\n\nExit status 0 if all succeed, else 1."
)
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def check(as_json: bool) -> None:
    """Check."""
    _answer(_with_progress(check_all), as_json)


@keys.command(
    help="Encrypt every stored secret with the first key. Then the old keys can be removed.\n\n"
    "Example: flask smtp-admin keys rotate\n\nYou can stop it and run it again. Workers can keep "
    "sending. Exit status 0 if every secret has the first key, else 1."
)
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def rotate(as_json: bool) -> None:
    """Rotate."""
    _answer(_with_progress(rotate_all), as_json)


def _with_progress(
    act: Callable[[Session, Keyring, Callable[[int], None]], KeyReport],
) -> KeyReport:
    total = count_passwords(session())
    if not sys.stderr.isatty():  # a bar says nothing in a log, and a script would mail it
        return act(session(), installation().keyring, lambda _done: None)
    with click.progressbar(length=total, label="Secrets", file=sys.stderr) as bar:
        return act(session(), installation().keyring, bar.update)


def _answer(report: KeyReport, as_json: bool) -> None:
    if as_json:
        show_json({"ok": not report.unreadable, **asdict(report)})
    else:
        secrets = "1 stored secret" if report.total == 1 else f"{report.total} stored secrets"
        click.echo(
            f"{secrets}: {report.newest} with the first key, {report.older} with an older one."
        )
        for one in report.unreadable:
            click.echo(f"  {whose(one.partner_id)}, sender {word_of(one.key)}, {_where(one)}: "
                       f"{one.reason}", err=True)  # fmt: skip
    sys.exit(1 if report.unreadable else 0)


def _where(one: Unreadable) -> str:
    if one.place != "settings":
        return PLACE_WORDS[one.place]
    return f"revision {one.revision} ({'in use' if one.current else 'an old revision'})"
