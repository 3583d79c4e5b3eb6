"""``mail list|show|retry|cancel``."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from operator import itemgetter
from typing import Any

import click

from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.which import filter_options, find_sender, known_partner
from smtp_admin.database import SYSTEM, database_now, session
from smtp_admin.delivery import actions
from smtp_admin.delivery.acts import doer
from smtp_admin.delivery.digest_items import Item, find_item
from smtp_admin.delivery.models import Act, Attempt
from smtp_admin.delivery.queries import next_try
from smtp_admin.delivery.states import STATES
from smtp_admin.delivery.suppressed_mail import stopped_by
from smtp_admin.diagnosis.explanation import Explanation, explain_delivery
from smtp_admin.events.models import MailEvent
from smtp_admin.events.queries import told_of_mail
from smtp_admin.host import OPERATOR
from smtp_admin.senders.resolve import load_sender_by_id
from smtp_admin.suppression.reasons import CODE as SUPPRESSED


@commands.group("mail", help="List and show mail, send it again or cancel it.")
def mail() -> None:
    """The mail."""


@mail.command(
    "list",
    help="List the newest mail.\n\nExample: flask smtp-admin mail list --state dead --partner acme",
)
@filter_options
@click.option("--state", type=click.Choice(STATES), default=None, help="Only mail in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def list_(
    partner_id: str | None, sender_word: str | None, state: str | None, limit: int, as_json: bool
) -> None:
    """List."""
    known_partner(partner_id)
    sender = None if sender_word is None else find_sender(partner_id or SYSTEM, sender_word)
    chosen = next((one for one in STATES if one == state), None)
    found = actions.list_mail(
        session(),
        partner_id=partner_id,
        state=chosen,
        limit=limit,
        sender_id=None if sender is None else sender.sender_id,
    )
    if as_json:
        show_json([_as_dict(one) for one in found])
        return
    if not found:
        click.echo("No mail.")
        return
    for one in found:
        # One line each, the id whole and first, so that it can be cut out and passed on.
        partner = one.partner_id or "system"
        words = (one.public_id, f"{one.state:<10}", _at(one.created_at), partner, one.recipient)
        click.echo("  ".join((*words, one.subject)))
        if one.last_error:
            click.echo(f"    {one.last_error}")


def _as_dict(one: actions.Listed) -> dict[str, Any]:
    """One delivery for a script, with the name that the API gives the id."""
    fields = asdict(one)
    return {"id": fields.pop("public_id"), **fields}


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _is_lifted(one: actions.Listed) -> bool:
    """Whether it was kept back for a suppression that is no longer there."""
    if one.state != "suppressed" or one.last_code != SUPPRESSED:
        return False
    return stopped_by(session(), one.public_id, one.partner_id, one.recipient) is None


def _explained(one: actions.Listed) -> Explanation | None:
    if _is_lifted(one):
        return None
    sender = load_sender_by_id(session(), one.sender_id)
    return explain_delivery(
        session(),
        one.state,
        one.last_code,
        cause=one.last_cause,
        uncertains=one.uncertains,
        reply=one.last_reply,
        sender=sender,
    )


def _causes(one: actions.Listed) -> list[dict[str, str]]:
    explained = _explained(one)
    return explained.as_json() if explained else []


@mail.command(
    help="Show one mail with its attempts, what people did with it and, where it failed, the "
    "likely causes.\n\n"
    "Example: flask smtp-admin mail show ID"
)
@click.argument("public_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def show(public_id: str, as_json: bool) -> None:
    """Show."""
    item = find_item(session(), public_id)
    if item is not None:
        _show_item(item, as_json=as_json)
        return
    found = actions.show_mail(session(), public_id)
    told = told_of_mail(session(), public_id)
    if as_json:
        show_json([
            _as_dict(one) | {"tries": [{"at": a.at, "verdict": a.verdict, "error": a.error,
                                      "reply": a.reply} for a in attempts],
                            "events": [{"at": e.at or e.received_at, "kind": e.kind,
                                        "bounce": e.bounce, "code": e.code, "words": e.words}
                                       for e in told.get(one.recipient, ())],
                            "acts": [{"at": a.at, "kind": a.kind, "by": a.actor_name or a.actor_id}
                                     for a in acts],
                            "causes": _causes(one)}
            for one, attempts, acts in found
        ])  # fmt: skip
        return
    click.echo(f"Message-ID {actions.message_id_of(session(), public_id)}")
    for one, attempts, acts in found:
        click.echo(f"{one.subject}\n  to {one.recipient}: {one.state}")
        life = sorted(_life(one, attempts, acts), key=itemgetter(0))
        for at, words in (*life, *map(_event, told.get(one.recipient, ()))):
            click.echo(f"  {_at(at)}  {words}".rstrip())
        if one.provider_message_id:
            click.echo(f"  the provider calls it {one.provider_message_id}")
        if _is_lifted(one):
            click.echo("  Its address is no longer suppressed. Send it after all on its page.")
        explained = _explained(one)
        if explained is not None:
            _show_explanation(one, explained)


def _life(
    one: actions.Listed, attempts: Sequence[Attempt], acts: Sequence[Act]
) -> Iterator[tuple[datetime, str]]:
    """When something happened, and what."""
    yield one.created_at, "queued"
    for attempt in attempts:
        yield attempt.at, f"{attempt.verdict}  {attempt.error} {attempt.reply}"
    for hop in one.hops:
        yield hop.at, str(hop)
    for act in acts:
        who = act.actor_name or act.actor_id
        yield act.at, f"{act.kind.replace('_', ' ')}{f'  by {who}' if who else ''}"
    ended = one.finished_at
    if ended is not None and _ended_otherwise(one, attempts) and ended not in {a.at for a in acts}:
        yield ended, f"{one.state}  {one.last_reply}"


def _event(event: MailEvent) -> tuple[datetime, str]:
    kind = f"{event.kind} ({event.bounce})" if event.bounce else event.kind
    return event.at or event.received_at, f"{kind}  {event.words}"


def _show_explanation(one: actions.Listed, explained: Explanation) -> None:
    for number, cause in enumerate(explained.causes):
        click.echo(f"  {'Or' if number else 'Most likely'}: {cause.what} {cause.do}")
    at = next_try(one.state, one.last_code, one.next_attempt_at, database_now(session()))
    if at is not None:
        click.echo(f"  It is tried again automatically, next at {_at(at)}.")
    elif one.state == "dead":
        click.echo(f"  To try it again: flask smtp-admin mail retry {one.public_id}")
    for note in explained.notes:
        click.echo(f"  Note: {note}")
    if explained.unrecognised:
        click.echo(f"  Not recognised: {explained.unrecognised}")


def _show_item(item: Item, *, as_json: bool) -> None:
    if as_json:
        show_json(item.as_json())
        return
    click.echo(f"{item.title}\n  to {item.recipient}: a notice for a digest, {item.state}")
    click.echo(f"  {_at(item.created_at)}  kept")
    if item.goes_at is not None:
        click.echo(f"  {_at(item.goes_at)}  its digest is due")
    if item.ended_at is not None:
        mail = f"  mail {item.message_id}" if item.message_id else ""
        click.echo(f"  {_at(item.ended_at)}  {item.state}{mail}")
    if item.error:
        click.echo(f"  {item.error}")


def _ended_otherwise(one: actions.Listed, attempts: Sequence[Attempt]) -> bool:
    """Whether the last of *attempts* is not how it ended: a first success has none of its own."""
    if not attempts:
        return True
    return one.state in _ENDS and attempts[-1].verdict != "accepted"


_ENDS = {"sent", "expired", "cancelled"}


@mail.command(help="Queue dead letters again.\n\nExample: flask smtp-admin mail retry ID ID")
@click.argument("public_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def retry(public_ids: tuple[str, ...], as_json: bool) -> None:
    """Try again."""
    acted = actions.retry(session(), public_ids, doer(OPERATOR))
    session().commit()
    if as_json:
        show_json({"ok": True, "queued": acted.changed, "kept_back": acted.kept_back})
        return
    click.echo(f"{acted.changed} queued again.")
    if acted.kept_back:
        click.echo(f"{acted.kept_back} kept back again: the address is suppressed.")
        click.echo("Remove it first: flask smtp-admin suppressions remove ADDRESS --partner ID")


@mail.command(
    help="Do not send queued mail. If one ID cannot be cancelled, none is.\n\n"
    "Example: flask smtp-admin mail cancel ID ID"
)
@click.argument("public_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def cancel(public_ids: tuple[str, ...], as_json: bool) -> None:
    """Cancel."""
    # A list names a mail once for each recipient.
    by = doer(OPERATOR)
    count = sum(actions.cancel(session(), one, by) for one in dict.fromkeys(public_ids))
    session().commit()
    if as_json:
        show_json({"ok": True, "cancelled": count})
    else:
        click.echo(f"{count} cancelled.")
