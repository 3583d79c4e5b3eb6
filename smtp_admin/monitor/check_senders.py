"""Senders and their mail: what waits, who is paused and why, which servers have an address."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, database_now, session
from smtp_admin.delivery.models import IS_QUEUED, Delivery
from smtp_admin.delivery.queries import summary
from smtp_admin.diagnosis.explanation import explain_pause
from smtp_admin.installation import installation
from smtp_admin.monitor.health import Check, Status
from smtp_admin.providers.catalogue import provider_of_host
from smtp_admin.sender_state.facts import states_of
from smtp_admin.sender_state.state import LATE, PAUSED, TOO_LATE, Key, State
from smtp_admin.sender_state.words import span_words
from smtp_admin.senders.fields import all_fields
from smtp_admin.senders.in_commands import arguments_of, options_of
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

#: Fine senders that are shown one by one.
_MOST_FINE = 20
#: Senders that a check names one by one.
_MOST_NAMED = 5
_LOOKUP_SECONDS, _ALL_LOOKUPS_SECONDS = 3.0, 8.0


def mail() -> Iterator[Check]:
    """Whether mail that could go out does."""
    with_session = session()
    moment = database_now(with_session)
    late = max(
        (moment - state.since for _, state in _with_due_mail(with_session, moment)
         if state.key in {"late", "no_worker"} and state.since is not None),
        default=timedelta(),
    )  # fmt: skip
    numbers = summary(with_session, None)
    waiting = f"{numbers.pending:,} waiting, {numbers.dead:,} dead letters, "
    waiting += f"{numbers.uncertain:,} with an unknown outcome."
    if late > LATE:
        yield Check("mail", "failed" if late > TOO_LATE else "warning",
                    f"Mail has been due for {span_words(late)}, but no worker sends it. {waiting}",
                    "Check that a worker runs, and check its log.")  # fmt: skip
    else:
        yield Check("mail", "ok", waiting)


def environment() -> Iterator[Check]:
    """The variables that override the system's sender."""
    here = installation()
    found = overrides_for(SYSTEM)
    for problem in found.problems:
        yield Check("environment", "failed", f"{problem}",
                    "Correct it where the app is started. Then restart app and "
                    "workers.")  # fmt: skip
    for field in all_fields():
        names = [here.config.env_prefix + one.name for one in field.variables]
        texts = {name: here.environment[name] for name in names if here.environment.get(name)}
        used, *unused = texts or [""]
        for name in unused:
            if texts[name] != texts[used]:
                yield Check("environment", "warning", f"{name} is ignored, because "
                    f"{used} is set to a "
                            "different value.", "Remove one of them.")  # fmt: skip
    if not found.variables:
        yield Check("environment", "ok", "No variable overrides the system's sender.")
    elif not found.problems:
        names = sorted(found.variables.values())
        yield Check("environment", "ok", f"Of the system's sender it holds {', '.join(names)}.")


def senders() -> Iterator[Check]:
    """The state of every sender, the system's first."""
    with_session = session()
    system = load_sender(with_session, SYSTEM)
    there = select(Sender).where(Sender.deleted_at.is_(None))
    rows = with_session.scalars(there.order_by(Sender.partner_id, Sender.key)).all()
    own = [resolve(with_session, row, row.partner_id, row.key) for row in rows]
    # Mail of those without settings goes out by another.
    shown = [system, *(one for one in own if one.configured and one.sender_id != system.sender_id)]
    fine = 0
    for sender, state in zip(shown, states_of(with_session, shown), strict=True):
        check = _check(sender, state)
        fine += check.status == "ok" and sender is not system
        if check.status != "ok" or fine <= _MOST_FINE:
            yield check
    if fine > _MOST_FINE:
        yield Check("sender", "ok", f"{fine - _MOST_FINE} more are fine.", subject="partners")


def passwords() -> Iterator[Check]:
    """How many senders log in to Microsoft 365 with a password, which ends."""
    with_session = session()
    there = select(Sender).where(Sender.deleted_at.is_(None))
    rows = with_session.scalars(there.order_by(Sender.partner_id, Sender.key))
    found = [
        name_of(sender)
        for sender in (resolve(with_session, row, row.partner_id, row.key) for row in rows)
        if sender.values.username and not sender.values.sign_in and _is_microsoft(sender)
    ]
    if not found:
        yield Check("passwords", "ok", "No sender logs in to Microsoft 365 with a password.")
        return
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    yield Check(
        "passwords",
        "warning",
        f"Senders that log in to Microsoft 365 with a password: {len(found)} "
        f"({'; '.join(found[:_MOST_NAMED])}{more}).",
        "At the end of December 2026 Microsoft switches these passwords off by default. Choose "
        "OAuth2 in “Sign in by” of these senders: docs/oauth2.md.",
    )


def _is_microsoft(sender: ResolvedSender) -> bool:
    known = provider_of_host(sender.values.host)
    return known is not None and known.key == "microsoft365"


def servers() -> Iterator[Check]:
    """Whether the mail servers of all senders have an address that may be dialled."""
    policy = Dialler.from_config(installation().config).policy
    wanted: dict[tuple[str, int], str] = {}
    there = select(Sender).where(Sender.deleted_at.is_(None))
    for row in session().scalars(there.order_by(Sender.partner_id, Sender.key)):
        sender = resolve(session(), row, row.partner_id, row.key)
        if sender.configured and not sender.problems and sender.values.host:
            place = (sender.values.host, sender.values.port)
            wanted.setdefault(place, name_of(sender))
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
        yield Check("servers", "ok", "No sender has a mail server yet.")
    elif looked < len(wanted):
        yield Check("servers", "warning", f"Only {looked} of {len(wanted)} mail servers were "
                    "looked up in time.", "The DNS server is slow.")  # fmt: skip
    else:
        yield Check("servers", "ok", f"{looked} mail server{'' if looked == 1 else 's'} looked up "
                    "by name.")  # fmt: skip


def _check(sender: ResolvedSender, state: State) -> Check:
    """A state as a check: the same words as everywhere, and what to do about it."""
    status, message, hint = _STATUS.get(state.key, "ok"), state.sentence, ""
    if state.key == "problem":
        hint = password_trouble(sender)[1] if sender.configured else ""
        if sender.problems:
            hint = "A variable is named at “environment”, too."
    elif state.key == "unconfigured":
        # A partner without settings of its own has no sender; this is the system's.
        status = "failed" if state.waiting else "warning"
        message += " That is mail of the system, and of partners without settings."
        hint = f"Run `flask smtp-admin wizard{options_of(sender)}`, or fill in its page."
    elif state.key == "no_worker":
        status = "warning" if state.waiting else "ok"
        hint = "See “workers”." if state.waiting else ""
    elif state.key == "paused_by_hand":
        status = "warning"
        command = f"flask smtp-admin senders resume {arguments_of(sender)}"
        hint = f"Resume it on its page, or with `{command}`."
    elif state.key in PAUSED:
        names = ", ".join(sender.values.fallbacks)
        covered = bool(names) and state.key != "rate_limited"
        status = "warning" if covered or state.key == "rate_limited" else "failed"
        message += f" {names} takes over." if covered else " Its mail waits."
        explained = explain_pause(session(), sender)
        hint = explained.hint if explained else ""
    return Check("sender", status, message, hint, name_of(sender))


#: Of those whose status follows from nothing else.
_STATUS: dict[Key, Status] = {"problem": "failed", "failing": "warning", "late": "warning"}


def _with_due_mail(
    with_session: Session, moment: datetime
) -> Iterator[tuple[ResolvedSender, State]]:
    """Every sender whose mail could go out, with its state."""
    ids = with_session.scalars(
        select(Delivery.sender_id).where(IS_QUEUED, Delivery.next_attempt_at <= moment).distinct()
    ).all()
    rows = with_session.scalars(select(Sender).where(Sender.id.in_(ids))).all()
    found = [resolve(with_session, row, row.partner_id, row.key) for row in rows]
    yield from zip(found, states_of(with_session, found), strict=True)


def name_of(sender: ResolvedSender | Sender) -> str:
    """Whose sender it is, and which, as checks say it."""
    whose = f"partner {sender.partner_id}" if sender.partner_id else "the system"
    return f"{whose}, sender {sender.key}" if sender.key else whose
