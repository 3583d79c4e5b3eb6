"""Sign a mailbox in: where a person is sent, and what is kept when they come back.

The state that travels along is known to this browser's session alone, and the code that comes back
counts only with a verifier (PKCE, RFC 7636) that never left the platform.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from smtp_admin.credentials.claims import read_claims
from smtp_admin.credentials.oauth import OAuthLogin
from smtp_admin.credentials.token_requests import redeem_code
from smtp_admin.database import changed, database_now, transaction
from smtp_admin.encryption import Keyring
from smtp_admin.http.caller import Caller
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.oauth.sealing import SealedFor
from smtp_admin.oauth.seen import look
from smtp_admin.oauth.writing import add_row, write_tokens
from smtp_admin.senders.models import Sender
from smtp_admin.senders.pauses import NO_PAUSE

_LONGEST = 320


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What is kept of a sign-in.

    Attributes:
        dead_reason: why it does not count any more; empty while it does.
    """

    granted_at: datetime | None
    granted_by: str
    account: str
    renewed_at: datetime | None
    dead_reason: str


def signed_in(session: Session, sender_id: int, login: OAuthLogin) -> SignedIn | None:
    """Who signed in for *login*, or ``None`` if nobody did."""
    grant = session.query(OAuthGrant).filter_by(sender_id=sender_id).one_or_none()
    if grant is None or grant.purpose != login.purpose or not grant.refresh_token:
        return None
    return SignedIn(
        grant.granted_at, grant.granted_by, grant.account, grant.issued_at, grant.dead_reason
    )


def authorize_url(login: OAuthLogin, keyring: Keyring, state: str, redirect_uri: str) -> str:
    """Where a person signs in and agrees.

    Args:
        state: what they bring back.
    """
    digest = hashlib.sha256(_verifier(keyring, state).encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": login.client_id,
        "redirect_uri": redirect_uri,
        "scope": login.scope,
        "state": state,
        "code_challenge": base64.urlsafe_b64encode(digest).decode("ascii").rstrip("="),
        "code_challenge_method": "S256",
        "login_hint": login.username,
        **(login.way.parameters or {}),
    }
    between = "&" if "?" in login.authorize_url else "?"
    return f"{login.authorize_url}{between}{urlencode({k: v for k, v in asked.items() if v})}"


def finish(
    engine: Engine,
    caller: Caller,
    bound: SealedFor,
    login: OAuthLogin,
    *,
    code: str,
    state: str,
    redirect_uri: str,
    by: str,
) -> str:
    """Keep what a person granted who came back with *code*; the account that it names.

    A sender that waited for it goes on.

    Args:
        by: who that is here.

    Raises:
        TokenFailure: the token server does not take the code.
    """
    issued = redeem_code(
        login, caller, code, verifier=_verifier(bound.keyring, state), redirect_uri=redirect_uri
    )
    claims = read_claims(issued.value)
    account = (claims.account if claims else "")[:_LONGEST]
    while True:
        version = look(engine, bound, login).version
        with transaction(engine) as session:
            if version == 0:
                add_row(session, bound.sender_id, login)
            granted = {
                "granted_at": database_now(session),
                "granted_by": by[:_LONGEST],
                "account": account,
            }
            if write_tokens(session, bound, login, issued, version=version, **granted):
                waits = (Sender.id == bound.sender_id, Sender.pause_code == "token_refused")
                changed(session, update(Sender).where(*waits).values(**NO_PAUSE))
                return account


def _verifier(keyring: Keyring, state: str) -> str:
    """What only this platform can make of *state*; nothing of it is stored anywhere."""
    key = keyring.derived("oauth sign-in")[0]
    made = hmac.digest(key, state.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(made).decode("ascii").rstrip("=")
