"""``batch list|show|cancel``."""

from dataclasses import asdict
from typing import Any

import click

from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.which import known_partner
from smtp_admin.database import beside_workers, session
from smtp_admin.delivery.acts import doer
from smtp_admin.delivery.batch_ends import cancel_batch
from smtp_admin.delivery.batches import BatchSeen, list_batches, show_batch
from smtp_admin.host import OPERATOR


@commands.group("batch", help="List, show and cancel batches.")
def batch() -> None:
    """Batches."""


@batch.command(
    "list", help="List the newest batches.\n\nExample: flask smtp-admin batch list --partner acme"
)
@click.option("--partner", "partner_id", default=None, help="Only batches of this partner.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def list_(partner_id: str | None, limit: int, as_json: bool) -> None:
    """List."""
    known_partner(partner_id)
    found = list_batches(session(), partner_id=partner_id, limit=limit)
    if as_json:
        show_json([_as_dict(one) for one in found])
        return
    if not found:
        click.echo("No batches.")
    for one in found:
        # One line each, the id whole and first, so that it can be cut out and passed on.
        words = (one.id, f"{one.created_at:%Y-%m-%d %H:%M} UTC", one.partner_id or "system")
        click.echo("  ".join((*words, _stands(one), one.label)))


@batch.command(help="Show the state of a batch.\n\nExample: flask smtp-admin batch show ID")
@click.argument("public_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def show(public_id: str, as_json: bool) -> None:
    """Show."""
    found = show_batch(session(), public_id)
    if as_json:
        show_json(_as_dict(found))
        return
    click.echo(f"{found.label or found.id}\n  {_stands(found)}")
    lines = {
        "partner": found.partner_id or "system",
        "type": found.type,
        "key": found.key or "-",
        "created": f"{found.created_at:%Y-%m-%d %H:%M:%S} UTC by {found.created_by or 'the app'}",
        "recipients": f"{found.total:,}",
        "queued": f"{found.queued:,}",
        **{state: f"{count:,}" for state, count in sorted(found.states.items())},
    }
    if found.cancelled_at is not None:
        lines["cancelled at"] = f"{found.cancelled_at:%Y-%m-%d %H:%M:%S} UTC"
    for name, value in lines.items():
        click.echo(f"  {name:<14}{value}")


@batch.command(
    help="Cancel the rest of a batch. Mail that a worker is already sending is still sent.\n\n"
    "Example: flask smtp-admin batch cancel ID"
)
@click.argument("public_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def cancel(public_id: str, as_json: bool) -> None:
    """Cancel."""
    with beside_workers() as engine:
        count = cancel_batch(engine, public_id, by=doer(OPERATOR))
    if as_json:
        show_json({"ok": True, "id": public_id, "cancelled": count})
    else:
        click.echo(f"{count:,} mail{'' if count == 1 else 's'} will not be sent.")


def _stands(one: BatchSeen) -> str:
    words = f"{one.done:,} of {one.total:,} done"
    if one.waiting:
        words += f", {one.waiting:,} waiting"
    return words + (", cancelled" if one.cancelled_at else "")


def _as_dict(one: BatchSeen) -> dict[str, Any]:
    return {**asdict(one), "waiting": one.waiting, "progress": round(one.progress, 4)}
