"""The keys of stored secrets: what each was sealed with, and sealing all with the newest.

Old revisions count too: rolling back to one must find its password. Sealing anew also brings the
format of the first version up to date.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.encryption import Keyring
from smtp_admin.errors import KeyMissing, SecretError
from smtp_admin.senders.fields import fields_of
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.resolve import bound_to
from smtp_admin.senders.secrets import StoredSecret, read_secrets
from smtp_admin.translation import gettext
from smtp_admin.transports.fields import Field

_AT_ONCE = 200
#: Where secrets of a sender are stored.
StoredIn = Literal["settings", "sign_in", "webhook", "bounces"]
PLACE_WORDS: dict[StoredIn, str] = {
    "settings": "settings",
    "sign_in": "sign-in",
    "webhook": "webhook",
    "bounces": "mailbox for bounces",
}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A stored secret of a sender that does not open, and why.

    Attributes:
        place: where it is stored.
    """

    partner_id: str
    key: str
    revision: int
    current: bool
    reason: str
    place: StoredIn = "settings"


@dataclass(slots=True)
class KeyReport:
    """What became of the stored secrets.

    Attributes:
        newest: sealed with the first key, in today's format.
        older: sealed with another key of the ring, or in the first format.
    """

    newest: int = 0
    older: int = 0
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def total(self) -> int:
        """All of them."""
        return self.newest + self.older + len(self.unreadable)


@dataclass(frozen=True, slots=True)
class _Row:
    sender: Sender
    revision: SenderRevision

    @property
    def current(self) -> bool:
        return self.revision.number == self.sender.current_revision


def count_passwords(session: Session) -> int:
    """How many secrets are stored, old revisions included."""
    documents = session.scalars(select(SenderRevision.secrets))
    return sum(len(one) for one in documents)


def check_keys(
    session: Session, keyring: Keyring, progress: Callable[[int], None] = lambda _: None
) -> KeyReport:
    """Open every stored secret, and change nothing.

    Args:
        progress: told how many more were looked at.
    """
    report = KeyReport()
    for page in _pages(session):
        for row in page:
            for name, stored in read_secrets(row.revision.secrets).items():
                _open(keyring, report, row, name, stored)
        progress(sum(len(row.revision.secrets) for row in page))
        session.expunge_all()
    return report


def rotate_keys(
    session: Session, keyring: Keyring, progress: Callable[[int], None] = lambda _: None
) -> KeyReport:
    """Seal every stored secret with the first key; commits after each page.

    It may be broken off and run again. Workers go on meanwhile: what they read before opens with
    the older key, which stays in the ring until this has ended.

    Args:
        progress: told how many more were looked at.

    Raises:
        KeyMissing: there is no key to seal with.
    """
    if not keyring:
        raise KeyMissing(
            gettext("SMTP_ADMIN_SECRET_KEYS is empty, so passwords cannot be encrypted."),
            hint=gettext("Run `flask smtp-admin keys generate` and put the key there."),
        )
    report = KeyReport()
    for page in _pages(session):
        for row in page:
            _reseal(session, keyring, report, row)
        looked_at = sum(len(row.revision.secrets) for row in page)
        session.commit()
        session.expunge_all()
        progress(looked_at)
    return report


def _reseal(session: Session, keyring: Keyring, report: KeyReport, row: _Row) -> None:
    anew: dict[str, Any] = {}
    for name, stored in read_secrets(row.revision.secrets).items():
        secret = _open(keyring, report, row, name, stored)
        if secret is None or keyring.is_current(stored.sealed):
            continue
        bound = bound_to(row.sender, row.revision)
        if bound is None:
            continue
        sealed = bound.seal(keyring, _field(row, name), secret)
        anew[name] = replace(stored, sealed=sealed).as_json()
    if anew:
        # Revisions never change otherwise, so nobody writes this row at the same time.
        row.revision.secrets = {**row.revision.secrets, **anew}
        session.flush()
        report.older -= len(anew)
        report.newest += len(anew)


def _pages(session: Session) -> Iterator[list[_Row]]:
    after = 0
    while True:
        rows = session.execute(
            select(Sender, SenderRevision)
            .join(SenderRevision, SenderRevision.sender_id == Sender.id)
            .where(SenderRevision.id > after)
            .order_by(SenderRevision.id)
            .limit(_AT_ONCE)
        ).all()
        if not rows:
            return
        after = rows[-1][1].id
        yield [_Row(sender, revision) for sender, revision in rows if revision.secrets]


def _field(row: _Row, name: str) -> Field:
    """The secret *name* of a revision's driver.

    Raises:
        SecretError: the driver has no such secret, or no longer exists.
    """
    try:
        fields = fields_of(row.revision.driver)
    except LookupError as error:
        raise SecretError(str(error)) from error
    found = next((one for one in fields if one.secret and one.name == name), None)
    if found is None:
        raise SecretError(f"The driver {row.revision.driver!r} has no secret {name!r}.")
    return found


def _open(
    keyring: Keyring, report: KeyReport, row: _Row, name: str, stored: StoredSecret
) -> str | None:
    try:
        field, bound = _field(row, name), bound_to(row.sender, row.revision)
        if bound is None:
            raise SecretError(f"The driver {row.revision.driver!r} no longer exists.")
        secret = bound.open(keyring, field, stored.sealed)
    except SecretError as error:
        found = Unreadable(
            row.sender.partner_id,
            row.sender.key,
            row.revision.number,
            row.current,
            error.message,
        )
        report.unreadable = (*report.unreadable, found)
        return None
    if keyring.is_current(stored.sealed):
        report.newest += 1
    else:
        report.older += 1
    return secret
