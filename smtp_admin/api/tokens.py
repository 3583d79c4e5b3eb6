"""API tokens: made, shown once, used, revoked."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from smtp_admin.access import TokenActor
from smtp_admin.api.models import ApiToken
from smtp_admin.api.scopes import SCOPES, actions_of, checked
from smtp_admin.api.token_text import hash_of, is_whole, new_token
from smtp_admin.audit.service import record_change
from smtp_admin.database import SYSTEM, about_now, changed, database_now, host_engine, transaction
from smtp_admin.delivery.public_ids import is_public_id, new_public_id
from smtp_admin.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from smtp_admin.host import Actor
from smtp_admin.identifiers import is_storable
from smtp_admin.installation import installation
from smtp_admin.smtp.address import check_header_text
from smtp_admin.translation import gettext, said_by

log = logging.getLogger(__name__)

#: How long a token may live, by the words of forms and commands; ``None`` for ever.
LIFETIMES: dict[str, tuple[timedelta | None, str]] = {
    "30d": (timedelta(days=30), gettext("30 days")),
    "90d": (timedelta(days=90), gettext("90 days")),
    "365d": (timedelta(days=365), gettext("1 year")),
    "never": (None, gettext("never")),
}
#: Of one owner, that still work: more than that is a loop.
MOST_LIVE = 100
_LONGEST_NAME = 80
#: How old the time of last use may get before it is written again.
_USE_IS_FRESH = timedelta(minutes=1)
_TABLE: Any = ApiToken.__table__

TokenState = Literal["live", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class Created:
    """A new token, of which only this knows the text."""

    text: str
    row: ApiToken

    def __repr__(self) -> str:
        return f"<Created {self.row.public_id}>"


def create_token(
    session: Session,
    actor: Actor,
    partner_id: str,
    *,
    name: str,
    scopes: Iterable[str],
    lifetime: str,
) -> Created:
    """Make a token of *partner_id*, or of the platform; the caller commits.

    Raises:
        InvalidInput: its name, what it may do or its lifetime cannot be used.
        Conflict: this owner has as many as it may have.
        RateLimited: this person changes too much.
    """
    cleaned = _clean_name(name)
    allowed = checked(scopes)
    if lifetime not in LIFETIMES:
        words = gettext("Choose one of %(names)s.", names=", ".join(LIFETIMES))
        raise InvalidInput(fields={"expires": [words]})
    moment = database_now(session)
    live = session.scalars(
        select(ApiToken.name).where(ApiToken.partner_id == partner_id, is_live(moment))
    ).all()
    if cleaned in live:
        words = gettext(
            "There is a token of this name already. Choose another name, or revoke that one."
        )
        raise InvalidInput(fields={"name": [words]})
    if len(live) >= MOST_LIVE:
        raise Conflict(
            gettext("There are %(most)s tokens already. Revoke some first.", most=MOST_LIVE)
        )
    text, lives = new_token(), LIFETIMES[lifetime][0]
    row = ApiToken(
        public_id=new_public_id(),
        partner_id=partner_id,
        name=cleaned,
        token_hash=hash_of(text),
        scopes=" ".join(allowed),
        created_by=_who(actor),
        expires_at=None if lives is None else moment + lives,
    )
    session.add(row)
    session.flush()
    ends = f"until {row.expires_at:%Y-%m-%d}" if row.expires_at else "without end"
    detail = f"{cleaned}: {', '.join(allowed)}, {ends}"
    record_change(session, actor, partner_id, "token.created", detail)
    return Created(text, row)


def revoke_token(session: Session, actor: Actor, row: ApiToken) -> None:
    """Let a token work no more, from the commit on; the caller commits.

    Raises:
        Conflict: it was revoked before.
        RateLimited: this person changes too much.
    """
    mine = (ApiToken.id == row.id, ApiToken.revoked_at.is_(None))
    ended = {"revoked_at": database_now(session), "revoked_by": _who(actor)}
    if not changed(session, update(ApiToken).where(*mine).values(**ended)):
        raise Conflict(gettext("This token is already revoked."))
    record_change(session, actor, row.partner_id, "token.revoked", row.name)


def find_token(
    session: Session, public_id: str, partner_ids: Iterable[str] | None = None
) -> ApiToken:
    """A token by its id, among those of these partners.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    found = None
    if is_public_id(public_id):
        found = session.scalar(select(ApiToken).where(ApiToken.public_id == public_id))
    if found is None or (partner_ids is not None and found.partner_id not in set(partner_ids)):
        raise NotFound(gettext("There is no token %(public_id)s.", public_id=repr(public_id[:40])))
    return found


def is_live(moment: datetime) -> Any:
    """Whether a token works at *moment*."""
    unended = or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > moment)
    return ApiToken.revoked_at.is_(None) & unended


def state_of(row: ApiToken, moment: datetime) -> TokenState:
    """Whether a token works, and why not."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= moment else "live"


def as_json(row: ApiToken, moment: datetime) -> dict[str, Any]:
    """A token for a script; never the token itself."""
    return {
        "id": row.public_id,
        "partner_id": row.partner_id,
        "name": row.name,
        "scopes": row.scopes.split(),
        "state": state_of(row, moment),
        "created_at": row.created_at.isoformat(),
        "created_by": row.created_by,
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
        "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
        "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
        "revoked_by": row.revoked_by,
    }


def scope_words(row: ApiToken) -> list[str]:
    """What a token may do, in words."""
    return [SCOPES[one].label if one in SCOPES else one for one in row.scopes.split()]


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who has a token.

    Attributes:
        to_note: when it was used just now, where that has to be written down.
    """

    token_id: int
    actor: TokenActor
    to_note: datetime | None = None


def bearer_of(session: Session, text: str) -> Bearer:
    """Who has this token.

    Raises:
        Unauthenticated: nobody, or not any more; says why.
    """
    if not is_whole(text):
        raise Unauthenticated(
            "This is no API token, or it is mistyped: its check digits do not fit.",
            hint="A token begins with smtpadmin_ and has 48 characters. Copy all of it.",
        )
    row = session.execute(select(*_TABLE.c).where(ApiToken.token_hash == hash_of(text))).first()
    if row is None:
        raise Unauthenticated("There is no such API token here.", hint=_ASK)
    moment = about_now(session)
    state = state_of(row, moment)  # type: ignore[arg-type]  # a row has the same columns
    if state != "live":
        raise Unauthenticated(f"This API token is {state}.", hint=_ASK)
    partner_id: str = row.partner_id
    if partner_id != SYSTEM and installation().host.partner(partner_id) is None:
        raise Unauthenticated("The partner of this API token does not exist any more.", hint=_ASK)
    actor = TokenActor(
        id=f"token:{row.public_id}",
        email="",
        name=f"API token “{row.name}”",
        is_admin=partner_id == SYSTEM,
        partner_ids=frozenset() if partner_id == SYSTEM else frozenset({partner_id}),
        actions=actions_of(row.scopes.split()),
    )
    stale = row.last_used_at is None or moment - row.last_used_at > _USE_IS_FRESH
    return Bearer(row.id, actor, moment if stale else None)


_ASK = "Ask for a new one: tokens are created on the page “API tokens”."


def note_use(token_id: int, moment: datetime) -> None:
    """Write down that a token was used, once for all who notice it in the same minute.

    In a transaction of its own, after the request's: on SQLite the two would wait for each other.
    """
    due = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at < moment - _USE_IS_FRESH)
    try:
        with transaction(host_engine()) as own:
            mine = update(ApiToken).where(ApiToken.id == token_id, due)
            changed(own, mine.values(last_used_at=moment))
    except SQLAlchemyError as error:  # nobody's request fails for that
        log.warning("the last use of a token was not noted (%s)", type(error).__name__)


def _clean_name(text: str) -> str:
    name = " ".join(text.split())
    try:
        check_header_text(name)
    except ValueError as error:
        raise InvalidInput(fields={"name": [said_by(error)]}) from error
    if not name or len(name) > _LONGEST_NAME or not is_storable(name):
        words = gettext(
            "Give it a name of 1 to %(most)s characters, such as CRM.", most=_LONGEST_NAME
        )
        raise InvalidInput(fields={"name": [words]})
    return name


def _who(actor: Actor) -> str:
    return (actor.email or actor.name or actor.id)[:320]
