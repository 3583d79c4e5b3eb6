"""What a token server answers: a token, or an error, judged by what the standard names.

Microsoft warns that its numbers (AADSTS…) and texts change. So ``error`` and ``suberror`` alone
decide what becomes of the sender; a number only chooses the words that explain it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from smtp_admin.credentials.oauth import OAuthLogin
from smtp_admin.credentials.token_failure import TokenFailure
from smtp_admin.http.connection import Answer
from smtp_admin.smtp.redaction import Redactor, printable
from smtp_admin.translation import gettext

_USUAL_LIFE, _LONGEST_LIFE = 3600, 86400
#: A server has to take 12,288 letters of a login (RFC 4954 section 4); more is no token.
_LONGEST_TOKEN = 32 * 1024
_LONGEST_REFRESH = 64 * 1024
_SHOWN = 300
_LONGEST_REST, _OFTEN = 3600.0, 429
_CLOCK_OFF = timedelta(minutes=5)
_TOKEN = re.compile(r"[\x21-\x7e]+")

#: What the server cannot do now, and may do later (RFC 6749 sections 4.1.2.1 and 5.2).
_LATER = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
#: What a person granted is used up, or they must do something again.
_DEAD = frozenset({"invalid_grant", "interaction_required", "login_required", "consent_required"})
_CAUSE_OF_ERROR = {
    "invalid_client": "oauth_client_refused",
    "unauthorized_client": "oauth_client_unknown",
    "invalid_scope": "oauth_scope_refused",
    "invalid_target": "oauth_scope_refused",
    "invalid_resource": "oauth_scope_refused",
    "access_denied": "oauth_policy",
    "consent_required": "oauth_consent_missing",
}
_CAUSE_OF_SUBERROR = {
    "consent_required": "oauth_consent_missing",
    "token_expired": "oauth_sign_in_frequency",
    "basic_action": "oauth_policy",
    "additional_action": "oauth_policy",
    "protection_policy_required": "oauth_policy",
}
#: For the words alone.
_CAUSE_OF_NUMBER = {
    "7000222": "oauth_secret_expired",
    "7000215": "oauth_secret_wrong",
    "700016": "oauth_client_unknown",
    "700027": "oauth_certificate_unknown",
    "700024": "oauth_clock",
    "7000229": "oauth_consent_missing",
    "90002": "oauth_tenant_unknown",
    "900023": "oauth_tenant_unknown",
    "700082": "oauth_grant_unused",
    "70043": "oauth_sign_in_frequency",
    "50173": "oauth_grant_revoked",
    "65001": "oauth_consent_missing",
    "50076": "oauth_policy",
    "50079": "oauth_policy",
    "53003": "oauth_policy",
}
_NUMBER = re.compile(r"AADSTS(\d{5,8})")
#: The same for Google's words: a pattern, and the cause.
_CAUSE_OF_WORDS = (
    (re.compile("short-lived token|reasonable timeframe|iat.+exp", re.IGNORECASE), "oauth_clock"),
    (re.compile("invalid email or user id", re.IGNORECASE), "oauth_mailbox_unknown"),
    (re.compile("account not found", re.IGNORECASE), "oauth_client_unknown"),
    (re.compile("invalid jwt signature", re.IGNORECASE), "oauth_certificate_unknown"),
)


@dataclass(frozen=True, slots=True)
class Issued:
    """What a token server gave.

    Attributes:
        until: when the access token ends, by this machine's clock.
        refresh: what asks for the next one; empty where nothing came.
        refresh_seconds: how long that may be used, where the server says so; else 0.
    """

    value: str = field(repr=False)
    seconds: int
    until: datetime
    refresh: str = field(default="", repr=False)
    scope: str = ""
    refresh_seconds: int = 0


def read(answer: Answer, login: OAuthLogin, redact: Redactor) -> Issued:
    """The token in *answer*.

    Args:
        redact: takes out what was sent, which a server may repeat.

    Raises:
        TokenFailure: there is none.
    """
    said = _object(answer)
    if answer.status // 100 == 2 and said is not None and "error" not in said:  # noqa: PLR2004
        return _issued(said, login)
    raise _failure(answer, said or {}, login, redact)


def _object(answer: Answer) -> dict[str, Any] | None:
    if answer.cut:
        return None
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _issued(said: Mapping[str, Any], login: OAuthLogin) -> Issued:
    value, refresh = said.get("access_token"), said.get("refresh_token") or ""
    kind = said.get("token_type", "bearer")
    fits = (
        isinstance(value, str)
        and len(value) <= _LONGEST_TOKEN
        and _TOKEN.fullmatch(value)
        and isinstance(refresh, str)
        and len(refresh) <= _LONGEST_REFRESH
        and refresh.isascii()
        and isinstance(kind, str)
        and kind.lower() == "bearer"
    )
    if not fits:
        raise _no_token_server(login, gettext("its answer has no token that can be used"))
    seconds = _seconds(said.get("expires_in"))
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    scope = str(said.get("scope") or "")[:_SHOWN]
    return Issued(str(value), seconds, until, refresh, scope, _refresh_seconds(said))


def _seconds(told: Any) -> int:
    """How long a token lives; some servers write the number as text."""
    text = str(told)
    known = text.isascii() and text.isdigit() and len(text) < 9  # noqa: PLR2004
    return min(int(text), _LONGEST_LIFE) if known else _USUAL_LIFE


def _refresh_seconds(said: Mapping[str, Any]) -> int:
    """How long what was granted counts: Google says so of short ones, Keycloak always."""
    for name in ("refresh_token_expires_in", "refresh_expires_in"):
        text = str(said.get(name, ""))
        if text.isascii() and text.isdigit() and len(text) < 10:  # noqa: PLR2004
            return int(text)
    return 0


def _failure(
    answer: Answer, said: Mapping[str, Any], login: OAuthLogin, redact: Redactor
) -> TokenFailure:
    error, suberror = _word(said.get("error")), _word(said.get("suberror"))
    words = _sentence(said.get("error_description"), redact)
    host = urlsplit(login.token_url).hostname or "?"
    facts = {"token_server": host}
    if error or words:
        facts["technical"] = redact(": ".join(one for one in (error, words) if one)).rstrip(".")
    if answer.status >= 500 or answer.status == _OFTEN or error in _LATER:  # noqa: PLR2004
        return TokenFailure(
            "token_unavailable",
            gettext(
                "The token server %(host)s has no token for now (status %(status)s).",
                host=host,
                status=answer.status,
            ),
            hint=gettext("Mail is kept and sent later."),
            cause="oauth_server_away",
            facts=facts
            | {"why": gettext("it answered with status %(status)s", status=answer.status)},
            retry_after=_rest(answer),
        )
    if not error:
        return _no_token_server(
            login, gettext("it answered with status %(status)s", status=answer.status)
        )
    cause = _cause(error, suberror, words, answer, login)
    return TokenFailure(
        "token_refused",
        gettext("The token server %(host)s refused a token (%(error)s).", host=host, error=error),
        cause=cause,
        facts=facts,
        dead=login.way.by_person and error in _DEAD,
    )


def _cause(error: str, suberror: str, words: str, answer: Answer, login: OAuthLogin) -> str:
    """The key of what is behind a refusal, from what says most to what says least."""
    number = _NUMBER.search(words)
    told = _CAUSE_OF_NUMBER.get(number[1], "") if number else ""
    if not told and login.way.vendor == "google":
        told = next((cause for pattern, cause in _CAUSE_OF_WORDS if pattern.search(words)), "")
    if told:
        return told
    if suberror in _CAUSE_OF_SUBERROR:
        return _CAUSE_OF_SUBERROR[suberror]
    if (login.key or login.way.grant == "jwt_bearer") and _clock_is_off(answer):
        return "oauth_clock"
    if error == "unauthorized_client" and login.way.grant == "jwt_bearer":
        return "oauth_delegation_missing"
    if error in _DEAD and error not in _CAUSE_OF_ERROR:
        if not login.way.by_person:
            return "oauth_service_refused"
        return "oauth_google_grant_ended" if login.way.vendor == "google" else "oauth_grant_ended"
    return _CAUSE_OF_ERROR.get(error, "oauth_request_refused")


def _clock_is_off(answer: Answer) -> bool:
    """Whether the server's clock and ours disagree, so that what we sign is too old or too new."""
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
    except (ValueError, TypeError):
        return False
    if theirs.tzinfo is None:
        return False
    return abs(theirs - datetime.now(UTC)) > _CLOCK_OFF


def _no_token_server(login: OAuthLogin, why: str) -> TokenFailure:
    host = urlsplit(login.token_url).hostname or "?"
    return TokenFailure(
        "token_refused",
        gettext("%(host)s does not answer as a token server does: %(why)s.", host=host, why=why),
        cause="oauth_no_token_server",
        facts={"token_server": host, "why": why},
    )


def _rest(answer: Answer) -> float | None:
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 9:  # noqa: PLR2004
        return min(float(text), _LONGEST_REST)
    return None


def _word(told: Any) -> str:
    """An error's name; what is none counts as one that nobody knows."""
    if told is None or told == "":
        return ""
    text = str(told)
    return text if re.fullmatch(r"[A-Za-z0-9_.-]{1,60}", text) else "unknown_error"


def _sentence(told: Any, redact: Redactor) -> str:
    if not isinstance(told, str):
        return ""
    text = " ".join(printable(redact(told.replace("\r", " ").replace("\n", " "))).split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
