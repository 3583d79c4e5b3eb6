"""Save a sender's settings as its next revision."""

from dataclasses import asdict
from datetime import datetime

from flask import current_app
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from smtp_admin.audit.service import record
from smtp_admin.clock import now
from smtp_admin.database import SYSTEM, changed, database_now
from smtp_admin.errors import Conflict, InvalidInput, SecretError, SMTPAdminError
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.resolve import ResolvedSender, load_sender, overrides_for
from smtp_admin.senders.values import SenderValues
from smtp_admin.signals import settings_changed

_NO_PAUSE = {
    "paused_until": None,
    "pause_code": "",
    "pause_reason": "",
    "pauses": 0,
    "refusals": 0,
}
#: Why senders pause although a connection test of them succeeds.
_NOT_TESTED = ("rate_limited", "sender_refused")


def save_settings(
    session: Session,
    partner_id: str,
    values: SenderValues,
    *,
    password: str,
    expected_revision: int,
    actor: Actor,
) -> ResolvedSender:
    """Make *values* the current settings of *partner_id*; the caller commits.

    Args:
        password: as typed; empty keeps the stored one, which is only possible for the
            destination that it was stored for.
        expected_revision: the revision that the person saw while editing, 0 for none.

    Raises:
        Conflict: somebody else saved in the meantime; nothing was changed.
        InvalidInput: ``password_required``.
        SecretError: there is no key to seal the password with.
    """
    current = load_sender(session, partner_id)
    if current.revision != expected_revision:
        raise too_late(current)
    sealed, set_at = _seal(current, values, password)
    return add_revision(
        session,
        current,
        values,
        password_sealed=sealed,
        password_set_at=set_at,
        actor=actor,
    )


def add_revision(
    session: Session,
    current: ResolvedSender,
    values: SenderValues,
    *,
    password_sealed: str | None,
    password_set_at: datetime | None,
    actor: Actor,
    restores: int | None = None,
) -> ResolvedSender:
    """Make *values* the revision after *current*, and the one that applies; the caller commits.

    Args:
        password_sealed: for the destination of *values*.
        restores: the number of the revision that these values are, when rolling back.

    Raises:
        Conflict: somebody else was faster; nothing was changed.
    """
    partner_id, number = current.partner_id, current.revision + 1
    sender_id = current.sender_id or _create_sender(session, partner_id)
    moved = changed(
        session,
        update(Sender)
        .where(Sender.id == sender_id, Sender.current_revision == current.revision)
        .values(
            current_revision=number,
            # What was wrong may be right now: the next mail finds out.
            **_NO_PAUSE,
        ),
    )
    if moved != 1:
        session.rollback()  # what was read before is old now
        raise too_late(load_sender(session, partner_id))
    session.add(
        SenderRevision(
            sender_id=sender_id,
            number=number,
            password_sealed=password_sealed,
            password_set_at=password_set_at,
            created_by=actor.name or actor.email,
            restores=restores,
            **asdict(values),
        )
    )
    session.flush()
    session.expire_all()
    if restores is None:
        record(session, actor, partner_id, "settings.saved", f"revision {number}")
    else:
        detail = f"revision {number} with the values of {restores}"
        record(session, actor, partner_id, "settings.rolled_back", detail)
    settings_changed.send(
        current_app._get_current_object(),  # type: ignore[attr-defined]  # werkzeug's LocalProxy
        session=session,
        sender_id=sender_id,
        partner_id=partner_id,
        revision=number,
    )
    return load_sender(session, partner_id)


def forget_pauses_of_the_start(session: Session) -> None:
    """Let senders try again whose settings may have changed where the app is started.

    Called when a worker starts, because nobody saves such settings on a page: the system's
    sender if the environment holds some of it, and those whose password did not open and now
    does, because its key is back.
    """
    again = []
    if overrides_for(SYSTEM).variables:
        again.append(SYSTEM)
    keyring = installation().keyring
    locked = session.scalars(
        select(Sender.partner_id).where(Sender.pause_code == SecretError.code)
    ).all()
    for partner_id in locked:
        sender = load_sender(session, partner_id)
        try:
            sender.password_for(sender.values.destination, keyring)
        except SMTPAdminError:
            continue
        again.append(partner_id)
    if again:
        changed(
            session,
            update(Sender)
            .where(Sender.partner_id.in_(again), Sender.pause_code != "")
            .values(**_NO_PAUSE),
        )


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
        .values(**_NO_PAUSE),
    )
    if ended:
        record(session, actor, sender.partner_id, "sender.resumed")
    return bool(ended)


def _seal(
    current: ResolvedSender, values: SenderValues, typed: str
) -> tuple[str | None, datetime | None]:
    keyring = installation().keyring
    destination = values.destination
    if typed and not values.username:
        raise InvalidInput(
            fields={"username": ["Enter the login that belongs to this password."]},
        )
    if "password" in current.locked:
        return None, None
    password = current.password_for(destination, keyring, typed)
    if not password:
        return None, None
    sealed = keyring.seal(password, owner=current.partner_id, destination=destination.binding())
    return sealed, (now() if typed else current.password_set_at)


def _create_sender(session: Session, partner_id: str) -> int:
    sender = Sender(partner_id=partner_id)
    session.add(sender)
    try:
        session.flush()
    except IntegrityError as error:
        session.rollback()
        raise too_late(load_sender(session, partner_id)) from error
    return sender.id


def too_late(current: ResolvedSender) -> Conflict:
    """What somebody hears who changes settings that are not the newest any more."""
    who = current.saved_by or "Somebody else"
    return Conflict(
        f"{who} saved these settings while you were editing them. Nothing was overwritten.",
        hint="What differs is marked below. Save again if yours is right.",
    )
