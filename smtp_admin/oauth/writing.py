"""Write into the row of a sender's tokens: each time only if it is still what was read."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from smtp_admin.credentials.oauth import OAuthLogin
from smtp_admin.credentials.token_answers import Issued
from smtp_admin.credentials.token_failure import TokenFailure
from smtp_admin.database import changed, database_now, transaction
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.oauth.sealing import SealedFor
from smtp_admin.oauth.seen import Seen

#: Longer than a question may take.
LEASE_SECONDS = 30.0
#: The next token is asked for so long before the end, or in the last quarter of a short life.
_AHEAD_SECONDS = 300
_LONGEST_REASON = 500
#: Two ends that differ by less are the same one, told at two moments.
_SAME_END = timedelta(minutes=1)


def take_lease(engine: Engine, sender_id: int, login: OAuthLogin, seen: Seen) -> str | None:
    """Let nobody else ask for a token of this sender; ``None`` if somebody was faster."""
    lease = uuid.uuid4().hex
    with transaction(engine) as session:
        until = database_now(session) + timedelta(seconds=LEASE_SECONDS)
        if seen.grant is None:
            made = add_row(session, sender_id, login, lease=lease, lease_until=until)
            return lease if made else None
        before = seen.grant.lease
        same = OAuthGrant.lease.is_(None) if before is None else OAuthGrant.lease == before
        which = (OAuthGrant.id == seen.grant.id, OAuthGrant.version == seen.version, same)
        taking = update(OAuthGrant).where(*which).values(lease=lease, lease_until=until)
        return lease if changed(session, taking) else None


def add_row(session: Session, sender_id: int, login: OAuthLogin, **values: Any) -> bool:
    """Make the row of a sender that has none; whether nobody else was faster."""
    try:
        with session.begin_nested():
            session.add(OAuthGrant(sender_id=sender_id, purpose=login.purpose, **values))
    except IntegrityError:
        return False
    return True


def give_back(engine: Engine, sender_id: int, lease: str, rest: float = 0.0) -> None:
    """Let others ask, after *rest* seconds."""
    with transaction(engine) as session:
        retry_at = database_now(session) + timedelta(seconds=rest) if rest else None
        changed(
            session,
            update(OAuthGrant)
            .where(OAuthGrant.sender_id == sender_id, OAuthGrant.lease == lease)
            .values(lease=None, lease_until=None, retry_at=retry_at),
        )


def declare_dead(engine: Engine, sender_id: int, version: int, failure: TokenFailure) -> bool:
    """Write down that a person must sign in again; not if the tokens are others by now."""
    with transaction(engine) as session:
        return bool(
            changed(
                session,
                update(OAuthGrant)
                .where(OAuthGrant.sender_id == sender_id, OAuthGrant.version == version)
                .values(
                    dead_at=database_now(session),
                    dead_cause=failure.cause,
                    dead_reason=failure.message[:_LONGEST_REASON],
                    lease=None,
                    lease_until=None,
                ),
            )
        )


def write_tokens(
    session: Session,
    bound: SealedFor,
    login: OAuthLogin,
    issued: Issued,
    *,
    version: int,
    **more: Any,
) -> bool:
    """Write down what was issued, if the row is still at *version*; whether it was.

    The caller commits.

    Args:
        more: who signed in, where somebody did.
    """
    moment = database_now(session)
    until = moment + timedelta(seconds=issued.seconds)
    ahead = timedelta(seconds=min(_AHEAD_SECONDS, issued.seconds // 4))
    access = bound.seal("access", login.purpose, issued.value)
    tokens = {"access_token": access}
    more |= _end_of_grant(session, bound.sender_id, issued, moment)
    if issued.refresh:
        tokens["refresh_token"] = bound.seal("refresh", login.purpose, issued.refresh)
    elif not login.way.by_person:
        tokens["refresh_token"] = ""
    values: dict[str, Any] = {
        "purpose": login.purpose,
        "version": version + 1,
        "access_until": until,
        "renew_at": until - ahead,
        "issued_at": moment,
        **_ALIVE,
        **tokens,
        **more,
    }
    which = (OAuthGrant.sender_id == bound.sender_id, OAuthGrant.version == version)
    if not changed(session, update(OAuthGrant).where(*which).values(values)):
        return False
    columns = [getattr(OAuthGrant, name) for name in tokens]
    stored = session.execute(select(*columns).where(OAuthGrant.sender_id == bound.sender_id)).one()
    if tuple(stored) != tuple(tokens.values()):
        # A database that cuts off what is too long would make it look revoked later.
        raise RuntimeError("a token was not stored as it is")
    return True


def _end_of_grant(
    session: Session, sender_id: int, issued: Issued, moment: datetime
) -> dict[str, datetime | None]:
    """What is written down of until when the refresh token counts."""
    if not issued.refresh_seconds:
        # A new one of which nothing is said ends as its vendor documents; an old one as before.
        return {"refresh_until": None, "refresh_from": None} if issued.refresh else {}
    until = moment + timedelta(seconds=issued.refresh_seconds)
    before = session.scalar(
        select(OAuthGrant.refresh_until).where(OAuthGrant.sender_id == sender_id)
    )
    if before is not None and abs(until - before) < _SAME_END:
        return {}
    return {"refresh_until": until, "refresh_from": moment}


_ALIVE: dict[str, Any] = {
    "dead_at": None,
    "dead_cause": "",
    "dead_reason": "",
    "lease": None,
    "lease_until": None,
    "retry_at": None,
}
