"""What stands in the row of a sender's tokens at one moment, by the database's clock."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, bindparam, select, type_coerce

from smtp_admin.clock import sql_now
from smtp_admin.credentials.oauth import AccessToken, OAuthLogin
from smtp_admin.database import UTCDateTime, database_now, reading
from smtp_admin.errors import SecretError
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.oauth.sealing import Kind, SealedFor

log = logging.getLogger(__name__)

#: A token that ends within this time is not worth a connection.
_LEAST_LEFT = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read.

    Attributes:
        grant: the row, whatever it is for.
        theirs: whether it is for the login that is meant.
        usable: the access token, if it counts for long enough.
        fresh: whether nobody need ask for another one.
        interrupted: whether somebody died while asking.
    """

    moment: datetime
    grant: OAuthGrant | None = None
    theirs: bool = False
    refresh: str = ""
    usable: AccessToken | None = None
    fresh: bool = False
    interrupted: bool = False

    @property
    def version(self) -> int:
        """Of the row; 0 where there is none."""
        return self.grant.version if self.grant else 0

    @property
    def taken(self) -> bool:
        """Whether somebody is asking just now."""
        grant = self.grant
        return grant is not None and grant.lease is not None and not self.interrupted

    @property
    def rests_for(self) -> float:
        """Seconds for which the token server is left alone, because it has just failed."""
        if self.grant is None or not self.theirs or self.grant.retry_at is None:
            return 0.0
        return max(0.0, (self.grant.retry_at - self.moment).total_seconds())


def look(engine: Engine, bound: SealedFor, login: OAuthLogin, instead_of: str = "") -> Seen:
    """What is there for *login*.

    Args:
        instead_of: a token that does not count, because a mail server refused it.
    """
    with reading(engine) as session:
        row = session.execute(_ROW, {"of": bound.sender_id}).one_or_none()
        if row is None:
            return Seen(database_now(session))
        grant, moment = row[0], row[1]
        session.expunge(grant)
    if grant.purpose != login.purpose:
        return Seen(moment, grant, interrupted=_ran_out(grant, moment))
    access = _opened(bound, "access", login, grant.access_token)
    left = grant.access_until is not None and grant.access_until > moment + _LEAST_LEFT
    usable = None
    if access and left and access != instead_of:
        usable = AccessToken(access, grant.access_until, new=False)
    return Seen(
        moment,
        grant,
        theirs=True,
        refresh=_opened(bound, "refresh", login, grant.refresh_token),
        usable=usable,
        fresh=usable is not None and grant.renew_at is not None and grant.renew_at > moment,
        interrupted=_ran_out(grant, moment),
    )


_ROW: Any = select(OAuthGrant, type_coerce(sql_now(), UTCDateTime())).where(
    OAuthGrant.sender_id == bindparam("of")
)


def _opened(bound: SealedFor, kind: Kind, login: OAuthLogin, sealed: str) -> str:
    """A token; empty where it cannot be opened any more."""
    try:
        return bound.open(kind, login.purpose, sealed)
    except SecretError as error:
        log.warning("the %s token of sender %s: %s", kind, bound.sender_id, error.message)
        return ""


def _ran_out(grant: OAuthGrant, moment: datetime) -> bool:
    """Whether whoever holds the lease is gone."""
    if grant.lease is None:
        return False
    return grant.lease_until is None or grant.lease_until <= moment
