"""The sender that applies: what was saved, and what the environment says over it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM
from smtp_admin.encryption import Keyring
from smtp_admin.errors import InvalidInput, SecretError
from smtp_admin.installation import installation
from smtp_admin.senders.destination import Destination
from smtp_admin.senders.environment import Overrides, read_overrides
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.values import DEFAULT_PORT, SenderValues


@dataclass(frozen=True, slots=True)
class ResolvedSender:
    """One sender's settings as they apply now.

    Attributes:
        revision: number of the saved revision; 0 if none was saved.
        values: the settings; ``host`` and ``from_email`` are empty where nothing was set.
        locked: field → the environment variable that holds it.
        problems: why it cannot be used, as sentences, beside not being configured.
        paused_until: nothing is sent before, by the database's clock.
    """

    sender_id: int
    partner_id: str
    revision: int
    values: SenderValues
    locked: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    paused_until: datetime | None = None
    pause_code: str = ""
    pause_reason: str = ""
    refusals: int = 0
    last_accepted_at: datetime | None = None
    saved_at: datetime | None = None
    saved_by: str = ""
    password_set_at: datetime | None = None
    _sealed: str | None = field(default=None, repr=False)
    _sealed_for: Destination | None = field(default=None, repr=False)
    _given_password: str | None = field(default=None, repr=False)

    @property
    def configured(self) -> bool:
        """Whether there is a host to send to and an address to send from."""
        return bool(self.values.host and self.values.from_email)

    @property
    def has_password(self) -> bool:
        """Whether a password is stored, or comes from the environment."""
        return self._sealed is not None or self._given_password is not None

    def refuse_problems(self) -> None:
        """Return if what the environment says about this sender can be used.

        Raises:
            InvalidInput: with the names of the variables.
        """
        if self.problems:
            raise InvalidInput(
                "A variable of the environment cannot be used: " + " ".join(self.problems),
                hint="Correct it where the app is started, and start the app again.",
            )

    def password_for(self, destination: Destination, keyring: Keyring, typed: str = "") -> str:
        """The password that may be sent to *destination*: the one place that decides it.

        Saving, testing and sending all ask here. A typed one may go where its author says; the
        stored one only where it was saved for; the environment's only where the environment and
        the saved settings together lead.

        Raises:
            InvalidInput: ``password_required``; nothing may be dialled.
            SecretError: the stored one cannot be opened.
        """
        if typed:
            return typed
        if not destination.username:
            return ""
        if self._given_password is not None:
            if destination == self.values.destination:
                return self._given_password
        elif self._sealed is not None and destination == self._sealed_for:
            return keyring.open(
                self._sealed, owner=self.partner_id, destination=destination.binding()
            )
        if self.has_password:
            raise InvalidInput(
                "Enter the password again: it was saved for another server or login.",
                code="password_required",
                hint="A stored password is only ever sent to the host, port, security and login "
                "that it was saved for.",
                fields={"password": ["Enter the password for these settings."]},
            )
        raise InvalidInput(
            "Enter the password for this login.",
            code="password_required",
            fields={"password": ["Enter the password for this login."]},
        )


def password_trouble(sender: ResolvedSender) -> tuple[str, str]:
    """Why the password of *sender* cannot be used, and what to do; empty where it can.

    A wrong key shows before the first mail is held up by it.
    """
    try:
        sender.password_for(sender.values.destination, installation().keyring)
    except SecretError as error:
        return error.message, error.hint
    except InvalidInput as error:
        variable = sender.locked.get("password")
        hint = f"Set {variable} where the app is started." if variable else error.hint
        return "There is a login, but no password for it.", hint or "Enter it with the settings."
    return "", ""


def overrides_for(partner_id: str) -> Overrides:
    """What the environment says over this partner's settings; only the system's has any."""
    if partner_id != SYSTEM:
        return Overrides()
    here = installation()
    return read_overrides(here.environment, here.config.env_prefix)


def load_sender(session: Session, partner_id: str) -> ResolvedSender:
    """The sender of *partner_id* itself, whether or not it can send.

    A partner that never saved anything has one with ``sender_id`` 0.
    """
    row = session.scalar(select(Sender).where(Sender.partner_id == partner_id))
    return resolve(session, row, partner_id)


def load_sender_by_id(session: Session, sender_id: int) -> ResolvedSender | None:
    """The sender with this id, or ``None``."""
    row = session.get(Sender, sender_id)
    return None if row is None else resolve(session, row, row.partner_id)


def sender_for_mail(session: Session, partner_id: str) -> ResolvedSender:
    """Who sends the mail of *partner_id*: its own sender once it has one, else the system's."""
    if partner_id != SYSTEM:
        own = load_sender(session, partner_id)
        if own.sender_id and own.configured:
            return own
    return load_sender(session, SYSTEM)


def resolve(session: Session, row: Sender | None, partner_id: str) -> ResolvedSender:
    """The sender whose row is *row*, with its current revision and the environment over it."""
    saved = None
    if row is not None and row.current_revision:
        saved = session.scalar(
            select(SenderRevision).where(
                SenderRevision.sender_id == row.id, SenderRevision.number == row.current_revision
            )
        )
    overrides = overrides_for(partner_id)
    sealed = saved.password_sealed if saved else None
    if overrides.moves_destination or "password" in overrides.values:
        sealed = None  # it was saved for another destination, or is replaced
    return ResolvedSender(
        sender_id=row.id if row else 0,
        partner_id=partner_id,
        revision=row.current_revision if row else 0,
        values=_values(saved, overrides),
        locked=overrides.locked,
        problems=overrides.problems,
        paused_until=row.paused_until if row else None,
        pause_code=row.pause_code if row else "",
        pause_reason=row.pause_reason if row else "",
        refusals=row.refusals if row else 0,
        last_accepted_at=row.last_accepted_at if row else None,
        saved_at=saved.created_at if saved else None,
        saved_by=saved.created_by if saved else "",
        password_set_at=saved.password_set_at if saved and sealed else None,
        _sealed=sealed,
        _sealed_for=saved.destination if saved else None,
        _given_password=overrides.values.get("password"),
    )


def _values(saved: SenderRevision | None, overrides: Overrides) -> SenderValues:
    given = {name: value for name, value in overrides.values.items() if name != "password"}
    if saved is None:
        defaults: dict[str, Any] = {
            "host": "",
            "port": DEFAULT_PORT,
            "security": "tls",
            "username": "",
        }
        return SenderValues(**(defaults | {"from_email": ""} | given))
    return replace(values_of(saved), **given)


def values_of(saved: SenderRevision) -> SenderValues:
    """The values of a revision, without what the environment says over them."""
    return SenderValues(**{one.name: getattr(saved, one.name) for one in fields(SenderValues)})


def as_saved(current: ResolvedSender, saved: SenderRevision) -> ResolvedSender:
    """*current* as it was saved in another of its revisions, with that one's password."""
    return replace(
        current,
        revision=saved.number,
        values=values_of(saved),
        saved_at=saved.created_at,
        saved_by=saved.created_by,
        password_set_at=saved.password_set_at,
        _sealed=saved.password_sealed,
        _sealed_for=saved.destination,
        _given_password=None,
    )
