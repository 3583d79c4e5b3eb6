"""The keys of stored passwords: what each was sealed with, and sealing all with the newest.

Old revisions count too: rolling back to one must find its password.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed
from smtp_admin.encryption import Keyring
from smtp_admin.errors import KeyMissing, SecretError
from smtp_admin.senders.models import Sender, SenderRevision

_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A stored password that does not open, and why."""

    partner_id: str
    revision: int
    current: bool
    reason: str


@dataclass(slots=True)
class KeyReport:
    """What became of the stored passwords.

    Attributes:
        newest: sealed with the first key.
        older: sealed with another key of the ring.
    """

    newest: int = 0
    older: int = 0
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def total(self) -> int:
        """All of them."""
        return self.newest + self.older + len(self.unreadable)


def count_passwords(session: Session) -> int:
    """How many passwords are stored, old revisions included."""
    stored = select(func.count()).where(SenderRevision.password_sealed.is_not(None))
    return session.scalar(stored) or 0


def check_keys(
    session: Session, keyring: Keyring, progress: Callable[[int], None] = lambda _: None
) -> KeyReport:
    """Open every stored password, and change nothing.

    Args:
        progress: told how many more were looked at.
    """
    report = KeyReport()
    for page in _pages(session):
        for partner_id, revision, current in page:
            _open(keyring, report, partner_id, revision, current)
        progress(len(page))
    return report


def rotate_keys(
    session: Session, keyring: Keyring, progress: Callable[[int], None] = lambda _: None
) -> KeyReport:
    """Seal every stored password with the first key; commits after each page.

    It may be broken off and run again. Workers go on meanwhile: what they read before opens with
    the older key, which stays in the ring until this has ended.

    Args:
        progress: told how many more were looked at.

    Raises:
        KeyMissing: there is no key to seal with.
    """
    if not keyring:
        raise KeyMissing(
            "SMTP_ADMIN_SECRET_KEYS is empty, so nothing can be encrypted.",
            hint="Run `flask smtp-admin keys generate` and put the key there.",
        )
    report = KeyReport()
    for page in _pages(session):
        for partner_id, revision, current in page:
            sealed = revision.password_sealed or ""
            secret = _open(keyring, report, partner_id, revision, current)
            if secret is None or keyring.is_current(sealed):
                continue
            binding = revision.destination.binding()
            again = keyring.seal(secret, owner=partner_id, destination=binding)
            moved = changed(
                session,
                update(SenderRevision)
                .where(SenderRevision.id == revision.id, SenderRevision.password_sealed == sealed)
                .values(password_sealed=again),
            )
            report.older -= moved
            report.newest += moved
        session.commit()
        progress(len(page))
    return report


def _pages(session: Session) -> Iterator[list[tuple[str, SenderRevision, bool]]]:
    after = 0
    while True:
        rows = session.execute(
            select(Sender.partner_id, SenderRevision, Sender.current_revision)
            .join(Sender, Sender.id == SenderRevision.sender_id)
            .where(SenderRevision.password_sealed.is_not(None), SenderRevision.id > after)
            .order_by(SenderRevision.id)
            .limit(_AT_ONCE)
        ).all()
        if not rows:
            return
        after = rows[-1][1].id
        yield [(partner_id, one, one.number == current) for partner_id, one, current in rows]
        session.expunge_all()


def _open(
    keyring: Keyring, report: KeyReport, partner_id: str, revision: SenderRevision, current: bool
) -> str | None:
    sealed = revision.password_sealed or ""
    try:
        secret = keyring.open(sealed, owner=partner_id, destination=revision.destination.binding())
    except SecretError as error:
        found = Unreadable(partner_id, revision.number, current, error.message)
        report.unreadable = (*report.unreadable, found)
        return None
    if keyring.is_current(sealed):
        report.newest += 1
    else:
        report.older += 1
    return secret
