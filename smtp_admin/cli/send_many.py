"""``send-many``: mail of a type to everybody in a file, to oneself first if wanted."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from smtp_admin.cli.group import commands, show_json
from smtp_admin.cli.terminal import console
from smtp_admin.cli.whereto import destination, show_where_mail_goes
from smtp_admin.cli.which import find_sender, known_partner, sender_options
from smtp_admin.database import session, wait_for_workers
from smtp_admin.delivery.acts import doer
from smtp_admin.delivery.batch_plan import Plan, plan
from smtp_admin.delivery.models import BULK
from smtp_admin.errors import InvalidInput
from smtp_admin.host import OPERATOR
from smtp_admin.mail import batches
from smtp_admin.mail.bad_lines import Complaint, shown
from smtp_admin.mail.compose import Order, sender_for
from smtp_admin.mail.recipient_file import Checked, RecipientFile
from smtp_admin.mail.service import registry
from smtp_admin.mail.types import EmailType


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be sent to whom."""

    type_: EmailType
    file: RecipientFile
    checked: Checked
    partner_id: str
    sender: str | None
    key: str
    label: str
    resume: bool
    as_json: bool


@commands.command(
    "send-many",
    help="Queue mail of TYPE to everyone in FILE, a CSV file whose first line has the "
    "column names: address, language, and the variables of the type.\n\nThe same file again "
    "queues nobody twice, so repeat a run that was interrupted. To send it a second time, "
    "give another --key.\n\n"
    "Example: flask smtp-admin send-many newsletter december.csv --partner acme --label December",
)
@click.argument("type_name", metavar="TYPE")
@click.argument(
    "path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@sender_options
@click.option("--label", default="", help="The batch's name for people. Default: the file's name.")
@click.option("--key", default="", help="The batch's key. Default: made from the file.")
@click.option(
    "--to-myself-first",
    "myself",
    metavar="ADDRESS",
    default="",
    help="Send the first row's mail to this address, and ask before the rest is queued.",
)
@click.option("--dry-run", is_flag=True, help="Check the file, and show how long sending takes.")
@click.option("--skip-bad-lines", is_flag=True, help="Send to the others.")
@click.option("--resume", is_flag=True, help="Resume a cancelled batch.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="For a script; asks nothing.")
def send_many(
    type_name: str,
    path: Path,
    partner_id: str,
    sender_word: str | None,
    label: str,
    key: str,
    myself: str,
    dry_run: bool,
    skip_bad_lines: bool,
    resume: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Send to many."""
    known_partner(partner_id)
    sender = None if sender_word is None else find_sender(partner_id, sender_word).key
    type_ = registry().get(type_name)
    file = RecipientFile(path, type_)
    checked = file.check()
    bad = [one.line for one in checked.complaints]
    if skip_bad_lines and bad:
        file = RecipientFile(path, type_, frozenset(bad))
        checked = file.check()
        if not as_json:
            click.echo(f"Lines skipped: {', '.join(map(str, bad))}.")
    _refuse(path, checked)
    asked = _Asked(
        type_,
        file,
        checked,
        partner_id,
        sender,
        key or f"{type_.name}:{checked.fingerprint}",
        label or path.stem,
        resume,
        as_json,
    )
    expected = _plan(asked)
    if dry_run:
        if as_json:
            show_json({"ok": True, "dry_run": True, **_plan_as_json(asked, expected)})
        else:
            _show_plan(asked, expected)
            click.echo("Nothing was queued.")
        return
    if not as_json:
        _show_plan(asked, expected)
    if myself and not _is_right(asked, myself, ask=not (yes or as_json)):
        raise click.Abort
    _fill(asked)


def _refuse(path: Path, checked: Checked) -> None:
    if checked.complaints:
        count = len(checked.complaints)
        raise InvalidInput(
            f"{count} row{'' if count == 1 else 's'} of {path.name} cannot be used; nothing was "
            "queued.\n  " + "\n  ".join(shown(checked.complaints)),
            hint="Correct or remove these lines.",
        )
    if not checked.count:
        raise InvalidInput(f"{path.name} has no recipients.")


def _plan(asked: _Asked) -> Plan:
    order = Order(asked.partner_id, asked.sender, priority="bulk")
    sender = sender_for(session(), asked.type_, order)
    return plan(
        session(),
        sender,
        asked.checked.count,
        priority=BULK,
        hours=asked.type_.expires_hours,
        send_at=None,
        sensitive=asked.type_.sensitive,
    )


def _plan_as_json(asked: _Asked, expected: Plan) -> dict[str, Any]:
    values = expected.sender.values
    return {
        "count": expected.count,
        "sender": expected.sender.key,
        "from_email": values.from_email,
        "max_per_hour": values.max_per_hour,
        "max_per_day": values.max_per_day,
        "waiting_before": expected.ahead,
        "seconds": round(expected.seconds),
        "expires_at": expected.expires_at,
        "too_old": expected.too_old,
        "ignored_columns": asked.file.ignored,
    }


def _mails(count: int, which: str = "") -> str:
    return f"{count:,} {which}mail{'' if count == 1 else 's'}"


def _show_plan(asked: _Asked, expected: Plan) -> None:
    values = expected.sender.values
    origin = values.from_email or "no sender yet, so it waits"
    show_where_mail_goes()
    click.echo(f"{_mails(expected.count)} of type {asked.type_.name}, from {origin}.")
    if expected.ahead:
        wait = "mail waits" if expected.ahead == 1 else "mails wait"
        click.echo(f"{expected.ahead:,} {wait} at this sender already.")
    if expected.seconds:
        click.echo(f"With its limits, sending takes about {_in_words(expected.seconds)}.")
    if expected.too_old:
        click.echo(
            f"{expected.too_old:,} of them will expire before they can be sent: {asked.type_.name} "
            f"lives {asked.type_.expires_hours:g} hours."
        )
    if asked.file.ignored:
        click.echo(f"Columns unknown to the type: {', '.join(asked.file.ignored)}.")
    if asked.checked.again:
        click.echo("Left out, because an earlier line has the address:")
        click.echo("  " + "\n  ".join(shown(asked.checked.again)))


def _in_words(seconds: float) -> str:
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {name}"
    return f"{seconds:,.0f} seconds"


def _is_right(asked: _Asked, myself: str, *, ask: bool) -> bool:
    """Send the first one's mail to whoever sends; whether the others may have theirs."""
    first = asked.checked.first
    assert first is not None  # noqa: S101 - an empty file was refused
    order = Order(asked.partner_id, asked.sender, priority="normal", is_test=True)
    public_id = batches.send_first_to(session(), asked.type_, first, myself, order)
    session().commit()
    if not asked.as_json:
        click.echo(f"The first one's mail goes to {destination(myself)} as {public_id}.")
    return not ask or click.confirm(f"Queue {_mails(asked.checked.count)}?", default=False)


def _fill(asked: _Asked) -> None:
    wait_for_workers(session())
    filling = batches.begin(
        session(),
        asked.type_.name,
        partner_id=asked.partner_id,
        batch_key=asked.key,
        label=asked.label,
        sender=asked.sender,
        total=asked.checked.count,
        created_by=OPERATOR.name,
        resume=asked.resume,
        by=doer(OPERATOR),
    )
    session().commit()
    with _bar(asked) as bar:
        task = bar.add_task("queueing", total=_lines(asked.checked)) if bar else None
        for some in batches.in_steps(asked.file.rows()):
            _add(asked, filling, some)
            session().commit()
            if bar and task is not None:
                bar.update(task, completed=filling.seen)
    filling.finish()
    session().commit()
    if asked.as_json:
        show_json({
            "ok": True, "id": filling.batch.public_id, "key": asked.key,
            "count": filling.seen, "queued": filling.queued,
            "suppressed": filling.suppressed, "already_there": filling.seen - filling.queued,
            "resumed": filling.resumed,
        })  # fmt: skip
        return
    if filling.resumed:
        resumed = _mails(filling.resumed, "cancelled ")
        click.echo(f"{resumed} {'is' if filling.resumed == 1 else 'are'} queued again.")
    goes = filling.queued - filling.suppressed
    verb = "is" if goes == 1 else "are"
    click.echo(f"{_mails(goes)} {verb} queued as batch {filling.batch.public_id}.")
    known = filling.seen - filling.queued
    if known:
        click.echo(f"{known:,} {'is' if known == 1 else 'are'} in it already.")
    if filling.suppressed:
        verb = "is" if filling.suppressed == 1 else "are"
        click.echo(f"{filling.suppressed:,} {verb} kept back: suppressed, or at their limit.")


def _add(asked: _Asked, filling: batches.Filling, some: list[Any]) -> None:
    begins = filling.seen
    good = [one for _, one in some if not isinstance(one, Complaint)]
    if len(good) < len(some):
        raise InvalidInput("The file changed while it was read.")
    try:
        filling.add(good)
    except batches.RecipientError as error:
        session().rollback()
        raise InvalidInput(
            f"line {some[error.position - begins][0]}: {error.reason}",
            hint=f"{begins:,} rows before it are queued. Correct the line and run the "
            "command again "
            f"with --key {asked.key}",
        ) from error


def _lines(checked: Checked) -> int:
    return checked.count + len(checked.again)


def _bar(asked: _Asked) -> Any:
    out = console()
    if asked.as_json or not out.is_terminal:
        return nullcontext()
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=out, transient=True,
    )  # fmt: skip
