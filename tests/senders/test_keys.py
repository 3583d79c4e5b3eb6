"""A key that is missing or wrong: a sentence on the page, a pause, and never a traceback."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from smtp_admin import Message
from smtp_admin.senders.resolve import load_sender
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.servers.scripted import ScriptedServer
from tests.test_access import dump

PAGE = "/smtp-admin/partners/acme"
HTML = {"Accept": "text/html"}
LOGIN, PASSWORD = "login", "wörd-of-the-server"


@pytest.fixture
def server() -> Any:
    """A mail server that wants a login."""
    with ScriptedServer(auth=(LOGIN, PASSWORD)) as running:
        yield running


@pytest.fixture
def right(new_app: Callable[..., HostApp], server: ScriptedServer) -> HostApp:
    """An app that saved a password, and queued a mail."""
    made = new_app()
    made.actor = ADMIN
    with made.app.app_context():
        made.save_sender(password=PASSWORD, username=LOGIN, port=server.port)
        message = Message("Hello", ["you@else.example"], "Hello")
        made.plugin.send_message(message, partner_id="acme")
        made.db.session.commit()
    return made


@pytest.fixture(params=["wrong", "missing"])
def broken(
    request: pytest.FixtureRequest, new_app: Callable[..., HostApp], right: HostApp
) -> HostApp:
    """The same database after somebody changed the keys."""
    uri = right.app.config["SQLALCHEMY_DATABASE_URI"]
    made = new_app(uri=uri, **({"SECRET_KEYS": []} if request.param == "missing" else {}))
    made.actor = ADMIN
    return made


def form(server: ScriptedServer, **changes: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "username": LOGIN,
        "from_email": "noreply@acme.example",
        "verify_tls": "true",
        "revision": 1,
    } | changes


def test_page_still_opens(broken: HostApp) -> None:
    answer = broken.client.get(PAGE, headers=HTML)
    assert answer.status_code == 200
    assert "Leave empty to keep it" in answer.text
    assert broken.client.get("/smtp-admin/", headers=HTML).status_code == 200


@pytest.mark.parametrize("path", ["", "/test-connection", "/test-email"])
def test_everything_that_needs_the_password_says_why(
    broken: HostApp, server: ScriptedServer, path: str
) -> None:
    before = dump(broken)
    data = form(server, from_name="Changed")
    answer = broken.client.post(PAGE + path, data=data, headers=HTML)
    assert answer.status_code == 503
    assert answer.mimetype == "text/html"
    assert "SMTP_ADMIN_SECRET_KEYS" in answer.text
    assert dump(broken) == before
    assert server.connections == 0


def test_test_in_json_says_why(broken: HostApp, server: ScriptedServer) -> None:
    answer = broken.client.post(f"{PAGE}/test-connection", json=form(server))
    assert answer.status_code == 503
    assert answer.json
    assert answer.json["error"]["code"] == "unavailable"
    assert "SMTP_ADMIN_SECRET_KEYS" in answer.json["error"]["message"]


def test_sender_pauses_and_loses_nothing(
    broken: HostApp, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with broken.app.app_context():
        broken.work()
        sender = load_sender(broken.db.session(), "acme")
    assert sender.paused_until is not None
    assert "SMTP_ADMIN_SECRET_KEYS" in sender.pause_reason
    assert server.connections == 0
    status = broken.client.get("/api/email/status?partner_id=acme").json
    assert status
    assert (status["pending"], status["dead"], status["paused"]) == (1, 0, True)
    assert "Traceback" not in caplog.text
    assert [one.levelname for one in caplog.records if "paused" in one.getMessage()] == ["ERROR"]
    page = broken.client.get(PAGE, headers=HTML).text
    assert "Not usable" in page
    assert "SMTP_ADMIN_SECRET_KEYS" in page


def test_the_right_key_again_ends_it(
    new_app: Callable[..., HostApp], broken: HostApp, right: HostApp, server: ScriptedServer
) -> None:
    """Old key behind the new one, then a save without entering anything: the mail goes out."""
    with broken.app.app_context():
        broken.work()
    keys = [*broken.installation.config.secret_keys, right.secret_key]
    healed = new_app(uri=right.app.config["SQLALCHEMY_DATABASE_URI"], SECRET_KEYS=keys)
    healed.actor = ADMIN
    assert healed.client.post(PAGE, data=form(server), headers=HTML).status_code == 303
    with healed.app.app_context():
        healed.work()
    (mail,) = server.wait_for_messages(1)
    assert mail.session.auth_attempts == [("PLAIN", LOGIN, PASSWORD)]


def test_password_entered_again_ends_it(
    new_app: Callable[..., HostApp], right: HostApp, server: ScriptedServer
) -> None:
    made = new_app(uri=right.app.config["SQLALCHEMY_DATABASE_URI"])
    made.actor = ACME_ADMIN
    with made.app.app_context():
        made.work()
    answer = made.client.post(PAGE, data=form(server, password=PASSWORD), headers=HTML)
    assert answer.status_code == 303
    with made.app.app_context():
        made.work()
    assert len(server.wait_for_messages(1)) == 1


def test_saving_a_password_without_keys(
    new_app: Callable[..., HostApp], server: ScriptedServer
) -> None:
    made = new_app(SECRET_KEYS=[])
    made.actor = ADMIN
    page = made.client.get(PAGE, headers=HTML).text
    assert "Passwords cannot be stored yet" in page
    assert "flask smtp-admin keys generate" in page
    before = dump(made)
    data = form(server, password=PASSWORD, revision=0, from_name="Kept as entered")
    answer = made.client.post(PAGE, data=data, headers=HTML)
    assert answer.status_code == 503
    assert "keys generate" in answer.text
    assert "Kept as entered" in answer.text
    assert PASSWORD not in answer.text
    assert dump(made) == before
    tested = made.client.post(f"{PAGE}/test-connection", data=data, headers=HTML)
    assert tested.status_code == 200  # what is typed needs no key
    without = form(server, username="", revision=0)
    assert made.client.post(PAGE, data=without, headers=HTML).status_code == 303
