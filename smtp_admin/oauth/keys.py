"""The keys of stored tokens: looked at and sealed anew together with the other secrets."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.encryption import Keyring
from smtp_admin.errors import SecretError
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.oauth.sealing import Kind, SealedFor
from smtp_admin.senders.keys import KeyReport, Unreadable
from smtp_admin.senders.models import Sender


def check_tokens(session: Session, keyring: Keyring, report: KeyReport) -> None:
    """Open every stored token, and count it in *report*; nothing is changed."""
    for _ in _opened(session, keyring, report):
        pass


def rotate_tokens(session: Session, keyring: Keyring, report: KeyReport) -> None:
    """Seal every stored token with the first key; commits.

    One that a worker renews meanwhile is sealed with the first key already.
    """
    for grant, bound, kind, token in _opened(session, keyring, report, locked=True):
        sealed = bound.seal(kind, grant.purpose, token)
        if kind == "access":
            grant.access_token = sealed
        else:
            grant.refresh_token = sealed
        report.older -= 1
        report.newest += 1
    session.commit()


def _opened(
    session: Session, keyring: Keyring, report: KeyReport, *, locked: bool = False
) -> Iterator[tuple[OAuthGrant, SealedFor, Kind, str]]:
    """Those that are sealed with an older key, opened; all are counted."""
    found = select(OAuthGrant, Sender).join(Sender, Sender.id == OAuthGrant.sender_id)
    if locked:
        found = found.with_for_update(of=OAuthGrant)
    kinds: tuple[Kind, Kind] = ("access", "refresh")
    for grant, sender in session.execute(found.order_by(OAuthGrant.id)).all():
        bound = SealedFor(keyring, sender.partner_id, sender.id)
        for kind in kinds:
            sealed = grant.access_token if kind == "access" else grant.refresh_token
            if not sealed:
                continue
            try:
                token = bound.open(kind, grant.purpose, sealed)
            except SecretError as error:
                one = Unreadable(
                    sender.partner_id, sender.key, sender.current_revision, True, error.message,
                    "sign_in",
                )  # fmt: skip
                report.unreadable = (*report.unreadable, one)
                continue
            if keyring.is_current(sealed):
                report.newest += 1
            else:
                report.older += 1
                yield grant, bound, kind, token
