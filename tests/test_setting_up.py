"""A sender's tab from nothing to the first mail: steps go forwards, and nothing is forgotten."""

import re
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from smtp_admin.clock import now, shifted
from smtp_admin.delivery import queries
from smtp_admin.delivery.models import Message
from smtp_admin.monitor import overview
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import load_sender
from tests.app import ADMIN, HostApp
from tests.servers.scripted import ScriptedServer
from tests.test_pages import HTML, PASSWORD, TAB, form, get, names, post, server, site

__all__ = ["names", "server", "site"]

MICROSOFT = "microsoft365"


def steps(page: str) -> list[str]:
    """The state of each step of the guide."""
    return re.findall(r'<li class="smtp-admin-lead-(\w+)"', page)


def mail_card(page: str) -> str:
    return page.partition('id="test-mail"')[2].partition("</section>")[0]


def ask(client: FlaskClient, path: str = "", data: dict[str, Any] | None = None) -> str:
    """A page as a browser without scripts gets it."""
    if data is None:
        return client.get(TAB + path, headers=HTML).text
    return client.post(TAB + path, data=data, headers=HTML, follow_redirects=True).text


def test_the_steps_go_forwards_only(site: HostApp, server: ScriptedServer) -> None:
    """Also where mail waited, which goes out before anybody has sent a test mail."""
    client, typed = site.client, form(server.port)
    assert steps(ask(client)) == ["now", "later", "later", "later"]
    assert steps(ask(client, "/test-connection", typed)) == ["done", "done", "now", "later"]
    assert steps(ask(client, "/test-email", typed)) == ["done", "done", "now", "done"]
    refused = ask(client, "/test-email", typed | {"to": "nobody"})
    assert steps(refused) == ["done", "done", "now", "later"]
    other = ask(client, "/test-email", typed | {"password": "other"})
    assert steps(other) == ["done", "now", "later", "later"], "that was not tested"
    with site.app.app_context():
        site.plugin.send(
            "password_reset", to="ada@example.org", partner_id="acme",
            context={"name": "Ada", "reset_url": "https://x.example", "expires_minutes": 5},
        )  # fmt: skip
        site.db.session.commit()
        assert steps(ask(client, "", typed)) == ["done", "done", "done", "now"]
        site.work()
        assert steps(ask(client)) == ["done", "done", "done", "now"]
        queued = ask(client, "/test-email", {"to": ""})
        assert steps(queued) == ["done", "done", "done", "now"]
        site.work()
    assert steps(ask(client)) == ["done"] * 4
    with shifted(timedelta(minutes=20)):
        assert steps(ask(client)) == []


def test_the_last_test_mail_is_this_senders(site: HostApp) -> None:
    """Not another sender's, not one with unsaved settings; older settings are called that."""
    with site.app.app_context():
        site.save_sender("acme")
        site.save_sender("acme", key="news")
        assert "Test mail to" not in ask(site.client)
        for to in ("first@example.org", "last@example.org"):
            post(site, "/partners/acme/test-email", {"to": to})
        card = mail_card(ask(site.client))
        assert "last@example.org" in card
        assert "Test mail to last@example.org, <time" in card
        assert f"requested by {ADMIN.email}." in card
        assert 'data-smtp-admin-follow="true"' in card
        assert "Other settings" not in card
        assert "example.org" not in mail_card(ask(site.client, "/senders/news"))
        site.save_sender("acme", port=26)
        assert "Other settings were saved after it." in mail_card(ask(site.client))
        hour_ago = update(Message).values(created_at=now() - timedelta(hours=1))
        site.db.session.execute(hour_ago)
        site.db.session.commit()
        card = mail_card(ask(site.client))
    assert "1 hour ago" in card
    assert 'data-smtp-admin-follow="false"' in card, "nobody waits for it any more"


def test_what_is_missing_is_said_once(site: HostApp) -> None:
    page = ask(site.client, "/test-email", form(password=""))
    assert mail_card(page).count("Enter the password for this login.") == 1
    page = ask(site.client, "/test-email", form(from_email=""))
    assert "Please fix From address." in mail_card(page), "as the page calls it"


def test_test_mails_are_in_the_partners_name(site: HostApp, server: ScriptedServer) -> None:
    with site.app.app_context():
        ask(site.client, "/test-email", form(server.port))
        ask(site.client, "", form(server.port))
        ask(site.client, "/test-email", {"to": ""})
        site.work()
    heads = []
    for one in server.messages:
        body = message_from_bytes(one.data, policy=policy.default).get_body(("html",))
        assert body is not None
        heads.append("Acme GmbH" in body.get_content())
    assert heads == [True, True]


def test_the_first_mail_may_be_sent_while_one_looks(
    site: HostApp, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker sends what waited as soon as there are settings."""

    def after_a_worker(session: Session, asked: Any) -> Any:
        site.work()
        return queries.summaries(session, asked)

    with site.app.app_context():
        site.save_sender("acme", port=server.port, username="login", password=PASSWORD)
        post(site, "/partners/acme/test-email", {"to": ""})
        session = site.db.session()
        monkeypatch.setattr(overview, "summaries", after_a_worker)
        seen = overview.card(session, load_sender(session, "acme"))
    assert seen.numbers.sent_24h == 1
    assert seen.state.headline != "Ready"


def test_nobody_takes_over_while_the_system_has_no_sender(site: HostApp) -> None:
    with site.app.app_context():
        site.save_sender("acme")
        site.save_sender("acme", key="news")
    assert "The system has no sender: all mail would wait." in get(site, "/partners/acme").text
    post(site, "/partners/acme/test-email", {"to": ""})
    asked = get(site, "/partners/acme/delete").text
    assert "The system has no sender either." in asked
    assert "urgent mail up to 1 hour, other mail up to 3 days" in asked
    assert "and stays in the queue." in asked
    assert 'id="no-heir"' not in get(site, "/partners/acme/senders/news/delete").text
    with site.app.app_context():
        site.save_sender("")
    for path in ("", "/delete"):
        assert 'id="no-heir' not in get(site, f"/partners/acme{path}").text
    with site.app.app_context():
        session = site.db.session()
        session.execute(update(Sender).where(Sender.partner_id == "").values(deleted_at=now()))
        session.commit()
    done = ask(site.client, "/delete", {})
    assert "No sender is set up for this mail now, so it waits." in done


def fold(page: str) -> str:
    return page.partition('<details id="oauth"')[2].partition("</details>")[0]


def hidden(page: str, name: str) -> bool:
    found = re.search(
        rf'<div data-smtp-admin-ways="[^"]*"[^>]*?(hidden)?>\s*<div[^>]*>\s*<label for="{name}"',
        page,
    )
    assert found, name
    return found[1] is not None


def test_where_no_password_is_wanted_the_other_way_is_open(site: HostApp) -> None:
    chosen = get(site, f"/partners/acme?preset={MICROSOFT}").text
    assert fold(chosen).startswith(" open>")
    assert not fold(get(site, "/partners/acme?preset=gmail").text).startswith(" open>")
    typed = form(host="smtp.office365.com", security="tls", preset=MICROSOFT, password="")
    failed = post(site, "/partners/acme", typed | {"sign_in": "microsoft_app"})
    assert failed.status_code == 400
    assert 'id="preset-steps"' in failed.text, "what the provider wants is still to be read"
    elsewhere = post(site, "/partners/acme", typed | {"host": "smtp.gmail.com"})
    assert 'id="preset-steps"' not in elsewhere.text
    assert not hidden(failed.text, "oauth_tenant")
    assert hidden(failed.text, "oauth_token_url"), "Microsoft's is known"
    other = post(site, "/partners/acme", typed | {"sign_in": "other_app"}).text
    assert not hidden(other, "oauth_token_url")
    own = {"sign_in": "microsoft_app", "oauth_token_url": "https://login.example.com/token"}
    assert not hidden(post(site, "/partners/acme", typed | own).text, "oauth_token_url")


def test_what_to_do_for_a_way_to_sign_in_needs_no_save(site: HostApp) -> None:
    said = post(site, "/partners/acme/advice", form(sign_in="microsoft_app")).text
    for words in ("Set it up", "Make a key pair and save", "New-ServicePrincipal"):
        assert words in said
    assert "Set it up" not in post(site, "/partners/acme/advice", form()).text


def test_a_secret_that_no_page_sends_back_is_asked_for_again(
    site: HostApp, server: ScriptedServer
) -> None:
    page = ask(site.client, "/test-connection", form(server.port))
    assert '<a href="#password">Password</a>' in page.partition("It works.")[2]
    assert "Enter it again before you save." in page
    assert PASSWORD not in page
