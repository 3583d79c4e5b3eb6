"""Sign-ins that no mail renews: renewed each day by one, forgotten with their sender."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from smtp_admin.clock import shifted
from smtp_admin.database import host_engine, transaction
from smtp_admin.delivery.maintenance.idle_sign_ins import IdleSignIns
from smtp_admin.oauth.forgetting import TOKENS
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.oauth.writing import add_row
from smtp_admin.sandbox import site as sandbox
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import delete_sender
from tests.alerts.watching import alerts, look
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.expiry.ending import DAY, signed_in_sender, the
from tests.oauth.keeping import grant_of, in_processes
from tests.servers.token_server import TokenServer

HOUR = timedelta(hours=1)
HTML = {"Accept": "text/html"}


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as made:
        made.claims = None
        yield made


@pytest.fixture
def site(new_app: Callable[..., HostApp], server: TokenServer) -> Iterator[HostApp]:
    made = new_app(ALLOWED_PORTS=[server.port, 25, 587])
    made.actor = ADMIN
    with made.app.app_context():
        yield made


def renew(host: HostApp, later: timedelta) -> int:
    """What a worker's duty does at that time."""
    host.db.session.rollback()
    with shifted(later):
        return IdleSignIns(host_engine(), lambda: False).renew()


def refreshes(server: TokenServer) -> int:
    return sum(one.form["grant_type"] == "refresh_token" for one in server.asked)


def test_each_day_once(site: HostApp, server: TokenServer) -> None:
    sender, _ = signed_in_sender(site, server)
    site.save_sender("globex", username="mia", password="x", security="tls")
    assert renew(site, 23 * HOUR) == 0
    for day in (1, 2, 3):
        assert renew(site, day * DAY + day * HOUR) == 1
        assert renew(site, day * DAY + 2 * day * HOUR) == 0
    assert refreshes(server) == 3
    assert grant_of(sender).dead_at is None
    # Renewed for a year, it is as far from its end as on the first day.
    assert renew(site, 80 * DAY) == 1
    look(site, 85 * DAY)
    assert alerts(site, opened=False) == []
    assert the(site, "sign_in", 85 * DAY).condition == "fine"


def test_what_lives_shortly_is_renewed_sooner(site: HostApp, server: TokenServer) -> None:
    server.more = {"refresh_expires_in": 4 * 3600}
    signed_in_sender(site, server, "other_mailbox")
    assert renew(site, HOUR) == 0
    assert renew(site, 2 * HOUR + timedelta(minutes=1)) == 1
    assert renew(site, 3 * HOUR) == 0


def test_what_is_granted_for_a_week_ends_then(site: HostApp, server: TokenServer) -> None:
    """Google's sign-in for an app in "Testing": renewing it puts nothing off."""
    server.more, server.rotates = {"refresh_token_expires_in": 7 * 86400}, False
    signed_in_sender(site, server, "google_mailbox")
    for day in range(1, 6):
        assert renew(site, day * DAY + day * HOUR) == 1
        assert the(site, "sign_in", day * DAY + day * HOUR).condition == "fine"
    look(site, 5 * DAY + 6 * HOUR)
    assert alerts(site, opened=False) == []
    assert the(site, "sign_in", 6 * DAY).condition == "soon"
    look(site, 6 * DAY)
    assert [one.kind for one in alerts(site)] == ["expiring"]


def test_eight_workers_at_once(site: HostApp, server: TokenServer) -> None:
    signed_in_sender(site, server)

    def act(engine: Any) -> int:
        with shifted(2 * DAY):
            return IdleSignIns(engine, lambda: False).renew()

    assert all(isinstance(one, int) for one in in_processes(site, 8, act))
    assert refreshes(server) == 1
    assert site.db.session.scalar(select(OAuthGrant.version)) == 2


def test_one_that_has_ended_pauses_its_sender(site: HostApp, server: TokenServer) -> None:
    """Somebody is told before there is any mail, once, and not a second time by its expiry."""
    signed_in_sender(site, server)
    server.live.clear()
    assert renew(site, 2 * DAY) == 0
    sender = load_sender(site.db.session(), "acme")
    assert (sender.pause_code, sender.pause_cause) == ("token_refused", "oauth_grant_ended")
    look(site, 2 * DAY)
    look(site, 2 * DAY + timedelta(minutes=3))
    assert [one.kind for one in alerts(site, opened=False)] == ["sender_stopped"]
    assert the(site, "sign_in", 2 * DAY).condition == "over"
    assert renew(site, 3 * DAY) == 0
    assert refreshes(server) == 1


def test_a_server_that_is_away_is_no_alarm(site: HostApp, server: TokenServer) -> None:
    sender, _ = signed_in_sender(site, server)
    server.answers += [(503, {}, b"")] * 2
    duty = IdleSignIns(host_engine(), lambda: False)
    with shifted(2 * DAY):
        assert (duty.renew(), duty.renew()) == (0, 0)  # it is left alone for a minute
    assert refreshes(server) == 1
    with shifted(2 * DAY + timedelta(minutes=2)):
        server.answers.clear()
        assert duty.renew() == 1
    # One that refuses the secret is asked a few times a day, and nothing is declared dead.
    server.secret = "another"
    with shifted(4 * DAY):
        assert (duty.renew(), duty.renew()) == (0, 0)
    assert refreshes(server) == 3
    assert grant_of(sender).dead_at is None
    assert load_sender(site.db.session(), "acme").paused_until is None


def test_nothing_beside_a_copy(site: HostApp, server: TokenServer) -> None:
    signed_in_sender(site, server)
    sandbox.add(site.db.session(), "https://somewhere.else")
    site.db.session.commit()
    sandbox.forget()
    assert renew(site, 2 * DAY) == 0
    assert refreshes(server) == 0


def test_tokens_go_with_their_sender(site: HostApp, server: TokenServer) -> None:
    """In the transaction that deletes it; whoever brings it back is told to sign in again."""
    sender, _ = signed_in_sender(site, server)
    session = site.db.session()

    def count() -> int:
        session.rollback()
        return session.scalar(select(func.count(OAuthGrant.id))) or 0

    delete_sender(session, load_sender(session, "acme"), ADMIN)
    assert count() == 1  # it was rolled back
    site.actor = ACME_ADMIN
    page = "/smtp-admin/partners/acme"
    asked = site.client.get(f"{page}/delete", headers=HTML).text
    assert "someone must sign in again" in asked
    assert site.client.post(f"{page}/delete", headers=HTML).status_code == 303
    assert count() == 0
    # A worker that was at it still wrote.
    with transaction(host_engine()) as own:
        add_row(own, sender.sender_id, sender.setup(site.installation.keyring).credential)
    assert count() == 1
    assert TOKENS.forget_leftovers(session) == 1
    session.commit()
    browser = site.app.test_client()
    site.save_sender("acme", from_name="Another")
    back = browser.post(f"{page}/rollback", data={"number": "1", "revision": "2"}, headers=HTML)
    assert back.status_code == 303, back.text
    shown = browser.get(page, headers=HTML).text
    assert "Now sign in. Until then no mail is sent." in shown
    assert "Nobody has signed in yet" in shown
