"""Settings that were tested and then saved were tested, as the history says."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.clock import shifted
from smtp_admin.connection import from_worker
from smtp_admin.senders.models import RevisionTest, SenderRevision
from tests.app import ACME_ADMIN, HostApp
from tests.servers.scripted import Reply, ScriptedServer

PAGE = "/smtp-admin/partners/acme"
LOGIN = ("u", "right word")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(auth=LOGIN) as running:
        yield running


@pytest.fixture
def typed(server: ScriptedServer) -> dict[str, Any]:
    """What is on the screen: nothing is saved yet."""
    return {
        "driver": "smtp",
        "host": "127.0.0.1",
        "port": str(server.port),
        "security": "none",
        "username": LOGIN[0],
        "password": LOGIN[1],
        "from_email": "noreply@acme.example",
        "max_connections": "2",
        "revision": "0",
    }


def try_out(client: FlaskClient, typed: dict[str, Any], status: int = 200) -> None:
    answer = client.post(
        f"{PAGE}/test-connection", data=typed, headers={"Accept": "application/json"}
    )
    assert answer.status_code == status, answer.text


def save(client: FlaskClient, typed: dict[str, Any]) -> None:
    answer = client.post(PAGE, data=typed, headers={"Accept": "text/html"})
    assert answer.status_code == 303, answer.text


def kept(host: HostApp) -> list[RevisionTest]:
    host.db.session.rollback()
    return list(host.db.session.scalars(select(RevisionTest)))


def test_what_was_tested_and_then_saved(host: HostApp, typed: dict[str, Any]) -> None:
    client = host.client
    try_out(client, typed)
    assert kept(host) == [], "there is no revision yet"
    with shifted(timedelta(minutes=50)):
        save(client, typed)
    (one,) = kept(host)
    assert (one.ok, one.place, one.tested_by) == (True, "web", "Ada")
    text = client.get(f"{PAGE}/history", headers={"Accept": "text/html"}).text
    assert "Not tested" not in text


def test_a_second_click_is_no_error(
    host: HostApp, typed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began before the first was committed, and does not see what that kept."""
    client = host.client
    try_out(client, typed)
    save(client, typed)
    get: Any = Session.get

    def of_before(mine: Session, kind: Any, key: Any, **how: Any) -> Any:
        return None if kind is RevisionTest else get(mine, kind, key, **how)

    monkeypatch.setattr(Session, "get", of_before)
    save(client, typed | {"revision": "1"})
    assert len(kept(host)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"password": "another"},
        {"host": "localhost"},
        {"username": "v"},
        {"from_email": "other@acme.example"},
        {"envelope_from": "bounces@acme.example"},
        {"verify_tls": "y", "security": "tls"},
    ],
    ids=lambda one: next(iter(one)),
)
def test_other_settings_were_not_tested(
    host: HostApp, typed: dict[str, Any], change: dict[str, str]
) -> None:
    client = host.client
    try_out(client, typed)
    save(client, typed | change)
    assert kept(host) == []


def test_what_no_test_depends_on_may_differ(host: HostApp, typed: dict[str, Any]) -> None:
    client = host.client
    try_out(client, typed)
    save(client, typed | {"from_name": "Acme", "max_per_hour": "80"})
    assert len(kept(host)) == 1


def test_the_last_test_alone_counts(
    host: HostApp, typed: dict[str, Any], server: ScriptedServer
) -> None:
    client = host.client
    try_out(client, typed)
    server.behave("auth", Reply("535 5.7.8 no"))
    try_out(client, typed, 400)
    save(client, typed)
    (one,) = kept(host)
    assert (one.ok, one.code, one.tested_by) == (False, "auth_failed", "Ada")
    assert "5.7.8 no" in one.reply
    tab = client.get(PAGE, headers={"Accept": "text/html"}).text
    assert "Last test of the saved settings" in tab
    assert "The server refused the user name or password." in tab


@pytest.mark.parametrize("first", ["save", "work"])
def test_a_workers_test_counts_too(
    host: HostApp, typed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.setattr(from_worker, "PAGE_WAITS_SECONDS", 0.0)
    client = host.client
    answer = client.post(
        f"{PAGE}/test-connection/worker", data=typed, headers={"Accept": "application/json"}
    )
    assert answer.status_code == 202, answer.text

    def work() -> None:
        here = host.installation
        for one in from_worker.waiting_tests(host.db.engine):
            from_worker.run_waiting_test(host.db.engine, here.config, here.keyring, "worker 1", one)

    with host.app.app_context():
        if first == "work":
            work()
        save(client, typed)
        if first == "save":
            assert [one.place for one in kept(host)] == ["web"]
            work()
    assert {(one.place, one.ok, one.tested_by) for one in kept(host)} == {
        ("web", True, "Ada"),
        ("worker", True, "Ada"),
    }


def test_an_old_test_does_not_count(host: HostApp, typed: dict[str, Any]) -> None:
    client = host.client
    try_out(client, typed)
    with shifted(timedelta(minutes=61)):
        save(client, typed)
    assert kept(host) == []


def test_another_persons_test_does_not_count(host: HostApp, typed: dict[str, Any]) -> None:
    client = host.client
    try_out(client, typed)
    host.actor = ACME_ADMIN
    save(client, typed)
    assert kept(host) == []


def test_the_wizard_tests_before_it_saves(host: HostApp, typed: dict[str, Any]) -> None:
    words = ["smtp-admin", "wizard", "--no-input", "--partner", "acme", "--host", "127.0.0.1",
             "--port", typed["port"], "--security", "none", "--from-email", typed["from_email"],
             "--username", "u", "--password-stdin"]  # fmt: skip
    result = host.app.test_cli_runner().invoke(args=words, input=LOGIN[1])
    assert result.exit_code == 0, result.output
    (one,) = kept(host)
    assert one.ok


def test_nobody_makes_a_note_up(host: HostApp, typed: dict[str, Any]) -> None:
    client = host.client
    for note in (
        {"at": "2026-01-01T00:00:00+00:00", "mark": "0" * 64},
        {"at": "never"},
        {"mark": "ü"},
        ["at"],
        7,
    ):
        with client.session_transaction() as session:
            session["smtp_admin_tested"] = note
        revision = len(kept_revisions(host))
        save(client, typed | {"revision": str(revision), "from_name": f"N{revision}"})
    assert kept(host) == []


def kept_revisions(host: HostApp) -> list[int]:
    host.db.session.rollback()
    return list(host.db.session.scalars(select(SenderRevision.number)))


def test_the_note_tells_no_secret(host: HostApp, typed: dict[str, Any]) -> None:
    client = host.client
    try_out(client, typed)
    with client.session_transaction() as session:
        note = dict(session["smtp_admin_tested"])
    assert set(note) == {"at", "code", "message", "reply", "worker", "mark"}
    assert len(note["mark"]) == 64
