"""Roll a sender back: an old revision's values, and its secrets, as the newest revision.

Nothing old is changed. What may not be saved today may not come back either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from smtp_admin.audit.in_flight import in_flight
from smtp_admin.audit.models import Audit
from smtp_admin.audit.service import NETWORK, record_within
from smtp_admin.errors import Conflict, InvalidInput, NotFound, SecretError
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.providers.shape import usable_password
from smtp_admin.senders.drivers import check_change, check_driver
from smtp_admin.senders.fields import fields_of
from smtp_admin.senders.history import Change, changes, find_revision
from smtp_admin.senders.models import SenderRevision
from smtp_admin.senders.resolve import (
    DEFAULT_KEY,
    ResolvedSender,
    as_saved,
    load_sender,
    values_of,
)
from smtp_admin.senders.revisions import add_revision, check_values
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.hostname import ip_literal
from smtp_admin.smtp.session import Dialler
from smtp_admin.translation import gettext, said_by

_LOOK_UP_SECONDS = 3.0


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


def plan_rollback(
    session: Session, partner_id: str, number: int, *, actor: Actor, key: str = DEFAULT_KEY
) -> Plan:
    """What would change, and whether it can, as far as nobody has to be asked; nothing is changed.

    Whether its host may be dialled today shows when it is done.

    Raises:
        NotFound: there is no such revision.
    """
    obstacle: InvalidInput | SecretError | None = None
    current, target = _load(session, partner_id, number, key)
    try:
        _check_rules(number, target.fields, ask=False)
    except InvalidInput as error:
        obstacle = error
    found = _changes(session, current, target)
    if obstacle is None:
        try:
            _restorable(session, current, target, found, actor)
        except (InvalidInput, SecretError) as error:
            obstacle = error
    return Plan(number, current.revision, found, current.locked.get("password", ""), obstacle)


def roll_back(
    session: Session,
    partner_id: str,
    number: int,
    *,
    expected_revision: int,
    actor: Actor,
    key: str = DEFAULT_KEY,
) -> ResolvedSender:
    """Make the values of revision *number* the newest revision; the caller commits.

    The session's transaction ends before DNS is asked.

    Args:
        expected_revision: the revision in use that the person saw while deciding.

    Raises:
        NotFound: there is no such revision.
        Conflict: somebody else saved in the meantime; nothing was changed.
        InvalidInput: the environment holds a field, a rule forbids a value, a secret was not
            stored, or nothing would change.
        SecretError: a secret of the revision cannot be opened.
        RateLimited: this person asks too much of the network.
    """
    current, target = _load(session, partner_id, number, key)
    if current.revision != expected_revision:
        raise _overtaken(current)
    fields = target.fields
    with in_flight(partner_id):
        tried = _count_try(session, actor, partner_id, number, fields.get("host"))
        session.rollback()  # no transaction waits for DNS
        _check_rules(number, fields, ask=True)
    current, target = _load(session, partner_id, number, key)
    if current.revision != expected_revision:
        raise _overtaken(current)
    found = _changes(session, current, target)
    values, opened = _restorable(session, current, target, found, actor)
    try:
        made = add_revision(session, current, values, opened=opened, actor=actor, restores=target)
    except Conflict as error:
        raise _overtaken(load_sender(session, partner_id, key)) from error
    session.execute(delete(Audit).where(Audit.id.in_(tried)))  # it did not stay at trying
    return made


def _count_try(
    session: Session, actor: Actor, partner_id: str, number: int, host: str | None
) -> tuple[int, ...]:
    """Count what asks name servers for *host*, also where nothing comes of it; the audit entries.

    It is noted as what was asked for: nobody asked for DNS records.

    Raises:
        RateLimited: this person asks too much of the network.
    """
    if not host or ip_literal(host) is not None:
        return ()
    config = installation().config
    return record_within(
        session, actor, partner_id, "settings.rollback_tried", f"revision {number}",
        limit=config.test_limit, for_partner=config.partner_test_limit, of=NETWORK,
    )  # fmt: skip


def _load(
    session: Session, partner_id: str, number: int, key: str
) -> tuple[ResolvedSender, SenderRevision]:
    target = find_revision(session, partner_id, number, key)
    if target is None:
        raise NotFound
    return load_sender(session, partner_id, key), target


def _check_rules(number: int, fields: Mapping[str, Any], *, ask: bool) -> None:
    """Whether the destination may be dialled today; a name is looked up only with *ask*."""
    host, port = fields.get("host"), fields.get("port")
    if not host or not port:
        return
    policy = Dialler.from_config(installation().config).policy
    try:
        policy.check_port(port)
        if ask or ip_literal(host) is not None:
            policy.addresses(host, port, Deadline(_LOOK_UP_SECONDS))
    except SMTPFailure as failure:
        # A name that DNS does not know just now is the connection test's business.
        if failure.code == "destination_not_allowed":
            name = "port" if failure.step == "validate" else "host"
            raise InvalidInput(
                gettext(
                    "Revision %(number)s cannot be used again: %(message)s",
                    number=number,
                    message=failure.message,
                ),
                code=failure.code,
                hint=failure.hint,
                fields={name: [failure.message]},
            ) from failure


def _changes(
    session: Session, current: ResolvedSender, target: SenderRevision
) -> tuple[Change, ...]:
    """What would differ; what the environment holds stays."""
    newest = find_revision(session, current.partner_id, current.revision, current.key)
    return tuple(one for one in changes(newest, target) if one.field not in current.locked)


def _restorable(
    session: Session,
    current: ResolvedSender,
    target: SenderRevision,
    found: tuple[Change, ...],
    actor: Actor,
) -> tuple[SenderValues, dict[str, str]]:
    """The values of *target* and its secrets, if they may be used today."""
    number = target.number
    try:
        values = values_of(target)
    except LookupError as error:
        raise InvalidInput(
            gettext(
                "Revision %(number)s cannot be used again: %(error)s", number=number, error=error
            ),
            fields={"driver": [said_by(error)]},
        ) from error
    check_change(actor, current)
    check_driver(actor, values.driver)
    _refuse_locked(current, values, number)
    if not found:
        raise InvalidInput(
            gettext(
                "Revision %(number)s is already in use, so nothing would change.", number=number
            )
        )
    _check_again(session, current, values, number)
    keyring = installation().keyring
    opened: dict[str, str] = {}
    for one in fields_of(values.driver):
        called_for = one.needed(values) or one.used(values)
        if not one.secret or one.name in current.locked or not called_for:
            continue
        # Of a revision that was saved under a password of the environment there is none.
        source = as_saved(current, target) if one.name in target.secrets else current
        try:
            opened[one.name] = source.secret_for(one, values, keyring)
        except SecretError as error:
            raise type(error)(
                gettext(
                    "Revision %(number)s cannot be used again. %(message)s",
                    number=number,
                    message=error.message,
                ),
                hint=error.hint,
            ) from error
        except InvalidInput as error:
            raise InvalidInput(
                gettext(
                    "Revision %(number)s cannot be used again: its password was not stored.",
                    number=number,
                ),
                code=error.code,
                hint=gettext("Enter these settings with their password on the tab."),
            ) from error
    if "password" in opened:
        usable_password(values.host, values.username, opened["password"], values.from_email)
    wrong = values.kind.check({**values, **opened})
    if wrong:
        raise InvalidInput(fields=wrong)
    return values, opened


def _refuse_locked(current: ResolvedSender, values: SenderValues, number: int) -> None:
    held: dict[str, list[str]] = {}
    for one in fields_of(values.driver):
        variable = current.locked.get(one.name)
        if variable is None or one.secret or values[one.name] == current.values.get(one.name):
            continue
        before = one.words(values[one.name])
        held[one.name] = [
            gettext(
                "%(label)s is set by %(variable)s in the environment; revision "
                "%(number)s has %(before)s.",
                label=one.label,
                variable=variable,
                number=number,
                before=before,
            )
        ]
    if held:
        raise InvalidInput(
            gettext(
                "Revision %(number)s cannot be used again: the environment holds some "
                "of its fields.",
                number=number,
            ),
            hint=gettext(
                "Change or remove the variables where the app is started, or change "
                "the other fields on the tab."
            ),
            fields=held,
        )


def _check_again(
    session: Session, current: ResolvedSender, values: SenderValues, number: int
) -> None:
    """Whether today's cleaners would take what was saved then."""
    wrong: dict[str, list[str]] = {}
    for one in fields_of(values.driver):
        if one.secret:
            continue
        try:
            one.clean(one.text(values[one.name]))
        except ValueError as error:
            wrong[one.name] = [said_by(error)]
    if not wrong:
        try:
            check_values(session, current, values)
        except InvalidInput as error:
            wrong = error.fields
    if wrong:
        raise InvalidInput(
            gettext(
                "Revision %(number)s cannot be used again: it has values that are no "
                "longer accepted.",
                number=number,
            ),
            hint=gettext("Enter the settings on the tab instead."),
            fields=wrong,
        )


def _overtaken(current: ResolvedSender) -> Conflict:
    return Conflict(
        gettext(
            "%(who)s saved these settings while you were deciding. Nothing was overwritten.",
            who=current.saved_by or gettext("Someone else"),
        ),
        hint=gettext("Check the changes below. Roll back again if they are correct."),
    )
