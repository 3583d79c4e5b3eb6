"""``sandbox status|release|drop``."""

from typing import Any

import click

from smtp_admin.audit.service import record
from smtp_admin.cli.group import commands, show_json
from smtp_admin.config import public_url
from smtp_admin.database import SYSTEM, beside_workers, session
from smtp_admin.delivery import held_actions
from smtp_admin.errors import InvalidInput
from smtp_admin.host import OPERATOR
from smtp_admin.installation import installation
from smtp_admin.sandbox import site
from smtp_admin.sandbox.address import comparable


@commands.group("sandbox", help="Control sending in test installations and copies of the database.")
def sandbox() -> None:
    """The sandbox, and whose database it is."""


@sandbox.command(
    help="Show whether this process may send for this database, what SMTP_ADMIN_SANDBOX "
    "does, and what "
    "waits.\n\nExample: flask smtp-admin sandbox status --json"
)
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def status(as_json: bool) -> None:
    """Where it stands."""
    site.forget()
    _show(as_json)


@sandbox.command(
    help="Release waiting mail. Where this process may not send for the database yet, its "
    "SMTP_ADMIN_PUBLIC_URL is recorded as one of the database's addresses; else mail that the "
    "sandbox holds is queued again, as far as SMTP_ADMIN_SANDBOX allows it now. With --add and "
    "--remove only the addresses change.\n\n"
    "Example: flask smtp-admin sandbox release --add https://mail.example.net"
)
@click.option(
    "--add", metavar="URL", help="Record this address, for example before a change of domain."
)
@click.option("--remove", metavar="URL", help="Remove this address. Its processes stop sending.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def release(add: str | None, remove: str | None, yes: bool, as_json: bool) -> None:
    """Let it go out."""
    site.forget()
    found = site.standing(session())
    if add is not None or remove is not None:
        _change(_address(add, "--add"), _address(remove, "--remove"))
    elif found.acts:
        with beside_workers() as engine:
            held_actions.release(engine, installation().config.sandbox)
    elif not found.address:
        raise InvalidInput(found.reason, hint="Set SMTP_ADMIN_PUBLIC_URL to this app's address.")
    else:
        if not yes:
            waiting = held_actions.counts(session()).waiting
            click.confirm(f"{found.reason} {waiting:,} mails wait and would be sent from here too. "
                          f"Record {found.address}?", abort=True)  # fmt: skip
        _change(found.address, "")
    _show(as_json)


@sandbox.command(
    help="Cancel mail that the sandbox holds; where this process may not send for the database, "
    "because that is a copy, everything that waits in it.\n\n"
    "Example: flask smtp-admin sandbox drop --yes"
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def drop(yes: bool, as_json: bool) -> None:
    """Cancel it."""
    site.forget()
    found = site.standing(session())
    counts = held_actions.counts(session())
    if not yes:
        question = f"{counts.held:,} mails are held. Cancelled mail is never sent. Cancel it?"
        if not found.acts:
            question = (
                f"{counts.waiting:,} mails wait and {counts.under_way:,} are being sent in the "
                f"database of {' and '.join(found.recorded)}. If this is the original and not a "
                "copy, this mail is lost. Cancel it?"
            )
        click.confirm(question, abort=True)
    session().rollback()
    dropped = held_actions.drop_held if found.acts else held_actions.drop_everything
    with beside_workers() as engine:
        count = dropped(engine)
    record(session(), OPERATOR, SYSTEM, "sandbox.dropped", f"{count} mails")
    session().commit()
    if as_json:
        show_json({"ok": True, "dropped": count, **_state()})
    else:
        click.echo(f"{count:,} dropped.")


def _address(url: str | None, option: str) -> str:
    if url is None:
        return ""
    try:
        address = comparable(public_url(url))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error
    if not address:
        raise click.BadParameter("is empty", param_hint=option)
    return address


def _change(added: str, removed: str) -> None:
    """Change the recorded addresses, and say who did."""
    if added and site.add(session(), added):
        record(session(), OPERATOR, SYSTEM, "sandbox.released", added)
    if removed:
        if not site.remove(session(), removed):
            raise InvalidInput(f"{removed} is not recorded.")
        record(session(), OPERATOR, SYSTEM, "sandbox.removed", removed)
    session().commit()
    site.forget()


def _state() -> dict[str, Any]:
    found = site.standing(session())
    counts = held_actions.counts(session())
    rule = installation().config.sandbox
    return {
        "acts": found.acts,
        "address": found.address,
        "recorded": list(found.recorded),
        "reason": found.reason,
        "sandbox": str(rule) if rule else "",
        "waiting": counts.waiting,
        "held": counts.held,
        "under_way": counts.under_way,
    }


def _show(as_json: bool) -> None:
    state = _state()
    if as_json:
        show_json({"ok": True, **state})
        return
    found = site.standing(session())
    click.echo(found.reason or "This process may send.")
    if found.hint:
        click.echo(found.hint)
    if not found.recorded:
        click.echo("No address is recorded, so copies of this database cannot be detected.")
    rows = {
        "this process": state["address"] or "SMTP_ADMIN_PUBLIC_URL is not set",
        "recorded": ", ".join(state["recorded"]) or "-",
        "SMTP_ADMIN_SANDBOX": state["sandbox"] or "not set",
        "waiting": f"{state['waiting']:,}, of which {state['held']:,} are held",
    }
    for name, words in rows.items():
        click.echo(f"{name:<20}{words}")
