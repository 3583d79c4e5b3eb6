"""Ask a token server: four kinds of POST (RFC 6749, RFC 7523), over the guarded dialler.

What a server may do to us is limited: time, the size of its answer, and where it may stand.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

from smtp_admin.credentials import token_answers
from smtp_admin.credentials.assertions import (
    CLIENT_ASSERTION,
    JWT_BEARER,
    of_client,
    of_service_account,
)
from smtp_admin.credentials.oauth import AccessToken, OAuthLogin
from smtp_admin.credentials.token_answers import Issued
from smtp_admin.credentials.token_failure import TokenFailure, not_signed_in
from smtp_admin.http.caller import Caller, CallFailed
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.redaction import Redactor
from smtp_admin.smtp.session import Dialler
from smtp_admin.translation import gettext, said_by

#: Where a token server may listen, beside the ports that are allowed for mail servers.
_PORTS = frozenset({443, 8443})
_BASIC = "Basic "
_NOT_ALLOWED = {"destination_not_allowed"}


def caller_for_tokens(dialler: Dialler) -> Caller:
    """The way to token servers of this installation."""
    ports = dialler.policy.ports | _PORTS
    return Caller(dialler.policy, dialler.ca_file, ports=ports)


@dataclass(frozen=True, slots=True)
class FromServer:
    """Tokens straight from their server, which keeps nothing: for settings that nobody saved.

    Attributes:
        refresh_token: what a person granted, if that is at hand.
    """

    caller: Caller
    refresh_token: str = field(default="", repr=False)

    def token(
        self, login: OAuthLogin, *, instead_of: str = "", overall: Deadline | None = None
    ) -> AccessToken:
        """See :class:`smtp_admin.credentials.oauth.Tokens`."""
        del instead_of  # every token from here is another one
        if login.way.by_person and not self.refresh_token:
            raise not_signed_in()
        issued = request_token(login, self.caller, self.refresh_token, overall)
        return AccessToken(issued.value, issued.until)


def request_token(
    login: OAuthLogin, caller: Caller, refresh_token: str = "", overall: Deadline | None = None
) -> Issued:
    """A new token for *login*.

    Args:
        refresh_token: what a person granted, where the way to sign in has that.

    Raises:
        TokenFailure: there is none.
    """
    if login.way.grant == "jwt_bearer":
        signed = {"grant_type": JWT_BEARER, "assertion": of_service_account(login)}
        return _ask(login, caller, signed, overall)
    form = {"grant_type": "client_credentials", "scope": login.scope}
    if login.way.by_person:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return _ask(login, caller, form, overall)


def redeem_code(
    login: OAuthLogin, caller: Caller, code: str, *, verifier: str, redirect_uri: str
) -> Issued:
    """What a person granted who came back from the authorization page with *code*.

    Raises:
        TokenFailure: the server does not take the code, or gives nothing to go on with.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": verifier,
        "redirect_uri": redirect_uri,
    }
    issued = _ask(login, caller, form, None)
    if not issued.refresh:
        raise TokenFailure(
            "token_refused",
            gettext("The token server let the person sign in, but not for longer than an hour."),
            hint=gettext(
                "The app must be allowed to keep access (offline_access). Then sign in again."
            ),
            cause="oauth_no_refresh",
        )
    return issued


def _ask(
    login: OAuthLogin, caller: Caller, form: Mapping[str, str], overall: Deadline | None
) -> Issued:
    _check_complete(login)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }
    fields = {name: text for name, text in form.items() if text} | _proof(login, headers)
    sent = ("assertion", "client_assertion", "client_secret", "code", "code_verifier",
            "refresh_token")  # fmt: skip
    hidden = [fields[one] for one in sent if one in fields]
    hidden.append(headers.get("Authorization", "").removeprefix(_BASIC))
    redact = Redactor([*login.secrets, *hidden], login.client_id)
    try:
        answer = caller.post(login.token_url, urlencode(fields).encode(), headers, overall)
    except CallFailed as error:
        raise _not_reached(login, error) from error
    return token_answers.read(answer, login, redact)


def _proof(login: OAuthLogin, headers: dict[str, str]) -> dict[str, str]:
    """What tells the server who asks: in the form, or in a header that is added to *headers*."""
    if login.way.grant == "jwt_bearer":
        return {}
    if login.key:
        return {
            "client_id": login.client_id,
            "client_assertion_type": CLIENT_ASSERTION,
            "client_assertion": of_client(login),
        }
    if login.client_secret and login.way.vendor == "other":
        # The one way that every server must know (RFC 6749 section 2.3.1).
        pair = f"{quote(login.client_id, safe='')}:{quote(login.client_secret, safe='')}"
        headers["Authorization"] = _BASIC + base64.b64encode(pair.encode()).decode()
        return {}
    found = {"client_id": login.client_id}
    if login.client_secret:
        found["client_secret"] = login.client_secret
    return found


def _check_complete(login: OAuthLogin) -> None:
    """Return if there is anybody to ask, and with what; the environment alone may lack it."""
    missing = [
        name
        for name, text in (
            (gettext("the mailbox (Login)"), login.username),
            (gettext("the client ID"), login.client_id),
            (gettext("the address of the token server"), login.token_url),
        )
        if not text
    ]
    proven = login.key or login.client_secret or login.way.by_person
    if not proven:
        missing.append(gettext("the client secret or key"))
    if missing:
        raise TokenFailure(
            "token_refused",
            gettext("The settings lack %(names)s.", names=_and_the(missing)),
            hint=gettext("Enter it with the settings."),
            cause="oauth_incomplete",
        )


def _and_the(names: list[str]) -> str:
    """*names* with "and" between them, however many."""
    text, *others = names
    for name in others:
        text = gettext("%(names)s and %(last)s", names=text, last=name)
    return text


def _not_reached(login: OAuthLogin, error: CallFailed) -> TokenFailure:
    host = urlsplit(login.token_url).hostname or "?"
    facts = {"token_server": host, "why": said_by(error)}
    if error.code in _NOT_ALLOWED:
        return TokenFailure(
            "token_refused",
            gettext(
                "This platform does not connect to the token server %(host)s: %(error)s.",
                host=host,
                error=said_by(error),
            ),
            cause="oauth_server_not_allowed",
            facts=facts,
        )
    return TokenFailure(
        "token_unavailable",
        gettext(
            "The token server %(host)s could not be asked: %(error)s.",
            host=host,
            error=said_by(error),
        ),
        hint=gettext("Mail is kept and sent later."),
        cause="oauth_server_away",
        facts=facts,
    )
