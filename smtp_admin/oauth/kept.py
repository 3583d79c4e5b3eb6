"""Tokens that all threads and processes share: one of them asks for the next, the others wait.

A vendor that rotates refresh tokens takes the second of two that ask at once for a thief, and ends
the sign-in. So who asks holds a lease in SQL. It is committed before the question, and given back
together with the answer: one that ran out tells that somebody died in between.
"""

import logging
import time
from dataclasses import replace

from sqlalchemy import Engine

from smtp_admin.credentials.oauth import AccessToken, OAuthLogin
from smtp_admin.credentials.token_failure import TokenFailure, not_signed_in
from smtp_admin.credentials.token_requests import caller_for_tokens, request_token
from smtp_admin.database import transaction
from smtp_admin.http.caller import Caller
from smtp_admin.installation import Installation
from smtp_admin.oauth.sealing import SealedFor
from smtp_admin.oauth.seen import Seen, look
from smtp_admin.oauth.writing import (
    LEASE_SECONDS,
    declare_dead,
    give_back,
    take_lease,
    write_tokens,
)
from smtp_admin.read_back import read_back
from smtp_admin.sandbox.site import standing
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.session import Dialler
from smtp_admin.translation import gettext
from smtp_admin.transports.driver import Setup, Surroundings

log = logging.getLogger(__name__)

#: How long one waits for another's answer.
_WAIT_SECONDS, _LOOK_SECONDS = 12.0, 0.1
#: How long a token server is left alone that failed.
_REST_SECONDS = 60.0
_LOST = gettext("The sign-in cannot be renewed: a worker was stopped just when it renewed it last.")


def with_tokens(
    surroundings: Surroundings,
    engine: Engine,
    here: Installation,
    sender: ResolvedSender,
    setup: Setup,
    *,
    trying: bool = False,
) -> Surroundings:
    """*surroundings* with the tokens that are kept of *sender*, if its login needs any.

    Args:
        trying: whether settings are only tried: then each token is a new one, and an application's
            is not kept.
    """
    login = setup.credential
    if not isinstance(login, OAuthLogin) or (trying and not login.way.by_person):
        return surroundings
    caller = caller_for_tokens(Dialler.from_config(here.config))
    bound = SealedFor(here.keyring, sender.partner_id, sender.sender_id)
    return replace(surroundings, kept_tokens=KeptTokens(engine, caller, bound, anew=trying))


class KeptTokens:
    """See :class:`smtp_admin.credentials.oauth.Tokens`.

    Args:
        anew: whether a new token is wanted, though an old one still counts.
        after: the version of the row, where somebody has looked already: a later one is new.
    """

    def __init__(
        self,
        engine: Engine,
        caller: Caller,
        bound: SealedFor,
        *,
        anew: bool = False,
        after: int | None = None,
    ) -> None:
        self._engine = engine
        self._caller = caller
        self._bound = bound
        self._anew = anew
        self._after = after

    def token(
        self, login: OAuthLogin, *, instead_of: str = "", overall: Deadline | None = None
    ) -> AccessToken:
        """A token that is kept, or the next one; see the protocol for the arguments."""
        waiting = Deadline(_WAIT_SECONDS, overall)
        first = self._after
        while True:
            seen = look(self._engine, self._bound, login, instead_of)
            first = seen.version if first is None else first
            if seen.usable is not None and self._will_do(seen, first):
                return seen.usable
            self._refuse_to_ask(login, seen)
            if seen.taken:
                if waiting.passed:
                    raise _somebody_else_asks()
                time.sleep(_LOOK_SECONDS)
                continue
            lease = take_lease(self._engine, self._bound.sender_id, login, seen)
            found = self._ask(login, seen, lease, overall) if lease else None
            if found is not None:
                return found

    def _will_do(self, seen: Seen, first: int) -> bool:
        """Whether a usable token is taken as it is; *first* is the version that was seen first."""
        if self._anew:
            return seen.version > first  # another asked meanwhile: that one is new
        # One that ends soon is good enough while another asks, or where nobody may.
        return seen.fresh or seen.taken or seen.rests_for > 0 or not standing(self._engine).acts

    def _refuse_to_ask(self, login: OAuthLogin, seen: Seen) -> None:
        """Return if there is something to ask with, and asking is allowed.

        Raises:
            TokenFailure: there is not; nobody is asked.
        """
        grant = seen.grant
        if grant is not None and seen.theirs and grant.dead_at is not None:
            raise TokenFailure(
                "token_refused",
                read_back(grant.dead_reason),
                hint=gettext("Sign in again on the tab of this sender."),
                cause=grant.dead_cause,
                dead=True,
            )
        if login.way.by_person and not seen.refresh:
            raise not_signed_in()
        where = standing(self._engine)
        if not where.acts:
            raise TokenFailure(
                "token_unavailable", where.reason, hint=where.hint, cause="oauth_held"
            )
        if seen.rests_for > 0 and not self._anew:
            raise _left_alone(seen.rests_for)

    def _ask(
        self, login: OAuthLogin, seen: Seen, lease: str, overall: Deadline | None
    ) -> AccessToken | None:
        """Ask the token server and write down what it said; ``None`` to look once more."""
        try:
            issued = request_token(login, self._caller, seen.refresh, overall)
        except TokenFailure as failure:
            return self._failed(failure, seen, lease)
        except BaseException:
            give_back(self._engine, self._bound.sender_id, lease)  # nothing came of it
            raise
        with transaction(self._engine) as session:
            if not write_tokens(session, self._bound, login, issued, version=seen.version):
                log.warning("another token of sender %s was faster", self._bound.sender_id)
        return AccessToken(issued.value, issued.until)

    def _failed(self, failure: TokenFailure, seen: Seen, lease: str) -> AccessToken | None:
        sender_id = self._bound.sender_id
        if failure.dead:
            if seen.interrupted:
                failure.message = _LOST
                failure.cause = "oauth_grant_lost"
            if declare_dead(self._engine, sender_id, seen.version, failure):
                raise failure
            return None  # somebody has renewed or signed in meanwhile: that is what counts
        rest = (failure.retry_after or _REST_SECONDS) if failure.later else 0.0
        give_back(self._engine, sender_id, lease, rest)
        if seen.usable is None or self._anew:
            raise failure
        log.warning("sender %s still uses its token: %s", sender_id, failure)
        return seen.usable


def _left_alone(seconds: float) -> TokenFailure:
    return TokenFailure(
        "token_unavailable",
        gettext("The token server failed just now, and is left alone for a moment."),
        cause="oauth_server_away",
        retry_after=seconds,
    )


def _somebody_else_asks() -> TokenFailure:
    return TokenFailure(
        "token_unavailable",
        gettext("Another process is asking for a token, and has had no answer yet."),
        hint=gettext("Mail is kept and sent later."),
        cause="oauth_server_away",
        retry_after=LEASE_SECONDS,
    )
