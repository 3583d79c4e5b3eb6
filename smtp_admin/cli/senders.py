"""``senders list|pause|resume|delete|drivers``: the senders of a partner or the system."""

from collections.abc import Iterator
from typing import Any

import click

from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.which import find_sender, known_partner, partner_option, whose, word_of
from smtp_admin.database import SYSTEM, session
from smtp_admin.delivery.queries import Waiting, waiting_of
from smtp_admin.errors import NotFound
from smtp_admin.events.bounces.mailboxes import mailbox_of
from smtp_admin.host import OPERATOR
from smtp_admin.installation import installation
from smtp_admin.sender_state.facts import states_of
from smtp_admin.sender_state.state import PAUSED, State
from smtp_admin.senders.drivers import available_drivers
from smtp_admin.senders.pauses import pause as pause_it
from smtp_admin.senders.pauses import resume as resume_it
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.revisions import delete_sender
from smtp_admin.senders.routing import senders_of


@commands.group("senders", help="Manage the senders of a partner or the system, and their routes.")
def senders() -> None:
    """The senders."""


@senders.command(
    "list",
    help="List the system's senders and those of every partner, or of one.\n\n"
    "Example: flask smtp-admin senders list --partner acme",
)
@click.option("--partner", "partner_id", default=None, help="Only senders of this partner.")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def list_(partner_id: str | None, as_json: bool) -> None:
    """List."""
    known_partner(partner_id)
    known = [one for owner in _owners(partner_id) for one in senders_of(session(), owner)]
    states = states_of(session(), known)
    found = [_as_dict(one, state) for one, state in zip(known, states, strict=True)]
    if as_json:
        show_json(found)
        return
    if not found:
        click.echo("No sender of its own. The system's sender is used.")
    for one in found:
        words = [one["partner_id"] or "system", word_of(one["key"]), one["headline"], one["driver"],
                 one["place"], one["from_email"], one["label"]]  # fmt: skip
        click.echo("  ".join(word for word in words if word))
        if one["reason"]:
            click.echo(f"    {one['reason']}")


def _owners(partner_id: str | None) -> Iterator[str]:
    if partner_id is not None:
        yield partner_id
        return
    yield SYSTEM
    for one in installation().host.partners():
        yield one.id


def _as_dict(sender: ResolvedSender, state: State) -> dict[str, Any]:
    """One sender for a script."""
    return {
        "partner_id": sender.partner_id,
        "key": sender.key,
        "label": sender.label,
        "driver": sender.values.driver,
        "place": sender.values.place() if sender.values.complete else "",
        "from_email": sender.values.from_email,
        "revision": sender.revision,
        **state.as_json(),
        "reason": state.detail,
        "paused_until": sender.paused_until if state.key in PAUSED else None,
    }


@senders.command(
    help="Pause a sender until someone resumes it. Its mail waits.\n\n"
    "Example: flask smtp-admin senders pause newsletters --partner acme"
)
@click.argument("key")
@partner_option
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def pause(key: str, partner_id: str, as_json: bool) -> None:
    """Pause."""
    sender = _saved(partner_id, key)
    pause_it(session(), sender, OPERATOR)
    session().commit()
    _tell(sender, "is paused; its mail waits.", as_json)


@senders.command(
    help="Resume a sender now, whatever the reason of its pause.\n\n"
    "Example: flask smtp-admin senders resume newsletters --partner acme"
)
@click.argument("key")
@partner_option
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def resume(key: str, partner_id: str, as_json: bool) -> None:
    """Resume."""
    sender = _saved(partner_id, key)
    resume_it(session(), sender, OPERATOR)
    session().commit()
    _tell(sender, "is resumed.", as_json)


@senders.command(
    help="Delete a sender. First it shows what happens to waiting mail, and asks. The history is "
    "kept, and the wizard can restore the sender with the same key.\n\n"
    "Example: flask smtp-admin senders delete newsletters --partner acme --yes"
)
@click.argument("key")
@partner_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="For a script; needs --yes.")
def delete(key: str, partner_id: str, yes: bool, as_json: bool) -> None:
    """Delete."""
    if as_json and not yes:
        raise click.UsageError("A script cannot answer questions. Add --yes.")
    sender = _saved(partner_id, key)
    waiting = waiting_of(session(), sender.sender_id)
    if not as_json:
        click.echo(_what_waits(waiting))
        if sender.values.by_person:
            click.echo("Its sign-in is forgotten. After restoring it, someone must sign in again.")
        if mailbox_of(session(), sender.sender_id) is not None:
            click.echo("Its mailbox for bounces is no longer read, and its password is deleted.")
    if not yes:
        session().rollback()  # a person may think for long, and no transaction waits for that
        click.confirm(f"Delete the sender {word_of(sender.key)} of {whose(partner_id)}?",
                      abort=True)  # fmt: skip
        sender = _saved(partner_id, key)
    delete_sender(session(), sender, OPERATOR)
    session().commit()
    _tell(sender, "is deleted.", as_json, waiting=waiting.count, unknown=waiting.unknown,
          goes_to=waiting.goes_to)  # fmt: skip


def _what_waits(waiting: Waiting) -> str:
    mails = f"{waiting.count:,} mail{'' if waiting.count == 1 else 's'}"
    if not waiting.count:
        words = "No mail is waiting for it."
    elif waiting.goes_to:
        words = f"{mails} wait{'s' if waiting.count == 1 else ''} for it, and will go by "
        words += f"{waiting.goes_to}."
    else:
        words = (
            f"{mails} wait{'s' if waiting.count == 1 else ''} for it, and no other "
            "sender can take over."
        )
    if waiting.unknown:
        words += f" Mail with an unknown outcome: {waiting.unknown:,}. It does not change."
    return words


def _saved(partner_id: str, word: str) -> ResolvedSender:
    """The sender that is there as a row.

    Raises:
        NotFound: it was never saved, or was deleted.
    """
    found = find_sender(partner_id, word)
    if not found.sender_id or found.deleted:
        raise NotFound(f"The default sender of {whose(partner_id)} was never saved.")
    return found


def _tell(sender: ResolvedSender, words: str, as_json: bool, **more: Any) -> None:
    if as_json:
        show_json({"ok": True, "partner_id": sender.partner_id, "key": sender.key, **more})
    else:
        click.echo(f"The sender {word_of(sender.key)} of {whose(sender.partner_id)} {words}")


@senders.command(
    help="List the sending methods and what each is for.\n\n"
    "Example: flask smtp-admin senders drivers"
)
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def drivers(as_json: bool) -> None:
    """Sending methods."""
    found = available_drivers()
    if as_json:
        show_json([{"name": one.name, "label": one.label, "comparison": one.comparison,
                    "fields": [each.name for each in one.fields]} for one in found])  # fmt: skip
        return
    width = max(len(one.name) for one in found)
    for one in found:
        click.echo(f"{one.name:<{width}}  {one.label}: {one.comparison}")
