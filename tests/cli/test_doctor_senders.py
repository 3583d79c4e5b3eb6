"""What ``doctor`` says of keys, senders, their mail and the environment."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from smtp_admin.clock import shifted
from smtp_admin.encryption import generate_key
from tests.app import ADMIN, HostApp
from tests.cli.doctor import PASSWORD, look, only
from tests.delivery.workbench import queue
from tests.servers.databases import sqlite_url
from tests.servers.scripted import Reply, ScriptedServer

LOGIN = "mia@acme.example"


def test_a_wrong_key(new_app: Callable[..., HostApp], tmp_path: Path) -> None:
    uri = sqlite_url(tmp_path)
    old, new = generate_key(), generate_key()
    first = new_app(uri=uri, SECRET_KEYS=[old])
    with first.app.app_context():
        first.save_sender("acme", username=LOGIN, password=PASSWORD)
        first.save_sender("globex", username=LOGIN, password=PASSWORD)
        assert only(first, "keys")["status"] == "ok"
    both = new_app(uri=uri, SECRET_KEYS=[new, old])
    with both.app.app_context():
        found = only(both, "keys")
        assert (found["status"], "keys rotate" in found["hint"]) == ("warning", True)
    wrong = new_app(uri=uri, SECRET_KEYS=[new])
    with wrong.app.app_context():
        found = only(wrong, "keys")
        assert found["status"] == "failed"
        assert "partner acme, partner globex" in found["message"]
        senders = {one["subject"]: one["status"] for one in look(wrong)["sender"]}
        assert senders["partner acme"] == "failed"
        wrong.save_sender("acme", username=LOGIN, password=PASSWORD)
        wrong.save_sender("globex", username="")
        found = only(wrong, "keys")
        assert (found["status"], "old revisions" in found["message"]) == ("warning", True)
    none = new_app(SECRET_KEYS=[])
    with none.app.app_context():
        assert "keys generate" in only(none, "keys")["hint"]


def test_a_key_that_does_not_fit_shows_on_the_page_at_once(
    new_app: Callable[..., HostApp], tmp_path: Path
) -> None:
    uri = sqlite_url(tmp_path)
    first = new_app(uri=uri)
    with first.app.app_context():
        first.save_sender("acme", username=LOGIN, password=PASSWORD)
    other = new_app(uri=uri)
    other.actor = ADMIN
    page = other.client.get("/smtp-admin/partners/acme", headers={"Accept": "text/html"}).text
    assert "Not usable" in page
    assert "SMTP_ADMIN_SECRET_KEYS" in page


def test_a_paused_sender_with_its_diagnosis(host: HostApp) -> None:
    with ScriptedServer(auth=(LOGIN, "another")) as server:
        host.save_sender("", port=server.port, username=LOGIN, password=PASSWORD)
        queue(host, partner_id="")
        host.work()
    found = only(host, "sender")
    assert (found["status"], found["subject"]) == ("failed", "the system")
    assert "Stopped until the login is corrected" in found["message"]
    assert "535" in found["message"]
    assert found["hint"]
    # Its mail waits for a person, not for a worker.
    with shifted(timedelta(minutes=20)):
        assert only(host, "mail")["status"] == "ok"


def test_a_sender_that_is_too_fast_is_a_warning(host: HostApp) -> None:
    with ScriptedServer() as server:
        server.behave("rcpt", Reply("450 4.7.0 rate limit exceeded"))
        host.save_sender("", port=server.port)
        queue(host, partner_id="")
        host.work()
    found = only(host, "sender")
    assert (found["status"], "Paused until" in found["message"]) == ("warning", True)


def test_nothing_is_configured(new_app: Callable[..., HostApp]) -> None:
    made = new_app()
    with made.app.app_context():
        found = only(made, "sender")
        assert (found["status"], "flask smtp-admin wizard" in found["hint"]) == ("warning", True)
        queue(made, partner_id="")
        assert only(made, "sender")["status"] == "failed"


def test_mail_that_nobody_sends(host: HostApp) -> None:
    queue(host, partner_id="")
    assert only(host, "mail")["status"] == "ok"
    with shifted(timedelta(seconds=90)):
        assert only(host, "mail")["status"] == "warning"
    with shifted(timedelta(minutes=11)):
        found = only(host, "mail")
        assert (found["status"], "11 min" in found["message"]) == ("failed", True)


def test_mail_above_the_limit_waits_as_it_should(host: HostApp) -> None:
    with ScriptedServer() as server:
        host.save_sender("", port=server.port, max_per_hour=2)
        for _ in range(4):
            queue(host, partner_id="")
        host.work()
    with shifted(timedelta(minutes=20)):
        found = only(host, "mail")
    assert found["status"] == "ok"
    assert not found["message"].startswith("0 waiting")


def test_variables_of_the_environment(
    new_app: Callable[..., HostApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_PORT", "seven")
    monkeypatch.setenv("SMTP_USERNAME", "one")
    monkeypatch.setenv("SMTP_USER", "two")
    monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)
    made = new_app()
    with made.app.app_context():
        found = {one["status"]: one["message"] for one in look(made)["environment"]}
        assert "SMTP_PORT" in found["failed"]
        assert "SMTP_USER is ignored" in found["warning"]
        assert only(made, "sender")["status"] == "failed"
    monkeypatch.setenv("SMTP_PORT", "587")
    monkeypatch.delenv("SMTP_PASSWORD")
    monkeypatch.setenv("SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("SMTP_FROM", "noreply@platform.example")
    made = new_app()
    with made.app.app_context():
        found_ = only(made, "sender")
        assert (found_["status"], "SMTP_PASSWORD" in found_["hint"]) == ("failed", True)


def test_servers_without_an_address(new_app: Callable[..., HostApp]) -> None:
    made = new_app(ALLOWED_NETWORKS=[])
    with made.app.app_context():
        made.save_sender("", host="nowhere.invalid")
        made.save_sender("acme", host="127.0.0.1")
        found = {one["subject"]: one for one in look(made)["servers"]}
    assert found["the system"]["status"] == "failed"
    assert "nowhere.invalid" in found["the system"]["message"]
    assert found["partner acme"]["status"] == "failed"
