"""Roll a sender back: an old revision's values, and its password, as the newest revision.

Nothing old is changed. What may not be saved today may not come back either.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin.errors import Conflict, InvalidInput, NotFound, SecretError
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.senders import values as clean
from smtp_admin.senders.forms import SenderForm
from smtp_admin.senders.guidance import usable_password
from smtp_admin.senders.history import PASSWORD, Change, changes, find_revision, shown
from smtp_admin.senders.models import SenderRevision
from smtp_admin.senders.resolve import ResolvedSender, as_saved, load_sender, values_of
from smtp_admin.senders.revisions import add_revision, too_late
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.hostname import clean_host
from smtp_admin.smtp.session import Dialler

_LOOK_UP_SECONDS = 3.0
_READERS: Mapping[str, Callable[[str], Any]] = {
    "host": clean_host,
    "port": clean.clean_port,
    "username": clean.clean_username,
    "from_email": clean.clean_from_email,
    "from_name": clean.clean_from_name,
    "reply_to": clean.clean_reply_to,
    "max_per_hour": clean.clean_limit,
    "max_per_day": clean.clean_limit,
    "max_connections": clean.clean_connections,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What rolling back to a revision would do.

    Attributes:
        seen: the revision in use, which the person sees while deciding.
        changes: from the settings in use to those that would be.
        kept_password: the environment variable that holds the password, which then stays.
        obstacle: why it cannot be done, or ``None``.
    """

    number: int
    seen: int
    changes: tuple[Change, ...]
    kept_password: str = ""
    obstacle: InvalidInput | SecretError | None = None


def plan_rollback(session: Session, partner_id: str, number: int) -> Plan:
    """What would change, and whether it can; nothing is changed.

    The session's transaction ends before DNS is asked.

    Raises:
        NotFound: there is no such revision.
    """
    obstacle: InvalidInput | SecretError | None = None
    try:
        _check_rules(session, partner_id, number)
    except InvalidInput as error:
        obstacle = error
    current, target = _load(session, partner_id, number)
    found = _changes(session, current, target)
    if obstacle is None:
        try:
            _restorable(current, target, found)
        except (InvalidInput, SecretError) as error:
            obstacle = error
    return Plan(number, current.revision, found, current.locked.get(PASSWORD, ""), obstacle)


def roll_back(
    session: Session, partner_id: str, number: int, *, expected_revision: int, actor: Actor
) -> ResolvedSender:
    """Make the values of revision *number* the newest revision; the caller commits.

    The session's transaction ends before DNS is asked.

    Args:
        expected_revision: the revision in use that the person saw while deciding.

    Raises:
        NotFound: there is no such revision.
        Conflict: somebody else saved in the meantime; nothing was changed.
        InvalidInput: the environment holds a field, a rule forbids a value, the password was not
            stored, or nothing would change.
        SecretError: the revision's password cannot be opened.
    """
    _check_rules(session, partner_id, number)
    current, target = _load(session, partner_id, number)
    if current.revision != expected_revision:
        raise _overtaken(current)
    values = values_of(target)
    sealed = _restorable(current, target, _changes(session, current, target))
    set_at = None if sealed is None else target.password_set_at or current.password_set_at
    try:
        return add_revision(
            session,
            current,
            values,
            password_sealed=sealed,
            password_set_at=set_at,
            actor=actor,
            restores=number,
        )
    except Conflict as error:
        raise _overtaken(load_sender(session, partner_id)) from error


def _load(session: Session, partner_id: str, number: int) -> tuple[ResolvedSender, SenderRevision]:
    target = find_revision(session, partner_id, number)
    if target is None:
        raise NotFound
    return load_sender(session, partner_id), target


def _check_rules(session: Session, partner_id: str, number: int) -> None:
    """Whether the destination may be dialled today."""
    found = find_revision(session, partner_id, number)
    if found is None:
        raise NotFound
    host, port = found.host, found.port
    session.rollback()  # no transaction waits for DNS
    policy = Dialler.from_config(installation().config).policy
    try:
        policy.check_port(port)
        policy.addresses(host, port, Deadline(_LOOK_UP_SECONDS))
    except SMTPFailure as failure:
        # A name that DNS does not know just now is the connection test's business.
        if failure.code == "destination_not_allowed":
            name = "port" if failure.step == "validate" else "host"
            raise InvalidInput(
                f"Revision {number} cannot be used again: {failure.message}",
                code=failure.code,
                hint=failure.hint,
                fields={name: [failure.message]},
            ) from failure


def _changes(
    session: Session, current: ResolvedSender, target: SenderRevision
) -> tuple[Change, ...]:
    """What would differ; what the environment holds stays."""
    newest = find_revision(session, current.partner_id, current.revision)
    return tuple(one for one in changes(newest, target) if one.field not in current.locked)


def _restorable(
    current: ResolvedSender, target: SenderRevision, found: tuple[Change, ...]
) -> str | None:
    """The password of *target*, sealed with today's key, if its values may be used today."""
    values = values_of(target)
    _refuse_locked(current, values, target.number)
    if not found:
        raise InvalidInput(f"Revision {target.number} is what is in use: nothing would change.")
    complaints = _complaints(values)
    if complaints:
        raise InvalidInput(
            f"Revision {target.number} cannot be used again: it has values that are not taken "
            "any more.",
            hint="Enter the settings on the tab instead.",
            fields=complaints,
        )
    if PASSWORD in current.locked or not values.username:
        return None
    keyring = installation().keyring
    # Of a revision that was saved under a password of the environment there is none.
    source = current if target.password_sealed is None else as_saved(current, target)
    try:
        password = source.password_for(values.destination, keyring)
        usable_password(values.host, values.username, password, values.from_email)
        return keyring.seal(
            password, owner=current.partner_id, destination=values.destination.binding()
        )
    except SecretError as error:
        raise type(error)(
            f"Revision {target.number} cannot be used again. {error.message}", hint=error.hint
        ) from error
    except InvalidInput as error:
        if error.code != "password_required":
            raise
        raise InvalidInput(
            f"Revision {target.number} cannot be used again: its password was not stored.",
            code=error.code,
            hint="Enter these settings with their password on the tab.",
        ) from error


def _refuse_locked(current: ResolvedSender, values: SenderValues, number: int) -> None:
    held: dict[str, list[str]] = {}
    for name, variable in current.locked.items():
        if name == PASSWORD or getattr(values, name) == getattr(current.values, name):
            continue
        label = SenderForm()[name].label.text
        before = shown(name, getattr(values, name))
        held[name] = [
            f"{label} is set by {variable} in the environment; revision {number} has {before}."
        ]
    if held:
        raise InvalidInput(
            f"Revision {number} cannot be used again: the environment holds some of its fields.",
            hint="Change or remove the variables where the app is started, or change the other "
            "fields on the tab.",
            fields=held,
        )


def _complaints(values: SenderValues) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, read in _READERS.items():
        value = getattr(values, name)
        try:
            read("" if value is None else str(value))
        except ValueError as error:
            found[name] = [str(error)]
    return found


def _overtaken(current: ResolvedSender) -> Conflict:
    return Conflict(
        too_late(current).message.replace("editing them", "deciding"),
        hint="Look at what it would change now, and roll back again if that is right.",
    )
