"""What tests of kept tokens share."""

import multiprocessing
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from smtp_admin.credentials.oauth import AccessToken, OAuthLogin
from smtp_admin.credentials.token_requests import redeem_code
from smtp_admin.database import host_engine, transaction, worker_engine
from smtp_admin.installation import installation
from smtp_admin.oauth.kept import KeptTokens
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.oauth.sealing import SealedFor
from smtp_admin.oauth.writing import add_row, write_tokens
from tests.app import HostApp
from tests.credentials.logins import caller
from tests.patience import SECONDS
from tests.servers.token_server import TokenServer

__all__ = ["ask", "bound_to", "grant_of", "in_processes", "sign_in"]


def bound_to(sender: Any) -> SealedFor:
    """Whose tokens are meant."""
    return SealedFor(installation().keyring, sender.partner_id, sender.sender_id)


def ask(sender: Any, login: OAuthLogin, *, anew: bool = False, **more: Any) -> AccessToken:
    """A token as sending asks for it."""
    return KeptTokens(host_engine(), caller(), bound_to(sender), anew=anew).token(login, **more)


def grant_of(sender: Any) -> OAuthGrant:
    """The row as it is."""
    with transaction(host_engine()) as session:
        query = select(OAuthGrant).where(OAuthGrant.sender_id == sender.sender_id)
        found = session.scalars(query).one()
        session.expunge(found)
    return found


def sign_in(server: TokenServer, sender: Any, login: OAuthLogin) -> None:
    """As after a person came back from the authorization page."""
    server.codes["code"] = {
        "code_challenge": "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0",  # of "abc"
        "redirect_uri": "https://panel.example/",
    }
    sent = {"verifier": "abc", "redirect_uri": "https://panel.example/"}
    issued = redeem_code(login, caller(), "code", **sent)
    with transaction(host_engine()) as session:
        add_row(session, sender.sender_id, login)
        assert write_tokens(session, bound_to(sender), login, issued, version=0)


def in_processes(host: HostApp, count: int, act: Callable[[Any], Any]) -> list[Any]:
    """What *act*, called with an engine of its own, returns in *count* processes at once."""
    fork = multiprocessing.get_context("fork")
    barrier, answers = fork.Barrier(count), fork.Queue()

    def run() -> None:
        with host.app.app_context():
            engine = worker_engine(host_engine(), pool_size=1)
            barrier.wait(SECONDS)
            try:
                answers.put(act(engine))
            except Exception as error:  # noqa: BLE001 - told to the test
                answers.put(repr(error))
            engine.dispose()

    children = [fork.Process(target=run) for _ in range(count)]
    for child in children:
        child.start()
    found = [answers.get(timeout=2 * SECONDS) for _ in children]
    for child in children:
        child.join(SECONDS)
    return found
