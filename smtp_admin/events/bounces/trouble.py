"""Mailboxes for bounces that are not read: why, in plain words, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.events.bounces import hints
from smtp_admin.events.bounces.imap import IMAP_ON
from smtp_admin.events.models import BounceMailbox
from smtp_admin.read_back import read_back
from smtp_admin.senders.models import Sender
from smtp_admin.translation import gettext

#: Tries in a row after which somebody must look. Most of it passes; and after a refused login,
#: which seldom does, the next try comes only an hour later.
TRIES = 3
_TRIES_OF_LOGIN = 2

_OTHERWISE = gettext("Test the mailbox on the sender's page Bounces.")
#: By what went wrong, where that says more than the step.
_BY_CODE: Mapping[str, str] = {
    "unavailable": gettext(
        "Add the old key at the end of SMTP_ADMIN_SECRET_KEYS, or enter the password again on the "
        "sender's page Bounces."
    ),
    "token_refused": gettext(
        "Test the mailbox on the sender's page Bounces: it says what is missing. Usually someone "
        "must sign in again on the sender's tab."
    ),
    "token_unavailable": gettext(
        "The token server does not answer. If it continues, test the connection of the sender."
    ),
    "auth_not_offered": gettext(
        "Use another mailbox for bounces, one that can be read with a password. If the sender's "
        "sign-in opens it, leave “Login with the token” on the sender's tab to the server."
    ),
    "tls_not_offered": gettext(
        "Choose SSL/TLS with port 993 on the sender's page Bounces, and test it there."
    ),
    "destination_not_allowed": gettext(
        "The platform's operator decides which ports and networks are allowed "
        "(SMTP_ADMIN_ALLOWED_PORTS, SMTP_ADMIN_ALLOWED_NETWORKS)."
    ),
}
_BROKE_OFF = gettext(
    "The server broke off. It may be overloaded. If it continues, ask its operator."
)
#: By the step at which it ended.
_BY_STEP: Mapping[str, str] = {
    "dns": gettext(
        "Check the name of the IMAP server on the sender's page Bounces, and test it there."
    ),
    "connect": hints.CONNECT,
    "greeting": hints.GREETING,
    "tls": hints.TLS,
    "certificate": gettext(
        "Enter the server's name as it is in its certificate. If it has expired or nobody trusts "
        "it, ask the operator of the server for a new one."
    ),
    "auth": gettext(
        "Enter login and password again on the sender's page Bounces. Many providers want an app "
        "password for IMAP, or have IMAP turned off at first."
    ),
    "folder": gettext(
        "Check the name of the folder on the sender's page Bounces. INBOX is always there."
    ),
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """That the mailbox of a sender was not read.

    Attributes:
        failures: how many times in a row.
        since: when it was read last; ``None`` if it never was.
        cause: what stopped the last try.
        remedy: what to do.
    """

    sender_id: int
    host: str
    failures: int
    since: datetime | None
    cause: str
    remedy: str


def remedy_of(mailbox: BounceMailbox) -> str:
    """What to do about the last failure of *mailbox*; empty without one."""
    if not mailbox.failures:
        return ""
    step, code = mailbox.failed_step, mailbox.failed_code
    if code == "auth_failed" and not mailbox.password:
        return IMAP_ON
    if code in {"timeout", "connection_lost"} and step in {"auth", "folder"}:
        return _BROKE_OFF
    return _BY_CODE.get(code, _BY_STEP.get(step, _OTHERWISE))


def is_in_trouble(mailbox: BounceMailbox) -> bool:
    """Whether it failed so often that somebody must look."""
    refused = mailbox.failed_step == "auth" or mailbox.failed_code == "token_refused"
    return mailbox.failures >= (_TRIES_OF_LOGIN if refused else TRIES)


def troubles(session: Session, *, from_the_first: bool = False) -> dict[int, Trouble]:
    """Id of a sender → the trouble of its mailbox, of those that have some; one query.

    Args:
        from_the_first: also where so few tries failed that it may pass.
    """
    least = 1 if from_the_first else _TRIES_OF_LOGIN
    rows = session.scalars(
        select(BounceMailbox)
        .join(Sender, Sender.id == BounceMailbox.sender_id)
        .where(BounceMailbox.failures >= least, Sender.deleted_at.is_(None))
        .order_by(BounceMailbox.id)
    )
    return {
        one.sender_id: Trouble(
            sender_id=one.sender_id,
            host=one.host,
            failures=one.failures,
            since=one.last_read_at,
            cause=read_back(one.failed_words),
            remedy=remedy_of(one),
        )
        for one in rows
        if from_the_first or is_in_trouble(one)
    }
