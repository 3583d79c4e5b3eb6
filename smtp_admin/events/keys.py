"""The keys of webhooks' secrets: looked at and sealed anew together with the other secrets."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.encryption import Keyring
from smtp_admin.errors import SecretError
from smtp_admin.events.models import Webhook
from smtp_admin.events.sealing import NAMES, SealedFor, SealedName
from smtp_admin.senders.keys import KeyReport, Unreadable
from smtp_admin.senders.models import Sender


def check_webhooks(session: Session, keyring: Keyring, report: KeyReport) -> None:
    """Open every stored secret of a webhook, and count it in *report*; nothing is changed."""
    for _ in _opened(session, keyring, report):
        pass


def rotate_webhooks(session: Session, keyring: Keyring, report: KeyReport) -> None:
    """Seal every stored secret of a webhook with the first key; commits."""
    for webhook, bound, name, text in _opened(session, keyring, report, locked=True):
        setattr(webhook, name, bound.seal(name, text))
        report.older -= 1
        report.newest += 1
    session.commit()


def _opened(
    session: Session, keyring: Keyring, report: KeyReport, *, locked: bool = False
) -> Iterator[tuple[Webhook, SealedFor, SealedName, str]]:
    """Those that are sealed with an older key, opened; all are counted."""
    found = select(Webhook, Sender).join(Sender, Sender.id == Webhook.sender_id)
    if locked:
        found = found.with_for_update(of=Webhook)
    for webhook, sender in session.execute(found.order_by(Webhook.id)).all():
        bound = SealedFor.of(keyring, sender, webhook)
        for name in NAMES:
            sealed: str = getattr(webhook, name)
            if not sealed:
                continue
            try:
                text = bound.open(name, sealed)
            except SecretError as error:
                one = Unreadable(
                    sender.partner_id, sender.key, sender.current_revision, True, error.message,
                    "webhook",
                )  # fmt: skip
                report.unreadable = (*report.unreadable, one)
                continue
            if keyring.is_current(sealed):
                report.newest += 1
            else:
                report.older += 1
                yield webhook, bound, name, text
