"""Tokens that are kept: renewed by one, in time, and never declared dead by mistake."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from smtp_admin.clock import shifted
from smtp_admin.credentials.token_failure import TokenFailure
from smtp_admin.credentials.token_requests import request_token
from smtp_admin.database import host_engine, transaction
from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.installation import installation
from smtp_admin.oauth.kept import KeptTokens
from smtp_admin.oauth.keys import sealed_tokens
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.oauth.seen import look
from smtp_admin.oauth.writing import take_lease
from smtp_admin.sandbox import site
from smtp_admin.senders.keys import KeyReport
from smtp_admin.senders.sealed_texts import check_texts, rotate_texts
from tests.app import ADMIN, HostApp
from tests.credentials.logins import caller, login
from tests.oauth.keeping import ask, bound_to, grant_of, in_processes, sign_in
from tests.patience import SECONDS
from tests.servers.databases import sqlite_url
from tests.servers.token_server import TokenServer

HOUR = timedelta(hours=1)


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    found: str = request.getfixturevalue(request.param).create_database()
    return found


@pytest.fixture
def on_each(new_app: Callable[..., HostApp], database: str) -> Iterator[HostApp]:
    made = new_app(uri=database)
    made.actor = ADMIN
    with made.app.app_context():
        yield made


def kinds(server: TokenServer) -> list[str]:
    return [one.form["grant_type"] for one in server.asked]


def test_an_application_asks_once_until_it_is_time(host: HostApp, server: TokenServer) -> None:
    sender, app = host.save_sender(), login(server, "microsoft_app")
    first = ask(sender, app)
    assert first.new
    again = ask(sender, app)
    assert (again.value, again.new) == (first.value, False)
    with shifted(HOUR - timedelta(minutes=4)):
        assert ask(sender, app).value != first.value
    assert len(server.asked) == 2
    assert ask(sender, app, anew=True).new
    assert len(server.asked) == 3


@pytest.mark.parametrize("change", ["client_id", "scope", "username", "token_url"])
def test_a_token_is_for_its_settings_alone(host: HostApp, server: TokenServer, change: str) -> None:
    """After a change of the settings the old token goes nowhere, not even to the old server."""
    sender, before = host.save_sender(), login(server, "microsoft_mailbox")
    sign_in(server, sender, before)
    after = login(server, "microsoft_mailbox", **{change: f"{server.url}/other"})
    with pytest.raises(TokenFailure) as caught:
        ask(sender, after)
    assert caught.value.cause == "oauth_not_signed_in"
    assert kinds(server) == ["authorization_code"]
    assert ask(sender, before).value == server.issued[0]


def test_a_new_secret_goes_on_with_what_was_granted(host: HostApp, server: TokenServer) -> None:
    sender, person = host.save_sender(), login(server, "google_mailbox")
    sign_in(server, sender, person)
    server.secret = "another"
    assert ask(sender, login(server, "google_mailbox"), anew=True).value == server.issued[-1]


def test_nothing_is_readable_in_the_database(host: HostApp, server: TokenServer) -> None:
    server.claims, server.opaque_length = None, 12288
    sender, person = host.save_sender(), login(server, "microsoft_mailbox")
    sign_in(server, sender, person)
    with host_engine().connect() as connection:
        row = str(connection.execute(text("SELECT * FROM smtp_admin_oauth_grant")).all())
    assert server.issued[0][:40] not in row
    assert not any(one[8:30] in row for one in server.live)
    # Sealed for this sender: in another row it opens nothing.
    other = host.save_sender("globex")
    with transaction(host_engine()) as session:
        session.execute(update(OAuthGrant).values(sender_id=other.sender_id))
    with pytest.raises(TokenFailure, match="Nobody has signed in"):
        ask(other, person)


def test_eight_processes_at_one_expiry(on_each: HostApp, server: TokenServer) -> None:
    """The server refuses a refresh token that comes again, as a thief's."""
    sender, person = on_each.save_sender(), login(server, "microsoft_mailbox")
    sign_in(server, sender, person)
    server.before = lambda _: time.sleep(0.3)
    bound = bound_to(sender)

    def act(engine: Any) -> str:
        with shifted(2 * HOUR):
            return KeptTokens(engine, caller(), bound).token(person).value

    found = in_processes(on_each, 8, act)
    assert kinds(server) == ["authorization_code", "refresh_token"]
    assert set(found) == {server.issued[1]}
    grant = grant_of(sender)
    assert (grant.version, grant.dead_at, grant.lease) == (2, None, None)


@pytest.mark.parametrize("length", [400, 12288])
def test_long_tokens_come_back_whole(on_each: HostApp, server: TokenServer, length: int) -> None:
    server.claims, server.opaque_length = None, length
    sender, person = on_each.save_sender(), login(server, "microsoft_mailbox")
    sign_in(server, sender, person)
    assert ask(sender, person).value == server.issued[0]
    with shifted(2 * HOUR):
        assert ask(sender, person).value == server.issued[1]
        assert len(ask(sender, person).value) == length


def test_others_go_on_with_the_old_one_meanwhile(host: HostApp, server: TokenServer) -> None:
    """While it still counts, nobody waits for whoever renews it."""
    sender, person = host.save_sender(), login(server, "microsoft_mailbox")
    sign_in(server, sender, person)
    asked, go_on = threading.Event(), threading.Event()

    def hold(_asked: Any) -> None:
        asked.set()
        go_on.wait(SECONDS)

    server.before = hold
    answers: list[str] = []

    def renew() -> None:
        with host.app.app_context():
            answers.append(ask(sender, person).value)

    with shifted(HOUR - timedelta(minutes=2)):
        thread = threading.Thread(target=renew)
        thread.start()
        try:
            assert asked.wait(SECONDS)
            assert ask(sender, person).value == server.issued[0]
        finally:
            go_on.set()
            thread.join()
        assert answers == [server.issued[1]]


def test_killed_between_answer_and_commit(host: HostApp, server: TokenServer) -> None:
    """The next one finds that somebody died while asking, and says what that means, once."""
    sender, person = host.save_sender(), login(server, "microsoft_mailbox")
    sign_in(server, sender, person)
    bound, engine = bound_to(sender), host_engine()
    with shifted(2 * HOUR):
        seen = look(engine, bound, person)
        assert take_lease(engine, bound.sender_id, person, seen)
        request_token(person, caller(), seen.refresh)  # and here it was killed
    with shifted(2 * HOUR + timedelta(minutes=1)):
        for _ in range(3):
            with pytest.raises(TokenFailure) as caught:
                ask(sender, person)
            assert caught.value.dead
            assert caught.value.cause == "oauth_grant_lost"
    # Once it is known, nobody is asked any more.
    assert kinds(server).count("refresh_token") == 2
    sign_in_again = look(engine, bound, person)
    assert sign_in_again.grant is not None
    assert sign_in_again.grant.dead_cause == "oauth_grant_lost"


def test_killed_where_the_old_token_still_counts(host: HostApp, server: TokenServer) -> None:
    """Microsoft revokes no old ones: then nothing was lost."""
    server.reuse = True
    sender, person = host.save_sender(), login(server, "microsoft_mailbox")
    sign_in(server, sender, person)
    bound = bound_to(sender)
    with shifted(2 * HOUR):
        assert take_lease(host_engine(), bound.sender_id, person,
                          look(host_engine(), bound, person))  # fmt: skip
    with shifted(2 * HOUR + timedelta(minutes=1)):
        assert ask(sender, person).value == server.issued[-1]
    assert grant_of(sender).dead_at is None


def test_a_slower_one_that_was_overtaken_is_not_dead(host: HostApp, server: TokenServer) -> None:
    """Its refresh token was used up by another, whose tokens count now."""
    sender, person = host.save_sender(), login(server, "microsoft_mailbox")
    sign_in(server, sender, person)
    overtaken: list[str] = []

    def overtake(asked: Any) -> None:
        server.before = lambda _: None
        # The first one is so slow that its lease runs out, and another renews meanwhile.
        with host.app.app_context(), shifted(timedelta(minutes=5)):
            overtaken.append(ask(sender, person, anew=True).value)

    server.before = overtake
    found = ask(sender, person, anew=True)
    assert found.value in server.issued
    grant = grant_of(sender)
    assert grant.dead_at is None
    assert grant.lease is None


@pytest.mark.parametrize("left", [True, False])
def test_the_token_server_is_down(host: HostApp, server: TokenServer, left: bool) -> None:
    """What still counts is used; then mail waits, and the server is not asked by everybody."""
    sender, person = host.save_sender(), login(server, "microsoft_mailbox")
    sign_in(server, sender, person)
    server.answers += [(503, {"Retry-After": "120"}, b"")] * 5
    with shifted(HOUR - timedelta(minutes=2) if left else 2 * HOUR):
        for _ in range(3):
            if left:
                assert ask(sender, person).value == server.issued[0]
                continue
            with pytest.raises(TokenFailure) as caught:
                ask(sender, person)
            assert caught.value.later
            assert 100 < (caught.value.retry_after or 0) <= 120
    assert kinds(server) == ["authorization_code", "refresh_token"]
    assert grant_of(sender).dead_at is None
    server.answers.clear()
    with shifted(3 * HOUR):
        assert ask(sender, person).value == server.issued[1]


def test_revoked(host: HostApp, server: TokenServer) -> None:
    sender, person = host.save_sender(), login(server, "google_mailbox")
    sign_in(server, sender, person)
    server.live.clear()
    with shifted(2 * HOUR):
        for _ in range(3):
            with pytest.raises(TokenFailure) as caught:
                ask(sender, person)
            assert (caught.value.cause, caught.value.dead) == ("oauth_google_grant_ended", True)
    assert kinds(server).count("refresh_token") == 1


def test_a_token_that_a_mail_server_refused_is_replaced(host: HostApp, server: TokenServer) -> None:
    sender, app = host.save_sender(), login(server, "microsoft_app")
    first = ask(sender, app).value
    second = ask(sender, app, instead_of=first)
    assert second.new
    assert ask(sender, app, instead_of=first).value == second.value
    assert len(server.asked) == 2


def test_a_process_beside_a_copy_renews_nothing(host: HostApp, server: TokenServer) -> None:
    sender, person = host.save_sender(), login(server, "microsoft_mailbox")
    sign_in(server, sender, person)
    site.add(host.db.session(), "https://somewhere.else")
    host.db.session.commit()
    site.forget()
    assert ask(sender, person).value == server.issued[0]
    with shifted(HOUR - timedelta(minutes=2)):
        assert ask(sender, person).value == server.issued[0]
    with shifted(2 * HOUR), pytest.raises(TokenFailure) as caught:
        ask(sender, person)
    assert (caught.value.cause, caught.value.later) == ("oauth_held", True)
    assert kinds(server) == ["authorization_code"]


def test_keys_are_rotated(host: HostApp, server: TokenServer) -> None:
    sender, person = host.save_sender(), login(server, "microsoft_mailbox")
    sign_in(server, sender, person)
    here = installation()
    old = here.keyring
    new = Keyring([generate_key(), *host.app.config["SMTP_ADMIN_SECRET_KEYS"]])
    session = host.db.session()
    report = KeyReport()
    check_texts(sealed_tokens(session), new, report)
    assert (report.newest, report.older) == (0, 2)
    report = KeyReport()
    rotate_texts(sealed_tokens(session, locked=True), new, report)
    session.commit()
    assert (report.newest, report.older, report.unreadable) == (2, 0, ())
    here.keyring = new
    assert ask(sender, person).value == server.issued[0]
    here.keyring = old
    report = KeyReport()
    check_texts(sealed_tokens(session), old, report)
    assert len(report.unreadable) == 2
    # Without its key a sign-in is as if nobody had signed in, and says so.
    with pytest.raises(TokenFailure, match="Nobody has signed in"):
        ask(sender, person)
