"""Senders and their mail: what waits, who is paused and why, which servers have an address."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, database_now, session
from smtp_admin.delivery.limits import allowance
from smtp_admin.delivery.models import IS_QUEUED, Delivery, Lane
from smtp_admin.delivery.queries import summary
from smtp_admin.diagnosis.diagnose import diagnose
from smtp_admin.installation import installation
from smtp_admin.monitor.health import Check, Status
from smtp_admin.monitor.overview import ago
from smtp_admin.senders.fields import all_fields
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import (
    ResolvedSender,
    load_sender,
    overrides_for,
    password_trouble,
    resolve,
)
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.session import Dialler

#: How long mail may be due without anybody sending it.
LATE, TOO_LATE = timedelta(seconds=60), timedelta(minutes=10)
_JUST_NOW = timedelta(seconds=60)
_FOR_GOOD = timedelta(days=365)
#: Fine senders that are shown one by one.
_MOST_FINE = 20
_LOOKUP_SECONDS, _ALL_LOOKUPS_SECONDS = 3.0, 8.0


def mail() -> Iterator[Check]:
    """Whether mail that could go out does."""
    with_session = session()
    moment = database_now(with_session)
    late = max(
        (moment - since for sender_id, since in _due(with_session, moment).items()
         if _should_go(with_session, sender_id, moment)),
        default=timedelta(),
    )  # fmt: skip
    numbers = summary(with_session, None)
    waiting = f"{numbers.pending:,} waiting, {numbers.dead:,} dead letters, "
    waiting += f"{numbers.uncertain:,} with an unknown outcome."
    if late > LATE:
        yield Check("mail", "failed" if late > TOO_LATE else "warning",
                    f"Mail has been due for {_span(late)}, and nobody sends it. {waiting}",
                    "Look whether a worker runs, and at its log.")  # fmt: skip
    else:
        yield Check("mail", "ok", waiting)


def environment() -> Iterator[Check]:
    """The variables that override the system's sender."""
    here = installation()
    found = overrides_for(SYSTEM)
    for problem in found.problems:
        yield Check("environment", "failed", f"{problem}",
                    "Correct it where the app is started, and start app and workers "
                    "again.")  # fmt: skip
    for field in all_fields():
        names = [here.config.env_prefix + one.name for one in field.variables]
        texts = {name: here.environment[name] for name in names if here.environment.get(name)}
        used, *unused = texts or [""]
        for name in unused:
            if texts[name] != texts[used]:
                yield Check("environment", "warning", f"{name} is ignored, because {used} is set "
                            "and says something else.", "Take one of them out.")  # fmt: skip
    if not found.variables:
        yield Check("environment", "ok", "No variable overrides the system's sender.")
    elif not found.problems:
        names = sorted(found.variables.values())
        yield Check("environment", "ok", f"Of the system's sender it holds {', '.join(names)}.")


def senders() -> Iterator[Check]:
    """The state of every sender, the system's first."""
    with_session = session()
    moment = database_now(with_session)
    due = _due(with_session, moment)
    rows = with_session.scalars(
        select(Sender).where(Sender.deleted_at.is_(None)).order_by(Sender.partner_id, Sender.key)
    ).all()
    system = load_sender(with_session, SYSTEM)
    yield _state(system, moment, waiting=system.sender_id in due)
    fine = 0
    for row in rows:
        sender = resolve(with_session, row, row.partner_id, row.key)
        if not sender.configured or sender.sender_id == system.sender_id:
            continue  # its mail goes out by another
        check = _state(sender, moment, waiting=False)
        fine += check.status == "ok"
        if check.status != "ok" or fine <= _MOST_FINE:
            yield check
    if fine > _MOST_FINE:
        yield Check("sender", "ok", f"{fine - _MOST_FINE} more are fine.", subject="partners")


def servers() -> Iterator[Check]:
    """Whether the mail servers of all senders have an address that may be dialled."""
    policy = Dialler.from_config(installation().config).policy
    wanted: dict[tuple[str, int], str] = {}
    there = select(Sender).where(Sender.deleted_at.is_(None))
    for row in session().scalars(there.order_by(Sender.partner_id, Sender.key)):
        sender = resolve(session(), row, row.partner_id, row.key)
        if sender.configured and not sender.problems and sender.values.host:
            place = (sender.values.host, sender.values.port)
            wanted.setdefault(place, _name(sender))
    session().rollback()  # nothing waits for a name service with a transaction open
    overall = Deadline(_ALL_LOOKUPS_SECONDS)
    looked = 0
    for (host, port), whose in wanted.items():
        if overall.remaining() <= 0:
            break
        looked += 1
        try:
            policy.check_port(port)
            policy.addresses(host, port, Deadline(_LOOKUP_SECONDS, overall))
        except SMTPFailure as error:
            yield Check("servers", "failed", f"{host}, port {port}: {error.message}", error.hint,
                        subject=whose)  # fmt: skip
    if not wanted:
        yield Check("servers", "ok", "No sender names a mail server yet.")
    elif looked < len(wanted):
        yield Check("servers", "warning", f"Only {looked} of {len(wanted)} mail servers were "
                    "looked up in time.", "The name service is slow.")  # fmt: skip
    else:
        yield Check("servers", "ok", f"{looked} mail server{'' if looked == 1 else 's'} looked up "
                    "by name.")  # fmt: skip


def _state(sender: ResolvedSender, moment: datetime, *, waiting: bool) -> Check:
    def check(status: Status, message: str, hint: str = "") -> Check:
        return Check("sender", status, message, hint, _name(sender))

    if sender.problems:
        return check("failed", f"It sends nothing: {' '.join(sender.problems)}",
                     "A variable is named at “environment”, too.")  # fmt: skip
    if not sender.configured:
        # A partner without settings of its own has no sender; this is the system's.
        return check(
            "failed" if waiting else "warning",
            "Not configured: mail of the system, and of partners without settings, waits"
            f"{', and some is waiting now' if waiting else ''}.",
            "Run `flask smtp-admin wizard`, or fill in its page.",
        )
    trouble, hint = password_trouble(sender)
    if trouble:
        return check("failed", trouble, hint)
    if sender.paused_until is not None and sender.paused_until > moment:
        return check(*_pause(sender, sender.paused_until, moment))
    if sender.last_accepted_at is None:
        return check("ok", f"Ready, by {sender.values.place()}; nothing has been sent yet.")
    return check("ok", f"Last accepted {ago(sender.last_accepted_at)} by {sender.values.place()}.")


def _pause(sender: ResolvedSender, until: datetime, moment: datetime) -> tuple[Status, str, str]:
    values, code = sender.values, sender.pause_code
    covered = bool(values.fallbacks) and code != "rate_limited"
    status: Status = "warning" if covered or code == "rate_limited" else "failed"
    meanwhile = f"{', '.join(values.fallbacks)} steps in" if covered else "its mail waits"
    ends = "until its settings change" if until - moment > _FOR_GOOD else f"until {until:%H:%M} UTC"
    found = diagnose(
        code,
        reply_text=sender.pause_reply,
        message=sender.pause_reason,
        host=values.host,
        port=values.port or None,
        security=values.security,
        username=values.username,
        from_email=values.from_email,
    )
    return status, f"Paused {ends}, {meanwhile}: {sender.pause_text}", found.hint


def _due(with_session: Session, moment: datetime) -> dict[int, datetime]:
    """Sender → since when its oldest mail could have gone out."""
    rows = with_session.execute(
        select(Delivery.sender_id, func.min(Delivery.next_attempt_at))
        .where(IS_QUEUED, Delivery.next_attempt_at <= moment)
        .group_by(Delivery.sender_id)
    )
    return {int(sender_id): since for sender_id, since in rows}


def _should_go(with_session: Session, sender_id: int, moment: datetime) -> bool:
    """Whether nothing keeps this sender from sending, and yet it does not."""
    row = with_session.get(Sender, sender_id)
    if row is None or (row.paused_until is not None and row.paused_until > moment):
        return False
    sender = resolve(with_session, row, row.partner_id, row.key)
    accepted = sender.last_accepted_at
    if not sender.configured or sender.problems:
        return False
    if accepted is not None and moment - accepted < _JUST_NOW:
        return False
    if allowance(with_session, sender_id, sender.values, moment).others == 0:
        return False
    held = select(Lane.id).where(Lane.sender_id == sender_id, Lane.lease_until > moment)
    return with_session.scalar(held.limit(1)) is None


def _name(sender: ResolvedSender) -> str:
    whose = f"partner {sender.partner_id}" if sender.partner_id else "the system"
    return f"{whose}, sender {sender.key}" if sender.key else whose


def _span(time: timedelta) -> str:
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
