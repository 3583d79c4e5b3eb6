"""The sender that applies: what was saved, and what the environment says over it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM
from smtp_admin.encryption import Keyring
from smtp_admin.errors import InvalidInput, SecretError
from smtp_admin.installation import Kept, installation
from smtp_admin.read_back import read_back
from smtp_admin.senders.environment import Overrides, read_overrides
from smtp_admin.senders.fields import fields_of
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.secrets import Bound, StoredSecret, read_secrets
from smtp_admin.senders.values import Destination, SenderValues
from smtp_admin.translation import gettext, in_sentence, joined
from smtp_admin.transports.driver import Setup
from smtp_admin.transports.fields import Field

#: The key of the sender that a partner has first, and may have alone.
DEFAULT_KEY = ""


@dataclass(frozen=True, slots=True)
class ResolvedSender:
    """One sender's settings as they apply now.

    Attributes:
        key: ``""`` for the default one.
        label: what people call it, where there are several.
        revision: number of the saved revision; 0 if none was saved.
        values: the settings; ``from_email`` is empty where nothing was set.
        locked: field → the environment variable that holds it.
        problems: why it cannot be used, as sentences, beside not being configured.
        missing_driver: one of these sentences, where the saved driver no longer exists.
        paused_until: nothing is sent before, by the database's clock.
        resumed_at: when a pause was ended that would not have ended by itself.
        secrets: those that are stored, sealed.
    """

    sender_id: int
    partner_id: str
    revision: int
    values: SenderValues
    key: str = DEFAULT_KEY
    label: str = ""
    locked: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    missing_driver: str = ""
    deleted: bool = False
    paused_until: datetime | None = None
    pause_code: str = ""
    pause_cause: str = ""
    pause_reason: str = ""
    pause_reply: str = ""
    refusals: int = 0
    resumed_at: datetime | None = None
    last_accepted_at: datetime | None = None
    saved_at: datetime | None = None
    saved_by: str = ""
    secrets: Mapping[str, StoredSecret] = field(default_factory=dict, repr=False)
    _stored: Bound | None = field(default=None, repr=False)
    _given: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: What :func:`password_trouble` found, where somebody has asked already.
    _trouble: tuple[str, str] | None = field(default=None, repr=False, compare=False)

    @property
    def pause_text(self) -> str:
        """Why it is paused, for people: our sentence, and the server's words."""
        said = f" ({self.pause_reply})" if self.pause_reply else ""
        return read_back(self.pause_reason) + said

    @property
    def configured(self) -> bool:
        """Whether it has everything that sending needs, but perhaps for a secret.

        One whose driver is gone has it too: its mail waits and takes no other way.
        """
        return bool((self.values.complete or self.missing_driver) and not self.deleted)

    @property
    def name(self) -> str:
        """What people call it."""
        return self.label or self.key or "default"

    def has_secret(self, name: str) -> bool:
        """Whether this secret is stored, or comes from the environment."""
        return name in self.secrets or name in self._given

    def secret_set_at(self, name: str) -> datetime | None:
        """When a stored secret was entered."""
        return self.secrets[name].set_at if name in self.secrets else None

    def refuse_problems(self) -> None:
        """Return if what the environment says about this sender can be used.

        A driver that is gone is no obstacle here: other settings may be tested and saved.

        Raises:
            InvalidInput: with the names of the variables.
        """
        wrong = [one for one in self.problems if one != self.missing_driver]
        if wrong:
            raise InvalidInput(
                gettext("An environment variable cannot be used: %(why)s", why=joined(wrong)),
                hint=gettext("Correct it where the app is started, and restart the app."),
            )

    def secret_for(
        self, one: Field, values: SenderValues, keyring: Keyring, typed: str = ""
    ) -> str:
        """The secret *one* that may go where *values* lead: the one place that decides it.

        Saving, testing and sending all ask here. A typed one may go where its author says; the
        stored one only where it was saved for; the environment's only where the environment and
        the saved settings together lead.

        Raises:
            InvalidInput: ``password_required``; nothing may be dialled.
            SecretError: the stored one cannot be opened.
        """
        if typed:
            return typed
        needed = one.needed(values)
        if not needed and not one.used(values):
            return ""
        if one.name in self._given:
            if _fits(one, values, self.values.destination):
                return self._given[one.name]
        elif (
            one.name in self.secrets
            and self._stored is not None
            and _fits(one, values, self._stored.destination)
        ):
            return self._stored.open(keyring, one, self.secrets[one.name].sealed)
        if not needed:
            return ""
        what = _the(one)
        if self.has_secret(one.name):
            raise InvalidInput(
                gettext(
                    "Enter %(what)s again: it was saved for another server or login.", what=what
                ),
                code="password_required",
                hint=gettext(
                    "A stored password is only sent to the host, port, security and login "
                    "that it was saved for."
                ),
                fields={one.name: [gettext("Enter %(what)s for these settings.", what=what)]},
            )
        sentence = (
            gettext("Enter %(what)s for this login.", what=what)
            if one.name == "password"
            else gettext("Enter %(what)s too.", what=what)
        )
        raise InvalidInput(sentence, code="password_required", fields={one.name: [sentence]})

    def secrets_for(
        self, values: SenderValues, keyring: Keyring, typed: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """All secrets that *values* call for, by name.

        Raises:
            InvalidInput, SecretError: as :meth:`secret_for`.
        """
        entered = typed or {}
        return {
            one.name: self.secret_for(one, values, keyring, entered.get(one.name, ""))
            for one in fields_of(values.driver)
            if one.secret
        }

    def setup(
        self,
        keyring: Keyring,
        values: SenderValues | None = None,
        typed: Mapping[str, str] | None = None,
    ) -> Setup:
        """What a transport is made from: for these settings, or for *values*.

        Raises:
            InvalidInput, SecretError: as :meth:`secret_for`.
        """
        wanted = self.values if values is None else values
        return wanted.kind.read(wanted, self.secrets_for(wanted, keyring, typed))

    def with_values(self, values: SenderValues) -> "ResolvedSender":
        """The same sender as it would be with *values*."""
        return replace(self, values=values, _trouble=None)

    def examined(self) -> "ResolvedSender":
        """The same, with its secrets tried once: whoever keeps it need not open them again."""
        return replace(self, _trouble=password_trouble(self) if self.configured else ("", ""))


def _fits(one: Field, values: SenderValues, saved_for: Destination) -> bool:
    """Whether the secret *one*, saved for one destination, may go where *values* lead."""
    if one.bound == "sender":
        return values.driver == saved_for.driver
    return values.destination == saved_for


def _the(one: Field) -> str:
    return gettext("the %(label)s", label=in_sentence(one.label))


def password_trouble(sender: ResolvedSender) -> tuple[str, str]:
    """Why a secret of *sender* cannot be used, and what to do; empty where all can.

    A wrong key shows before the first mail is held up by it.
    """
    if sender._trouble is not None:
        return sender._trouble
    try:
        sender.secrets_for(sender.values, installation().keyring)
    except SecretError as error:
        return error.message, error.hint
    except InvalidInput as error:
        names = list(error.fields)
        variable = sender.locked.get(names[0]) if names else None
        hint = (
            gettext("Set %(variable)s where the app is started.", variable=variable)
            if variable
            else error.hint
        )
        if names == ["password"]:
            return (
                gettext("There is a login but no password."),
                hint or gettext("Enter it with the settings."),
            )
        return error.message, hint or gettext("Enter it with the settings.")
    return "", ""


def overrides_for(partner_id: str, key: str = DEFAULT_KEY) -> Overrides:
    """What the environment says over this sender; only the system's default has any."""
    if partner_id != SYSTEM or key != DEFAULT_KEY:
        return _NO_OVERRIDES
    return OVERRIDES.of(installation())


def may_keep_mail() -> bool:
    """Whether senders may keep mail instead of sending it: under TESTING, DEBUG or by config."""
    here = installation()
    return bool(current_app.testing or current_app.debug or here.config.memory_driver)


_NO_OVERRIDES = Overrides()
#: Read once: the environment is that of the start.
OVERRIDES = Kept[Overrides](lambda here: read_overrides(here.environment, here.config.env_prefix))


def load_sender(session: Session, partner_id: str, key: str = DEFAULT_KEY) -> ResolvedSender:
    """The sender of *partner_id* itself with this key, whether or not it can send.

    One that was never saved, or was deleted, has ``configured`` false; the first has no id either.
    """
    row = session.scalar(select(Sender).where(Sender.partner_id == partner_id, Sender.key == key))
    return resolve(session, row, partner_id, key)


def load_sender_by_id(session: Session, sender_id: int) -> ResolvedSender | None:
    """The sender with this id, deleted or not, or ``None``."""
    row = session.get(Sender, sender_id)
    return None if row is None else resolve(session, row, row.partner_id, row.key)


_REVISION = select(SenderRevision).where(
    SenderRevision.sender_id == bindparam("of"), SenderRevision.number == bindparam("now")
)


def resolve(
    session: Session, row: Sender | None, partner_id: str, key: str = DEFAULT_KEY
) -> ResolvedSender:
    """The sender whose row is *row*, with its current revision and the environment over it."""
    saved = None
    if row is not None and row.current_revision:
        saved = session.scalar(_REVISION, {"of": row.id, "now": row.current_revision})
    return resolve_with(row, saved, partner_id, key)


def resolve_with(
    row: Sender | None, saved: SenderRevision | None, partner_id: str, key: str = DEFAULT_KEY
) -> ResolvedSender:
    """The same where the revision was read already."""
    overrides = overrides_for(partner_id, key)
    problems = list(overrides.problems)
    values, missing_driver = _values(saved, overrides)
    if not missing_driver and values.kind.keeps_mail and not may_keep_mail():
        missing_driver = gettext(
            "%(label)s only keeps mail. That is not allowed here.", label=values.kind.label
        )
    if missing_driver:
        problems.append(missing_driver)
    deleted = row is not None and row.deleted_at is not None
    secrets = {} if saved is None or deleted else read_secrets(saved.secrets)
    bound = {one.name: one.bound for one in fields_of(values.driver) if one.secret}
    if overrides.moves_destination or overrides.secrets:
        # They were saved for another destination, or are replaced.
        secrets = {
            name: one
            for name, one in secrets.items()
            if name not in overrides.secrets
            and (bound.get(name) == "sender" or not overrides.moves_destination)
        }
    return ResolvedSender(
        sender_id=row.id if row else 0,
        partner_id=partner_id,
        key=key,
        label=row.label if row else "",
        revision=row.current_revision if row else 0,
        values=values,
        locked=overrides.locked,
        problems=tuple(problems),
        missing_driver=missing_driver,
        deleted=deleted,
        paused_until=row.paused_until if row else None,
        pause_code=row.pause_code if row else "",
        pause_cause=row.pause_cause if row else "",
        pause_reason=row.pause_reason if row else "",
        pause_reply=row.pause_reply if row else "",
        refusals=row.refusals if row else 0,
        resumed_at=row.resumed_at if row else None,
        last_accepted_at=row.last_accepted_at if row else None,
        saved_at=saved.created_at if saved else None,
        saved_by=saved.created_by if saved else "",
        secrets=secrets,
        _stored=bound_to(row, saved),
        _given=overrides.secrets,
    )


def _values(saved: SenderRevision | None, overrides: Overrides) -> tuple[SenderValues, str]:
    """The values that apply, and why the saved driver cannot be used, if it cannot."""
    if saved is None:
        return SenderValues(**overrides.values), ""
    try:
        values = values_of(saved)
    except LookupError as error:
        return SenderValues(**_columns(saved), **overrides.values), str(error)
    return values.replace(**overrides.values), ""


def values_of(saved: SenderRevision) -> SenderValues:
    """The values of a revision, without what the environment says over them.

    Raises:
        LookupError: its driver is a host's that no longer exists.
    """
    return SenderValues.from_json({"driver": saved.driver, **_columns(saved), **saved.fields})


_COLUMNS = (
    "from_email", "from_name", "reply_to", "envelope_from", "max_per_hour", "max_per_day",
    "max_connections",
)  # fmt: skip


def _columns(saved: SenderRevision) -> dict[str, Any]:
    return {name: getattr(saved, name) for name in _COLUMNS}


def bound_to(row: Sender | None, saved: SenderRevision | None) -> Bound | None:
    """What the secrets of a revision are bound to; ``None`` if that cannot be told any more."""
    if row is None or saved is None:
        return None
    try:
        destination = values_of(saved).destination
    except LookupError:
        return None
    return Bound(row.partner_id, row.id, destination, {"driver": saved.driver, **saved.fields})


def as_saved(current: ResolvedSender, saved: SenderRevision) -> ResolvedSender:
    """*current* as it was saved in another of its revisions, with that one's secrets.

    Raises:
        LookupError: that one's driver no longer exists.
    """
    values = values_of(saved)
    raw = {"driver": saved.driver, **saved.fields}
    return replace(
        current,
        revision=saved.number,
        values=values,
        saved_at=saved.created_at,
        saved_by=saved.created_by,
        secrets=read_secrets(saved.secrets),
        _stored=Bound(current.partner_id, current.sender_id, values.destination, raw),
        _given={},
        _trouble=None,
    )
