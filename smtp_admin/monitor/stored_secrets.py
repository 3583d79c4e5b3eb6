"""Every place where a secret is stored sealed: one list for all that looks after the keys.

A key may be thrown away once nothing needs it. Whoever checks, counts or seals anew asks here, so
that no place is left out. A test looks through all tables for sealed texts, and compares.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from smtp_admin.encryption import Keyring, fingerprint_in
from smtp_admin.events.bounces.mailboxes import sealed_in_mailboxes
from smtp_admin.events.keys import sealed_in_webhooks
from smtp_admin.events.models import BounceMailbox, Webhook
from smtp_admin.expiry.things import Needed
from smtp_admin.oauth.keys import sealed_tokens
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.senders.keys import KeyReport, check_keys, rotate_keys
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.sealed_texts import SealedText, check_texts, rotate_texts
from smtp_admin.senders.secrets import read_secrets

#: Of a sealed text, what names its key.
_NAMES_ITS_KEY = 20


@dataclass(frozen=True, slots=True)
class Place:
    """A table with columns that hold one sealed text each, or none.

    Attributes:
        texts: finds them all, locked if asked for.
    """

    columns: tuple[InstrumentedAttribute[str], ...]
    texts: Callable[..., Iterator[SealedText]]


#: Beside the settings of senders, which have several secrets in one column.
PLACES: tuple[Place, ...] = (
    Place((OAuthGrant.access_token, OAuthGrant.refresh_token), sealed_tokens),
    Place((Webhook.key, Webhook.secret, Webhook.former_secret), sealed_in_webhooks),
    Place((BounceMailbox.password,), sealed_in_mailboxes),
)
SETTINGS: InstrumentedAttribute[Any] = SenderRevision.secrets
#: Sealed, but gone some minutes later, so nobody waits for them with a key.
SHORT_LIVED = frozenset({"smtp_admin_worker_test.secrets"})


def check_all(
    session: Session, keyring: Keyring, progress: Callable[[int], None] = lambda _: None
) -> KeyReport:
    """Open every stored secret, and change nothing.

    Args:
        progress: told how many more of the settings' secrets were looked at.
    """
    report = check_keys(session, keyring, progress)
    for place in PLACES:
        check_texts(place.texts(session), keyring, report)
    return report


def rotate_all(
    session: Session, keyring: Keyring, progress: Callable[[int], None] = lambda _: None
) -> KeyReport:
    """Seal every stored secret with the first key; commits, and may be broken off.

    Args:
        progress: told how many more of the settings' secrets were looked at.

    Raises:
        KeyMissing: there is no key to seal with.
    """
    report = rotate_keys(session, keyring, progress)
    for place in PLACES:
        rotate_texts(place.texts(session, locked=True), keyring, report)
        session.commit()
    return report


def needed_keys(session: Session) -> Needed:
    """Which keys all of it needs; nothing is opened, and it is one query for each column."""
    needed = Needed()
    for sealed, used in _all_sealed(session):
        name = fingerprint_in(sealed)
        needed.all[name] += 1
        needed.used[name] += used
    return needed


def _all_sealed(session: Session) -> Iterator[tuple[str, bool]]:
    """Each sealed text, as far as it names its key, and whether it is used as things are."""
    used = SenderRevision.number == Sender.current_revision
    settings = (
        select(SETTINGS, used, Sender.deleted_at)
        .join(Sender, Sender.id == SenderRevision.sender_id)
        .order_by(SenderRevision.id)
    )
    for secrets, current, deleted_at in session.execute(settings):
        for one in read_secrets(secrets).values():
            yield one.sealed, bool(current) and deleted_at is None
    for place in PLACES:
        for column in place.columns:
            start = func.substr(column, 1, _NAMES_ITS_KEY)
            for sealed in session.scalars(select(start).where(column != "")):
                yield sealed, True
