"""``worker``, ``send-test``, ``status`` and ``prune``."""

import logging

import click
from flask import current_app

from smtp_admin.cli.group import OPERATOR, commands, known_partner, show_json
from smtp_admin.database import SYSTEM, host_engine, session
from smtp_admin.delivery.maintenance.prune import prune as prune_now
from smtp_admin.installation import installation
from smtp_admin.mail.testmail import queue_test_mail
from smtp_admin.monitor.overview import status_json


@commands.command(
    help="Run everything that one machine needs: sending, retries, sweeping, pruning. Run it on "
    "as many machines as you like.\n\nExample: flask smtp-admin worker --concurrency 8"
)
@click.option("--burst", is_flag=True, help="Send what is due, then end.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=4, show_default=True,
              help="Connections at a time.")  # fmt: skip
def worker(burst: bool, concurrency: int) -> None:
    """Send."""
    # RQ and its company are of no use to the other commands, nor to web processes.
    from smtp_admin.worker.process import WorkerProcess

    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    process = WorkerProcess(current_app._get_current_object(), concurrency)  # type: ignore[attr-defined]  # werkzeug's LocalProxy
    if burst:
        process.run_burst()
    else:
        process.run()


@commands.command(
    "send-test",
    help="Queue a test mail to ADDRESS.\n\n"
    "Example: flask smtp-admin send-test me@example.com --partner acme",
)
@click.argument("address")
@click.option("--partner", "partner_id", default=SYSTEM, help="Whose sender to use.")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def send_test(address: str, partner_id: str, as_json: bool) -> None:
    """Queue a test mail."""
    known_partner(partner_id)
    sent = queue_test_mail(session(), partner_id, address, OPERATOR)
    session().commit()
    if as_json:
        show_json({"ok": True, "to": sent.recipient, "id": sent.public_id, "status": "queued"})
    else:
        click.echo(f"A test mail to {sent.recipient} is queued as {sent.public_id}.")


@commands.command(
    help="The numbers of the queue.\n\nExample: flask smtp-admin status --partner acme --json"
)
@click.option("--partner", "partner_id", default=None, help="One partner's mail only.")
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def status(partner_id: str | None, as_json: bool) -> None:
    """The numbers."""
    known_partner(partner_id)
    numbers = status_json(session(), partner_id)
    if as_json:
        show_json(numbers)
        return
    words = {None: "-", True: "yes", False: "no"}
    for name, value in numbers.items():
        if name != "ok":
            shown = words[value] if value is None or isinstance(value, bool) else value
            click.echo(f"{name.replace('_', ' '):<24}{shown}")


@commands.command(
    help="Forget finished mail older than SMTP_ADMIN_KEEP_DAYS; workers do it every hour.\n\n"
    "Example: flask smtp-admin prune"
)
def prune() -> None:
    """Forget finished mail."""
    count = prune_now(host_engine(), installation().config)
    click.echo(f"{count} mails forgotten.")
