"""Read what a token says of itself, without believing it: for explanations, never for permission.

The mail server decides what a token is worth. What stands in it tells a person beforehand that it
was issued for something else.
"""

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from smtp_admin.credentials.oauth import OAuthLogin
from smtp_admin.credentials.token_failure import TokenFailure
from smtp_admin.smtp.redaction import printable
from smtp_admin.translation import gettext, joined

_LONGEST, _SHOWN = 48 * 1024, 200
#: How Microsoft names Graph in a token.
_GRAPH = ("https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000")
#: The resource of Exchange Online by its number.
_EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says; empty where it says nothing.

    Attributes:
        audience: for whom it is.
        roles: what an application may do, and ``scopes`` what it may do for a person.
        account: whose mailbox it is, where a person signed in.
    """

    audience: str = ""
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    account: str = ""
    until: datetime | None = None

    @property
    def words(self) -> str:
        """All of it in one line, for a person."""
        parts = [
            gettext("for %(audience)s", audience=self.audience) if self.audience else "",
            gettext("roles %(roles)s", roles=" ".join(self.roles)) if self.roles else "",
            gettext("scopes %(scopes)s", scopes=" ".join(self.scopes)) if self.scopes else "",
            gettext("of %(account)s", account=self.account) if self.account else "",
        ]
        return joined(parts, ", ")


def read_claims(token: str) -> Claims | None:
    """What *token* says, or ``None`` where nobody but its server can read it."""
    if len(token) > _LONGEST or not _JWT.fullmatch(token):
        return None
    middle = token.split(".")[1]
    try:
        said = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    return Claims(
        audience=_text(_first(said.get("aud"))).rstrip("/"),
        roles=_several(said.get("roles")),
        scopes=_several(said.get("scp") or said.get("scope")),
        account=_text(said.get("upn") or said.get("preferred_username") or said.get("email")),
        until=_moment(said.get("exp")),
    )


def check_claims(login: OAuthLogin, claims: Claims | None) -> None:
    """Return unless the token cannot work for what *login* wants, by what it says itself.

    Only what is certain counts: what a vendor writes into its tokens may change.

    Raises:
        TokenFailure: it is for something else, or allows too little.
    """
    if claims is None or not login.way.permission:
        return
    facts = {"audience": claims.audience, "permission": login.way.permission}
    if claims.audience in _GRAPH:
        raise TokenFailure(
            "token_refused",
            gettext("The token is for Microsoft Graph, not for sending over SMTP."),
            cause="oauth_token_for_graph",
            facts=facts,
        )
    if _lacks(login, claims, login.way.permission):
        raise TokenFailure(
            "token_refused",
            gettext(
                "The token does not allow sending: %(permission)s is not in it.",
                permission=login.way.permission,
            ),
            cause="oauth_permission_missing",
            facts=facts,
        )


def check_reading(login: OAuthLogin, claims: Claims | None) -> None:
    """Return unless the token says itself that it does not allow reading mail over IMAP.

    Raises:
        TokenFailure: it allows too little.
    """
    permission = login.way.reading
    if claims is None or not permission or not _lacks(login, claims, permission):
        return
    scope = f"{login.way.scope} {login.way.audiences[-1]}/{permission}"
    asked = gettext(
        "Enter as scope of the sender: %(scope)s. Then save, and sign in again.", scope=scope
    )
    allowed = gettext(
        "Add the application permission %(permission)s to the app at Microsoft, and grant admin "
        "consent.",
        permission=permission,
    )
    raise TokenFailure(
        "token_refused",
        gettext(
            "The token does not allow reading mail: %(permission)s is not in it.",
            permission=permission,
        ),
        hint=asked if login.way.by_person else allowed,
        facts={"audience": claims.audience, "permission": permission},
    )


def _lacks(login: OAuthLogin, claims: Claims, permission: str) -> bool:
    """Whether *permission* is not in a token that is for what this way of signing in is for."""
    known = claims.audience in (*login.way.audiences, _EXCHANGE) or login.scope.startswith(
        f"{claims.audience}/"
    )
    if not known:
        return False  # another cloud, or a new name: the mail server knows better
    return permission not in (claims.scopes if login.way.by_person else claims.roles)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _several(value: Any) -> tuple[str, ...]:
    words = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(_text(one) for one in words[:20] if isinstance(one, str))


def _text(value: Any) -> str:
    return printable(value)[:_SHOWN] if isinstance(value, str) else ""


def _moment(value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
