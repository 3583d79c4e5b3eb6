"""Open a session for a sender: with its password, or with a token that is asked for first.

The token comes before the mail server is called, so that no server waits for another.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from smtp_admin.credentials.claims import check_claims, read_claims
from smtp_admin.credentials.oauth import AccessToken, OAuthLogin, Tokens
from smtp_admin.credentials.token_requests import FromServer, caller_for_tokens
from smtp_admin.smtp.client import SMTPClient
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.login import Credential
from smtp_admin.smtp.report import Report
from smtp_admin.smtp.session import Dialler, Server, open_session
from smtp_admin.smtp.tls import TLSDescription, describe, unnoted
from smtp_admin.smtp.wire import Wire
from smtp_admin.translation import clock_time, gettext, joined
from smtp_admin.transports.outcome import Outcome

#: By which a server says that somebody must log in (again).
_LOG_IN = frozenset({530, 535})
_CLOSING = 421


class Opening:
    """How sessions of one sender are opened, one after the other.

    Args:
        tokens: where they come from; straight from their server if left out.
        saw: told how a server encrypts, once a session is open.
    """

    def __init__(
        self,
        server: Server,
        credential: Credential,
        dialler: Dialler,
        tokens: Tokens | None = None,
        saw: Callable[[TLSDescription], None] = unnoted,
    ) -> None:
        self._server = server
        self._credential = credential
        self._dialler = dialler
        self._tokens = tokens or FromServer(caller_for_tokens(dialler))
        self._saw = saw
        #: What the present session was opened with.
        self._used: AccessToken | None = None
        self._refused = ""

    def open(
        self,
        *,
        overall: Deadline | None = None,
        report: Report | None = None,
        dialled: Callable[[Wire], None] = lambda _: None,
    ) -> SMTPClient:
        """A logged-in session; the arguments are those of :func:`open_session`.

        Raises:
            SMTPFailure: as there, and at the step ``token``.
        """
        client = self._open(overall, report, dialled)
        if client.wire.tls is not None:
            self._saw(describe(client.wire.tls))
        return client

    def _open(
        self,
        overall: Deadline | None,
        report: Report | None,
        dialled: Callable[[Wire], None],
    ) -> SMTPClient:
        login = self._credential
        connect = partial(
            open_session,
            self._server,
            dialler=self._dialler,
            overall=overall,
            report=report,
            dialled=dialled,
        )
        if not isinstance(login, OAuthLogin):
            return connect(credential=login)
        refused, self._refused = self._refused, ""
        token = self._token(login, refused, overall, report)
        try:
            client = connect(credential=login.bearer(token.value))
        except SMTPFailure as failure:
            if failure.code != "auth_failed" or token.new:
                raise
            # It was kept from before, and may have been revoked since: one more, and no third.
            token = self._token(login, token.value, overall, report)
            client = connect(credential=login.bearer(token.value))
        self._used = token
        return client

    def token_ended(self, outcome: Outcome) -> bool:
        """Whether a session ends because its token does, so that a new one is worth a try."""
        used, reply = self._used, outcome.reply
        if used is None or reply is None:
            return False
        over = used.until is not None and used.until <= datetime.now(UTC)
        ended = reply.code in _LOG_IN or (reply.code == _CLOSING and over)
        if ended:
            self._refused = used.value
        return ended

    def _token(
        self,
        login: OAuthLogin,
        instead_of: str,
        overall: Deadline | None,
        report: Report | None,
    ) -> AccessToken:
        found: list[AccessToken] = []

        def fetch() -> tuple[str, None]:
            token = self._tokens.token(login, instead_of=instead_of, overall=overall)
            claims = read_claims(token.value)
            check_claims(login, claims)
            found.append(token)
            until = gettext("until %(at)s", at=clock_time(token.until)) if token.until else ""
            said = claims.words if claims else gettext("no server but its own can read it")
            return joined((until, said), ", "), None

        (report or Report()).run("token", fetch)
        return found[0]
