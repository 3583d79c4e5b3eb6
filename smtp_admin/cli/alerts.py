"""``alerts list|ack|mute|unmute|check``."""

import click

from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.which import known_partner
from smtp_admin.clock import now
from smtp_admin.database import beside_workers, session
from smtp_admin.host import OPERATOR
from smtp_admin.monitor.alerts import service
from smtp_admin.monitor.alerts.announce import announce
from smtp_admin.monitor.alerts.incidents import evaluate
from smtp_admin.monitor.alerts.service import MUTES, AlertSeen
from smtp_admin.sandbox import site


@commands.group("alerts", help="Show open alerts, acknowledge and mute them.")
def alerts() -> None:
    """Alerts."""


@alerts.command(
    "list", help="List open alerts.\n\nExample: flask smtp-admin alerts list --partner acme"
)
@click.option("--partner", "partner_id", default=None, help="Only this partner's alerts.")
@click.option("--ended", is_flag=True, help="Also list alerts that ended in the last 30 days.")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def list_(partner_id: str | None, ended: bool, as_json: bool) -> None:
    """List."""
    known_partner(partner_id)
    scope = None if partner_id is None else (partner_id,)
    found = service.open_alerts(session(), scope, live=True)
    if ended:
        found += service.ended_alerts(session(), scope)
    if as_json:
        show_json([one.as_json() for one in found])
        return
    if not found:
        click.echo("No alerts.")
    for one in found:
        click.echo(_line(one))


@alerts.command(
    help="Acknowledge alerts. They leave the banner and stay open.\n\n"
    "Example: flask smtp-admin alerts ack ID"
)
@click.argument("public_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def ack(public_ids: tuple[str, ...], as_json: bool) -> None:
    """Acknowledge."""
    for one in public_ids:
        service.acknowledge(session(), service.find_alert(session(), one), OPERATOR)
    session().commit()
    _say(as_json, f"{len(public_ids)} acknowledged.")


@alerts.command(
    help="Hide these alerts for some time, also if they open again.\n\n"
    "Example: flask smtp-admin alerts mute ID --for 1d"
)
@click.argument("public_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--for", "span", type=click.Choice(list(MUTES)), default="1h", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def mute(public_ids: tuple[str, ...], span: str, as_json: bool) -> None:
    """Mute."""
    for one in public_ids:
        service.mute(session(), service.find_alert(session(), one), OPERATOR, MUTES[span])
    session().commit()
    _say(as_json, f"{len(public_ids)} muted for {span}.")


@alerts.command(help="Show these alerts again.\n\nExample: flask smtp-admin alerts unmute ID")
@click.argument("public_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def unmute(public_ids: tuple[str, ...], as_json: bool) -> None:
    """Unmute."""
    for one in public_ids:
        service.unmute(session(), service.find_alert(session(), one), OPERATOR)
    session().commit()
    _say(as_json, f"{len(public_ids)} not muted any more.")


@alerts.command(
    help="For cron, in addition to the workers. It also checks that a worker runs. Exit status 1 "
    "while an alert is open and neither acknowledged nor muted. With --announce it does what a "
    "worker does every minute: the webhook is called although no worker runs.\n\n"
    "Example: flask smtp-admin alerts check --announce"
)
@click.option(
    "--announce", "tell", is_flag=True, help="Open and end alerts, and send notifications."
)
@click.option("--json", "as_json", is_flag=True, help="For a script.")
@click.pass_context
def check(context: click.Context, tell: bool, as_json: bool) -> None:
    """Look."""
    if tell:
        site.require(session())
        session().rollback()
        with beside_workers() as engine:
            evaluate(engine, for_workers=True)
            announce(engine)
    moment = now()
    found = [one for one in service.open_alerts(session(), live=True) if one.needs_somebody(moment)]
    if as_json:
        show_json({"ok": not found, "open": [one.as_json() for one in found]})
    elif not found:
        click.echo("No open alerts.")
    else:
        for one in found:
            click.echo(_line(one))
    if found:
        context.exit(1)


def _line(one: AlertSeen) -> str:
    """The id whole and first, so that it can be cut out and passed on."""
    since = f"{one.opened_at:%Y-%m-%d %H:%M} UTC" if one.opened_at else "now"
    words = [one.id or "-", one.severity, since, one.sentence]
    if one.ended_at:
        words.append(f"Ended {one.ended_at:%Y-%m-%d %H:%M} UTC.")
    done = one.reaction
    if done.acknowledged_at:
        words.append(f"Acknowledged by {done.acknowledged_by}.")
    if done.muted_until and done.muted_until > now():
        words.append(f"Muted until {done.muted_until:%Y-%m-%d %H:%M} UTC.")
    return "  ".join(words)


def _say(as_json: bool, words: str) -> None:
    if as_json:
        show_json({"ok": True, "message": words})
    else:
        click.echo(words)
