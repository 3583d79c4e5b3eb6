"""``worker``, ``send-test``, ``status`` and ``prune``."""

import logging
from collections.abc import Iterator
from typing import Any

import click
from flask import current_app

from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.whereto import show_where_mail_goes
from smtp_admin.cli.which import (
    filter_options,
    find_sender,
    known_partner,
    sender_options,
    whose,
    word_of,
)
from smtp_admin.database import SYSTEM, beside_workers, session
from smtp_admin.delivery.maintenance.prune import prune as prune_now
from smtp_admin.host import OPERATOR
from smtp_admin.installation import installation
from smtp_admin.mail.testmail import queue_test_mail
from smtp_admin.monitor.overview import status_json
from smtp_admin.sandbox import site


@commands.command(
    help="Run a worker: sending, retries, sweeping, pruning. Run it on "
    "as many machines as you like.\n\nExample: flask smtp-admin worker --concurrency 8"
)
@click.option("--burst", is_flag=True, help="Send due mail, then exit.")
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
@sender_options
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def send_test(address: str, partner_id: str, sender_word: str | None, as_json: bool) -> None:
    """Queue a test mail."""
    key = find_sender(partner_id, sender_word).key
    sent = queue_test_mail(session(), partner_id, address, OPERATOR, key=key)
    session().commit()
    if as_json:
        show_json({"ok": True, "to": sent.recipient, "id": sent.public_id, "status": "queued"})
    else:
        show_where_mail_goes()
        click.echo(f"A test mail to {sent.recipient} is queued as {sent.public_id}.")
        click.echo(f"What becomes of it: flask smtp-admin mail show {sent.public_id}")


@commands.command(
    help="Show the numbers of the queue, in total and for each sender. With --sender, for one.\n\n"
    "Example: flask smtp-admin status --partner acme --json"
)
@filter_options
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def status(partner_id: str | None, sender_word: str | None, as_json: bool) -> None:
    """The numbers."""
    known_partner(partner_id)
    if sender_word is None:
        numbers = status_json(session(), partner_id)
    else:
        owner = partner_id or SYSTEM
        numbers = status_json(session(), owner, find_sender(owner, sender_word).key)
    found = site.standing(session())
    rule = installation().config.sandbox
    if as_json:
        where = {"acts": found.acts, "reason": found.reason, "rule": str(rule) if rule else ""}
        show_json({**numbers, "sandbox": where})
        return
    show_where_mail_goes()
    of_all = partner_id is None and sender_word is None
    for line in _heading(partner_id, sender_word, _state_in_words(numbers)):
        click.echo(line)
    for name, value in numbers.items():
        note = _MEANINGS.get(name, "")
        if name not in _NOT_NUMBERS and not (of_all and name in _OF_SENDER):
            click.echo(f"{_LABELS.get(name, name.replace('_', ' ')):<24}{_shown(value)}{note}")
    for one in numbers.get("senders", ()):
        _show_sender(one)


def _heading(partner_id: str | None, sender_word: str | None, state: str) -> Iterator[str]:
    """Of whom the state is, and of which mail the numbers below are."""
    if sender_word is not None:
        yield f"Sender {sender_word} of {whose(partner_id or SYSTEM)}: {state}"
        yield "Numbers of what goes by this sender:"
    elif partner_id is not None:
        owner = whose(partner_id)
        yield f"{owner[0].upper()}{owner[1:]}: {state}"
        yield "Numbers of its mail:"
    else:
        yield f"The system's default sender: {state}"
        yield "Of partners' senders this says nothing; `flask smtp-admin senders list` does."
        yield "Numbers of all mail, the system's and every partner's:"


#: Of the system's default sender, where the other numbers are of all mail.
_OF_SENDER = frozenset({"max_per_hour", "paused"})
#: The state is told in one sentence before them.
_NOT_NUMBERS = frozenset(
    {"ok", "senders", "state", "headline", "message", "tone", "since", "until"}
)


#: What a number counts, where its name alone could be taken for another's.
_MEANINGS = {
    "failed": "  (the same as dead)",
    "dead": "  (mails that are not tried again)",
    "failed_24h": "  (each refusal of a mail counts; a refused login or connection is none)",
}
_LABELS = {"failed_24h": "mail refused 24h"}


def _shown(value: Any) -> str:
    words = {None: "-", True: "yes", False: "no"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _show_sender(numbers: dict[str, Any]) -> None:
    """One of several, in one line."""
    label = f" ({numbers['label']})" if numbers["label"] else ""
    limit = "" if numbers["max_per_hour"] is None else f" of {numbers['max_per_hour']:,}"
    click.echo(
        f"sender {word_of(numbers['sender'])}{label}: {numbers['pending']:,} pending, "
        f"{numbers['sent_this_hour']:,}{limit} sent this hour, {numbers['dead']:,} dead"
    )
    click.echo(f"    {_state_in_words(numbers)}")


def _state_in_words(numbers: dict[str, Any]) -> str:
    words = f"{numbers['headline']}."
    return f"{words} {numbers['message']}" if numbers["message"] else words


@commands.command(
    help="Delete finished mail that is older than it is kept. Workers do this every hour.\n\n"
    "Example: flask smtp-admin prune"
)
def prune() -> None:
    """Forget finished mail."""
    with beside_workers() as engine:
        count = prune_now(engine, installation().config)
    click.echo(f"{count} mail{'' if count == 1 else 's'} deleted.")
