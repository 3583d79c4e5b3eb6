"""Save a sender's settings as its next revision; add, relabel and delete senders."""

from collections.abc import Mapping, Sequence

from flask import current_app
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from smtp_admin.audit.service import record_change
from smtp_admin.clock import now
from smtp_admin.database import SYSTEM, changed, database_now
from smtp_admin.errors import Conflict, InvalidInput, SecretError
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.senders.cleaning import DEFAULT, SYSTEMS, clean_key
from smtp_admin.senders.drivers import check_change, check_driver
from smtp_admin.senders.fields import fields_of
from smtp_admin.senders.history import find_revision
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.pauses import BY_HAND, NO_PAUSE
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, as_saved, load_sender
from smtp_admin.senders.routing import senders_of
from smtp_admin.senders.secrets import Bound, StoredSecret, read_secrets
from smtp_admin.senders.values import SenderValues
from smtp_admin.signals import settings_changed
from smtp_admin.smtp.address import check_header_text, domain_of, is_within
from smtp_admin.translation import gettext, said_by

_LONGEST_LABEL = 80
_MOST_PORTS = 10


def save_settings(
    session: Session,
    partner_id: str,
    values: SenderValues,
    *,
    secrets: Mapping[str, str],
    expected_revision: int,
    actor: Actor,
    key: str = DEFAULT_KEY,
    label: str | None = None,
) -> ResolvedSender:
    """Make *values* the current settings of a sender; the caller commits.

    What is saved already makes no revision: then the sender comes back with the revision that it
    had. A pause ends all the same, and a new label is taken.

    Args:
        secrets: as typed, by name; what is empty or missing keeps the stored one, which is only
            possible for the destination that it was stored for.
        expected_revision: the revision that the person saw while editing, 0 for none.
        key: of a sender that is there, or of one that this adds.
        label: what people are to call it; ``None`` leaves that as it is.

    Raises:
        Conflict: somebody else saved in the meantime; nothing was changed.
        InvalidInput: ``password_required``, or something that cannot be used.
        SecretError: there is no key to seal a secret with.
    """
    current = load_sender(session, partner_id, key)
    if current.revision != expected_revision:
        raise too_late(current)
    _check_key(key)
    check_change(actor, current)
    check_driver(actor, values.driver)
    check_values(session, current, values)
    opened = _opened(current, values, secrets)
    clean_label_text = None if label is None else clean_label(label)
    return add_revision(
        session, current, values, opened=opened, typed=secrets, actor=actor, label=clean_label_text
    )


def _check_key(key: str) -> None:
    """Return if a sender can have this key, exactly as it is written."""
    try:
        if key != DEFAULT_KEY and clean_key(key) != key:
            raise ValueError(gettext("A key has 1 to 40 of these: a-z, 0-9, hyphen."))
    except ValueError as error:
        raise InvalidInput(fields={"key": [said_by(error)]}) from error


def check_values(session: Session, current: ResolvedSender, values: SenderValues) -> None:
    """Return if *values* are complete, and name only senders that there are.

    Raises:
        InvalidInput: with every field that needs another look.
    """
    wrong = values.missing()
    wrong |= _wrong_fallbacks(session, current, values.fallbacks)
    allowed = installation().config.allowed_ports
    if "port" in values and values.port not in allowed and "port" not in current.locked:
        listed = ", ".join(str(one) for one in sorted(allowed)[:_MOST_PORTS])
        wrong["port"] = [
            gettext(
                "This platform does not connect to port %(port)s. Use one of these: %(listed)s.",
                port=values.port,
                listed=listed,
            )
        ]
    bounces = domain_of(str(values.get("bounce_address", "")))
    if bounces and not is_within(bounces, domain_of(values.from_email)):
        wrong["bounce_address"] = [
            gettext(
                "Its domain must be %(domain)s, or a subdomain of it.",
                domain=domain_of(values.from_email),
            )
        ]
    if wrong:
        raise InvalidInput(fields=wrong)


def _wrong_fallbacks(
    session: Session, current: ResolvedSender, names: Sequence[str]
) -> dict[str, list[str]]:
    """What is wrong with them; most senders have none, and then nothing is looked up."""
    wrong = {}
    others = [one for one in names if one != SYSTEMS or current.partner_id == SYSTEM]
    own = {one.key or DEFAULT for one in senders_of(session, current.partner_id)} if others else ()
    for name in others:
        if name == (current.key or DEFAULT):
            wrong["fallbacks"] = [gettext("A sender cannot be its own fallback.")]
        elif name not in own:
            wrong["fallbacks"] = [gettext("There is no sender %(name)s here.", name=repr(name))]
    return wrong


def clean_label(text: str) -> str:
    """What people call a sender.

    Raises:
        InvalidInput: it cannot be shown.
    """
    try:
        label = check_header_text(" ".join(text.split()))
        if len(label) > _LONGEST_LABEL:
            raise ValueError(
                gettext(
                    "A label has at most %(most)s characters.",
                    most=_LONGEST_LABEL,
                )
            )
    except ValueError as error:
        raise InvalidInput(fields={"label": [said_by(error)]}) from error
    return label


def _opened(
    current: ResolvedSender, values: SenderValues, typed: Mapping[str, str]
) -> dict[str, str]:
    """The secrets to store with *values*, those of the environment left out."""
    keyring = installation().keyring
    found = {
        one.name: current.secret_for(one, values, keyring, typed.get(one.name, ""))
        for one in fields_of(values.driver)
        if one.secret and one.name not in current.locked
    }
    wrong = values.kind.check({**values, **found})
    if wrong:
        raise InvalidInput(fields=wrong)
    return found


def add_revision(
    session: Session,
    current: ResolvedSender,
    values: SenderValues,
    *,
    opened: Mapping[str, str],
    actor: Actor,
    typed: Mapping[str, str] | None = None,
    restores: SenderRevision | None = None,
    label: str | None = None,
) -> ResolvedSender:
    """Make *values* the revision after *current*, and the one that applies; the caller commits.

    Where nothing would differ there is none; see :func:`save_settings`.

    Args:
        opened: the secrets to store, by name.
        typed: those of them that were entered just now.
        restores: the revision that these values are, when rolling back.

    Raises:
        Conflict: somebody else was faster; nothing was changed.
    """
    if any(opened.values()):
        installation().keyring.require()  # before anything is written
    partner_id, key = current.partner_id, current.key
    same = _is_saved(session, current, values, opened)
    number = current.revision if same else current.revision + 1
    sender_id = current.sender_id or _create_sender(session, partner_id, key)
    relabelled = {} if label is None else {"label": label}
    # What was wrong may be right now: the next mail finds out. A person's own pause stays.
    resumed = {} if current.pause_code == BY_HAND else NO_PAUSE
    moved = changed(
        session,
        update(Sender)
        .where(Sender.id == sender_id, Sender.current_revision == current.revision)
        .values(current_revision=number, deleted_at=None, **resumed, **relabelled),
    )
    if moved != 1:
        session.rollback()  # what was read before is old now
        raise too_late(load_sender(session, partner_id, key))
    if same:
        if current.paused_until is not None and resumed:
            record_change(session, actor, partner_id, "sender.resumed", current.name)
        session.expire_all()
        _tell(session, sender_id, partner_id, number)
        return load_sender(session, partner_id, key)
    session.add(
        SenderRevision(
            sender_id=sender_id,
            number=number,
            created_by=actor.name or actor.email,
            restores=restores.number if restores else None,
            secrets=_sealed(current, sender_id, values, opened, typed or {}, restores),
            **_stored(values),
        )
    )
    session.flush()
    session.expire_all()
    which = f" of {current.name}" if key != DEFAULT_KEY else ""
    if restores is None:
        record_change(session, actor, partner_id, "settings.saved", f"revision {number}{which}")
    else:
        detail = f"revision {number}{which} with the values of {restores.number}"
        record_change(session, actor, partner_id, "settings.rolled_back", detail)
    _tell(session, sender_id, partner_id, number)
    return load_sender(session, partner_id, key)


def _is_saved(
    session: Session, current: ResolvedSender, values: SenderValues, opened: Mapping[str, str]
) -> bool:
    """Whether the newest revision says exactly that, secrets included."""
    saved = find_revision(session, current.partner_id, current.revision, current.key)
    if saved is None or current.deleted:
        return False
    try:
        before = as_saved(current, saved)
        if before.values != values:
            return False
        keyring = installation().keyring
        stored = {
            one.name: before.secret_for(one, values, keyring)
            for one in fields_of(values.driver)
            if one.secret and one.name in saved.secrets
        }
    except (LookupError, InvalidInput, SecretError):  # what cannot be read is written anew
        return False
    return _not_empty(stored) == _not_empty(opened)


def _not_empty(secrets: Mapping[str, str]) -> dict[str, str]:
    return {name: secret for name, secret in secrets.items() if secret}


def _stored(values: SenderValues) -> dict[str, object]:
    """The columns of *values*, and the document for the rest."""
    columns = {one.name for one in fields_of(values.driver) if one.column}
    return {name: value for name, value in values.items() if name in columns} | {
        "fields": {name: value for name, value in values.items() if name not in columns}
    }


def _sealed(
    current: ResolvedSender,
    sender_id: int,
    values: SenderValues,
    opened: Mapping[str, str],
    typed: Mapping[str, str],
    restores: SenderRevision | None,
) -> dict[str, dict[str, str | None]]:
    keyring = installation().keyring
    bound = Bound(current.partner_id, sender_id, values.destination)
    found = {}
    for one in fields_of(values.driver):
        secret = opened.get(one.name, "")
        if not one.secret or not secret:
            continue
        set_at = current.secret_set_at(one.name)
        if typed.get(one.name):
            set_at = now()
        elif restores is not None and one.name in restores.secrets:
            set_at = read_secrets(restores.secrets)[one.name].set_at or set_at
        found[one.name] = StoredSecret(bound.seal(keyring, one, secret), set_at).as_json()
    return found


def delete_sender(session: Session, sender: ResolvedSender, actor: Actor) -> None:
    """Hide *sender*: nothing is queued for it or sent by it from now on; the caller commits.

    Its history stays, and adding a sender with its key brings it back. Its waiting mail is moved
    by the worker, as a fallback would; see :mod:`smtp_admin.delivery.maintenance.fallback`.

    Raises:
        Conflict: it is the system's default, which everything ends at, or it is not there.
        InvalidInput: its driver is not for this person.
    """
    if sender.partner_id == SYSTEM and sender.key == DEFAULT_KEY:
        raise Conflict(
            gettext(
                "The system's default sender cannot be deleted, because it sends all "
                "mail without another sender."
            ),
            hint=gettext("Pause it, or enter other settings."),
        )
    check_change(actor, sender)
    gone = changed(
        session,
        update(Sender)
        .where(Sender.id == sender.sender_id, Sender.deleted_at.is_(None))
        .values(deleted_at=database_now(session), **NO_PAUSE),
    )
    if not gone:
        raise Conflict(gettext("This sender no longer exists. Nothing was changed."))
    record_change(session, actor, sender.partner_id, "sender.deleted", sender.name)
    session.expire_all()
    _tell(session, sender.sender_id, sender.partner_id, sender.revision)


def _tell(session: Session, sender_id: int, partner_id: str, revision: int) -> None:
    settings_changed.send(
        current_app._get_current_object(),  # type: ignore[attr-defined]  # werkzeug's LocalProxy
        session=session,
        sender_id=sender_id,
        partner_id=partner_id,
        revision=revision,
    )


def _create_sender(session: Session, partner_id: str, key: str) -> int:
    sender = Sender(partner_id=partner_id, key=key)
    session.add(sender)
    try:
        session.flush()
    except IntegrityError as error:
        session.rollback()
        raise too_late(load_sender(session, partner_id, key)) from error
    return sender.id


def too_late(current: ResolvedSender) -> Conflict:
    """What somebody hears who changes settings that are not the newest any more."""
    who = current.saved_by or gettext("Someone else")
    return Conflict(
        gettext(
            "%(who)s saved these settings while you were editing them. Nothing was overwritten.",
            who=who,
        ),
        hint=gettext("Differences are marked below. Save again if yours are correct."),
    )
