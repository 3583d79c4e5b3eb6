"""Pauses that somebody begins or ends, and those that end because the settings may be right now."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from smtp_admin.audit.service import record_change
from smtp_admin.clock import sql_now
from smtp_admin.database import SYSTEM, changed, database_now
from smtp_admin.errors import Conflict, SecretError, SMTPAdminError
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import ResolvedSender, load_sender_by_id, overrides_for
from smtp_admin.translation import gettext

NO_PAUSE: dict[str, Any] = {
    "paused_until": None,
    "pause_code": "",
    "pause_cause": "",
    "pause_reason": "",
    "pause_reply": "",
    "pauses": 0,
    "refusals": 0,
    "resumed_at": sql_now(),
}
#: The code of a pause that somebody began; it ends when somebody ends it.
BY_HAND = "paused_by_hand"
_FOR_GOOD = timedelta(days=3650)
#: Why senders pause although a connection test of them succeeds.
_NOT_TESTED = ("rate_limited", "sender_refused", BY_HAND)


def pause(session: Session, sender: ResolvedSender, actor: Actor) -> None:
    """Send nothing by *sender* until somebody resumes it; the caller commits.

    Raises:
        Conflict: it no longer exists.
    """
    who = actor.name or actor.email or gettext("Somebody")
    paused = changed(
        session,
        update(Sender)
        .where(Sender.id == sender.sender_id, Sender.deleted_at.is_(None))
        .values(
            paused_until=database_now(session) + _FOR_GOOD,
            pause_code=BY_HAND,
            pause_cause="",
            pause_reason=gettext("%(who)s paused it.", who=who)[:500],
            pause_reply="",
        ),
    )
    if not paused:
        raise Conflict(gettext("This sender no longer exists. Nothing was changed."))
    record_change(session, actor, sender.partner_id, "sender.paused", sender.name)


def resume(session: Session, sender: ResolvedSender, actor: Actor) -> None:
    """Let *sender* try again now, whatever it paused for; the caller commits.

    Raises:
        Conflict: it is not paused.
    """
    ended = changed(
        session,
        update(Sender)
        .where(Sender.id == sender.sender_id, Sender.paused_until > database_now(session))
        .values(**NO_PAUSE),
    )
    if not ended:
        raise Conflict(gettext("This sender is not paused. Nothing was changed."))
    record_change(session, actor, sender.partner_id, "sender.resumed", sender.name)


def end_pause(session: Session, sender: ResolvedSender, actor: Actor) -> bool:
    """Let *sender* try again now, after a connection test of it succeeded; whether it was paused.

    A pause that such a test says nothing about stays. The caller commits.
    """
    ended = changed(
        session,
        update(Sender)
        .where(
            Sender.id == sender.sender_id,
            Sender.paused_until > database_now(session),
            Sender.pause_code.not_in(_NOT_TESTED),
        )
        .values(**NO_PAUSE),
    )
    if ended:
        record_change(session, actor, sender.partner_id, "sender.resumed", sender.name)
    return bool(ended)


def forget_pauses_of_the_start(session: Session) -> None:
    """Let senders try again whose settings may have changed where the app is started.

    Called when a worker starts, because nobody saves such settings on a page: the system's
    default sender if the environment holds some of it, and those whose secrets did not open and
    now do, because their key is back.
    """
    again: list[int] = []
    if overrides_for(SYSTEM).variables:
        default = (Sender.partner_id == SYSTEM, Sender.key == "", Sender.pause_code != BY_HAND)
        again += session.scalars(select(Sender.id).where(*default)).all()
    locked = session.scalars(select(Sender.id).where(Sender.pause_code == SecretError.code)).all()
    for sender_id in locked:
        sender = load_sender_by_id(session, sender_id)
        try:
            if sender is not None:
                sender.secrets_for(sender.values, installation().keyring)
                again.append(sender_id)
        except SMTPAdminError:
            continue
    if again:
        changed(
            session,
            update(Sender).where(Sender.id.in_(again), Sender.pause_code != "").values(**NO_PAUSE),
        )
