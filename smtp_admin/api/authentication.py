"""Who asks the API: whoever has a token, else the person of the host's session; how often they may.

A request with a bearer token is that token's alone. The session that a browser may send along
counts for nothing, so no token against forged requests is needed; a token that is bad is refused,
and never falls back to the session.
"""

from flask import Response, request

from smtp_admin import web
from smtp_admin.api.tokens import Bearer, bearer_of, note_use
from smtp_admin.database import session
from smtp_admin.delivery.request_counts import Standing, kept_counts
from smtp_admin.errors import RateLimited
from smtp_admin.installation import installation
from smtp_admin.translation import gettext

COUNTS = kept_counts("api")
_BEARER, _STANDING = "smtp_admin.bearer", "smtp_admin.standing"
_SCHEME = "bearer"


def authenticate() -> None:
    """Find out who asks, and refuse what is too often.

    Raises:
        Unauthenticated: the token is none, or works no more.
        RateLimited: it knows when requests are possible again.
    """
    text = _token()
    if text is not None:
        web.asked_by_program()
        bearer = bearer_of(session(), text)
        request.environ[_BEARER] = bearer
        web.act_as(bearer.actor)
    actor = web.current_actor()
    if actor is None:
        return
    here = installation()
    standing = COUNTS.of(here).take(actor.id, here.config.api_limit)
    request.environ[_STANDING] = standing
    if standing.over:
        rate = standing.rate
        raise RateLimited(
            gettext(
                "That is more than %(count)s requests in %(seconds)s seconds.",
                count=rate.count,
                seconds=rate.seconds,
            ),
            hint=gettext(
                "Wait for as many seconds as Retry-After says. SMTP_ADMIN_API_LIMIT sets the limit."
            ),
            retry_after=standing.resets_in,
        )


def _token() -> str | None:
    """What was sent as a bearer token, however it is set off; ``None`` if nothing was."""
    words = request.headers.get("Authorization", "").split(maxsplit=1)
    if not words or words[0].lower() != _SCHEME:
        return None
    return words[1].strip() if len(words) > 1 else ""


def describe(response: Response) -> Response:
    """Add what the answer says of the token: how it is sent, what is left of its requests."""
    standing: Standing | None = request.environ.get(_STANDING)
    if standing is not None:
        response.headers.update(standing.headers())
    if response.status_code == 401:  # noqa: PLR2004 - RFC 6750 section 3
        wrong = "" if _token() is None else ', error="invalid_token"'
        response.headers["WWW-Authenticate"] = f'Bearer realm="smtp_admin"{wrong}'
    bearer: Bearer | None = request.environ.get(_BEARER)
    if bearer is not None and bearer.to_note is not None:
        note_use(bearer.token_id, bearer.to_note)
    return response
