"""``renewals run|preview|import``."""

import json
import time
from dataclasses import replace
from typing import Any

import click

from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.which import known_partner
from smtp_admin.database import SYSTEM, beside_workers, host_engine, session
from smtp_admin.errors import InvalidInput
from smtp_admin.host import OPERATOR
from smtp_admin.installation import installation
from smtp_admin.mail import service as mail_service
from smtp_admin.mail import templates
from smtp_admin.renewals import notices, scheduler
from smtp_admin.renewals.calendar import as_dict, look_at
from smtp_admin.renewals.report import Report
from smtp_admin.renewals.schedule import SENTENCES, Reason
from smtp_admin.renewals.service import load, save
from smtp_admin.renewals.values import values_from_codes

_TELL_SECONDS = 2.0


@commands.group("renewals", help="Remind customers before their services expire.")
def renewals() -> None:
    """Reminders."""


@renewals.command(
    help="Look at every customer now and queue the notices that are due, for one partner or all "
    "that have reminders on. Exit status 1 if something failed.\n\n"
    "Example: flask smtp-admin renewals run --partner acme"
)
@click.option("--partner", "partner_id", default=None, help="Only this partner's customers.")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
@click.pass_context
def run(context: click.Context, partner_id: str | None, as_json: bool) -> None:
    """Run."""
    known_partner(partner_id)
    with beside_workers(2) as engine:
        reports = scheduler.run_now(engine, partner_id, _progress(as_json))
    _show(reports, "queued", as_json)
    if any(one.failed for one in reports.values()):
        context.exit(1)


@renewals.command(
    help="Show what a run would do now, without doing it. With --customer, show one customer and "
    "the mail.\n\n"
    "Example: flask smtp-admin renewals preview --partner acme --customer 42"
)
@click.option("--partner", "partner_id", default=None, help="Only this partner's customers.")
@click.option("--customer", "customer_id", default=None, help="One customer of that partner.")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def preview(partner_id: str | None, customer_id: str | None, as_json: bool) -> None:
    """Preview."""
    known_partner(partner_id)
    if customer_id is not None:
        _show_customer(partner_id or SYSTEM, customer_id, as_json)
        return
    with beside_workers(2) as engine:
        reports = scheduler.look(engine, partner_id, _progress(as_json))
    _show(reports, "due", as_json)


@renewals.command(
    "import",
    help="Import renewal settings exported from another panel: a JSON object with codes such "
    "as renewal_notification_enabled; - reads standard input.\n\n"
    "Example: flask smtp-admin renewals import settings.json --partner acme",
)
@click.argument("file", type=click.Path(allow_dash=True))
@click.option(
    "--partner", "partner_id", default=SYSTEM, help="The partner whose settings to change."
)
def import_(file: str, partner_id: str) -> None:
    """Import."""
    known_partner(partner_id)
    applied = load(session(), partner_id)
    try:
        with click.open_file(file, encoding="utf-8") as opened:
            given = json.load(opened)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput("This file is not JSON.") from error
    if not isinstance(given, dict):
        raise InvalidInput("This file is not a JSON object of codes and values.")
    values = values_from_codes(given, applied.values)
    save(session(), partner_id, values, own=True, expected_revision=applied.revision,
         actor=OPERATOR)  # fmt: skip
    session().commit()
    state = "on" if values.enabled else "off"
    click.echo(
        f"Saved: reminders are {state}, {values.min_hours} hours between notices, "
        f"{values.on_demand_min_hours} before one on demand."
    )


def _progress(as_json: bool) -> Any:
    """Tells on standard error how far it is, every other second."""
    told = time.monotonic()

    def tell(partner_id: str, report: Report) -> None:
        nonlocal told
        if not as_json and time.monotonic() - told >= _TELL_SECONDS:
            told = time.monotonic()
            name = partner_id or "system"
            click.echo(
                f"{name}: {report.customers:,} customers, {report.due:,} notices so far", err=True
            )

    return tell


def _show(reports: dict[str, Report], word: str, as_json: bool) -> None:
    if as_json:
        show_json({partner_id: one.as_dict() for partner_id, one in reports.items()})
        return
    if not reports:
        click.echo("Reminders are off. Switch them on under Renewals on the pages.")
    for partner_id, one in reports.items():
        click.echo(
            f"{partner_id or 'system'}: {one.due:,} {word}, {one.customers:,} customers with "
            f"{one.services:,} services looked at"
        )
        for reason, count in one.skipped.most_common():
            click.echo(f"  {count:>8,}  {SENTENCES[Reason(reason)]}")
        if one.failed:
            click.echo(f"  {one.failed:>8,}  failed")
        if one.broken:
            click.echo(f"  {one.broken:>8,}  broken records")
        for sentence in one.zone_sentences:
            click.echo(f"  {sentence}")
        for problem in one.problems:
            click.echo(f"    {problem}")
        if one.ended:
            click.echo(f"  {one.ended}")


def _show_customer(partner_id: str, customer_id: str, as_json: bool) -> None:
    values = load(session(), partner_id).values
    entry = look_at(host_engine(), partner_id, values, customer_id)
    if as_json:
        show_json(as_dict(entry))
        return
    reason = SENTENCES[entry.now.reason] if entry.now.reason else "A notice is due."
    click.echo(f"{entry.customer.email or 'no address'}: {reason}")
    for moment in entry.moments:
        click.echo(f"  {moment:%Y-%m-%d %H:%M} UTC")
    if entry.now.services:
        language = entry.now.services[0].language
        voice = replace(notices.voice_for(session(), partner_id), language=language)
        context = {"app_name": installation().config.app_name} | notices.context_of(
            entry.customer, entry.now.services, values, "", voice
        )
        mail = templates.render(mail_service.registry().get(notices.TYPE), context, voice)
        click.echo(f"\n{mail.subject}\n\n{mail.text}")
