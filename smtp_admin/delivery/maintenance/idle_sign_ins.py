"""Every day: renew the sign-ins that no mail has renewed, so that none ends for lack of use.

Microsoft forgets what nobody used for 90 days, Google after six months, others after days. One
after the other, each by the lease that all who ask for tokens hold.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from flask import Flask, current_app
from sqlalchemy import Engine, or_, select
from sqlalchemy.orm import Session

from smtp_admin.credentials.oauth import OAuthLogin
from smtp_admin.credentials.token_failure import TokenFailure
from smtp_admin.credentials.token_requests import caller_for_tokens
from smtp_admin.database import database_now, reading, transaction
from smtp_admin.delivery.announcements import announce_pause
from smtp_admin.delivery.breaker import pause_sender
from smtp_admin.delivery.retry import UNTIL_CHANGED
from smtp_admin.errors import SMTPAdminError
from smtp_admin.http.caller import Caller
from smtp_admin.installation import installation
from smtp_admin.oauth.kept import KeptTokens
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.oauth.sealing import SealedFor
from smtp_admin.providers.catalogue import replies
from smtp_admin.sandbox.site import may_act
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import ResolvedSender, load_sender_by_id
from smtp_admin.smtp.session import Dialler
from smtp_admin.transports import verdicts

log = logging.getLogger(__name__)

#: How often a worker looks.
LOOK_SECONDS = 600.0
#: What is older is renewed; what lives for less than two days, in the middle of its life.
_AGE = timedelta(days=1)
#: However short a life is, nobody is asked more often.
_LEAST = timedelta(minutes=10)
#: A token server that refuses without ending a sign-in, such as for a secret, is asked again then.
_REST = timedelta(hours=6)


class IdleSignIns:
    """The duty of one worker."""

    def __init__(self, engine: Engine, stopping: Callable[[], bool]) -> None:
        self._engine = engine
        self._stopping = stopping
        #: Sender → not before.
        self._resting: dict[int, datetime] = {}

    def renew(self) -> int:
        """Renew what is due; how many sign-ins were. Needs an app context."""
        with reading(self._engine) as session:
            moment = database_now(session)
            due = _due(session, moment)
        self._resting = {one: until for one, until in self._resting.items() if until > moment}
        caller = caller_for_tokens(Dialler.from_config(installation().config))
        renewed = 0
        for sender_id in due:
            if self._stopping() or not may_act(self._engine):
                break
            renewed += sender_id not in self._resting and self._renew(caller, sender_id)
        return renewed

    def _renew(self, caller: Caller, sender_id: int) -> bool:
        with reading(self._engine) as session:
            version = _due(session, database_now(session), sender_id).get(sender_id)
            if version is None:
                return False  # another worker was faster, or mail went out
            sender = load_sender_by_id(session, sender_id)
        if sender is None:
            return False
        try:
            login = sender.setup(installation().keyring).credential
        except (SMTPAdminError, LookupError):
            return False  # its state says why
        if not isinstance(login, OAuthLogin) or not login.way.by_person:
            return False
        bound = SealedFor(installation().keyring, sender.partner_id, sender.sender_id)
        try:
            KeptTokens(self._engine, caller, bound, anew=True, after=version).token(login)
        except TokenFailure as failure:
            self._failed(sender, failure)
            return False
        return True

    def _failed(self, sender: ResolvedSender, failure: TokenFailure) -> None:
        log.warning("the sign-in of sender %s was not renewed: %s", sender.sender_id, failure)
        if failure.cause == "oauth_not_signed_in" or failure.later:
            return  # what is kept is for other settings, or the server is away
        with transaction(self._engine) as session:
            moment = database_now(session)
            self._resting[sender.sender_id] = moment + _REST
            if not failure.dead:
                return
            # As if mail had found it out: somebody is told before there is any.
            outcome = verdicts.of_opening(failure, replies())
            until = moment + UNTIL_CHANGED
            paused = pause_sender(session, sender.sender_id, sender.revision, until, outcome)
        if paused:
            app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # werkzeug's LocalProxy
            announce_pause(app, sender, outcome)


def _due(session: Session, moment: datetime, only: int | None = None) -> dict[int, int]:
    """Senders whose sign-in is to be renewed now, the oldest first → the version of it.

    Args:
        only: the id of the one that is asked about.
    """
    one = OAuthGrant
    alive = (one.refresh_token != "", one.dead_at.is_(None))
    rested = or_(one.retry_at.is_(None), one.retry_at <= moment)
    old = or_(one.issued_at <= moment - _AGE, one.refresh_until.is_not(None))
    rows = session.execute(
        select(one.sender_id, one.version, one.issued_at, one.refresh_from, one.refresh_until)
        .join(Sender, Sender.id == one.sender_id)
        .where(Sender.deleted_at.is_(None), *alive, rested, old)
        .where(*(() if only is None else (one.sender_id == only,)))
        .order_by(one.issued_at)
    )
    return {
        sender_id: version
        for sender_id, version, issued_at, begins, until in rows
        if issued_at is not None and moment - issued_at >= _wait(begins, until)
    }


def _wait(begins: datetime | None, until: datetime | None) -> timedelta:
    if begins is None or until is None:
        return _AGE
    return max(_LEAST, min(_AGE, (until - begins) / 2))
