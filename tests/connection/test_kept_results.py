"""The last test's result stays with the revision that it was of, and with no other settings."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.connection.answers import as_dict
from smtp_admin.connection.probe import TestResult, probe
from smtp_admin.connection.results import from_text, to_text
from smtp_admin.providers.catalogue import replies
from smtp_admin.senders.models import RevisionTest
from smtp_admin.transports.driver import Surroundings
from tests.app import ACME_ADMIN, HostApp
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import Reply, ScriptedServer
from tests.setups import request_for

PAGE = "/smtp-admin/partners/acme"
LOGIN = ("u", "right word")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """One that wants a login."""
    with ScriptedServer(auth=LOGIN) as running:
        yield running


@pytest.fixture
def saved(host: HostApp, server: ScriptedServer) -> dict[str, Any]:
    """Two revisions that lead there; what is on the screen for the second one."""
    values: dict[str, Any] = {"port": server.port, "username": "u"}
    host.save_sender(**values, password=LOGIN[1], from_name="Before")
    host.save_sender(**values, from_name="After")
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "username": "u",
        "from_email": "noreply@acme.example",
    }


def kept(host: HostApp) -> list[dict[str, Any]]:
    """The tests of each revision, newest first, as the history shows them."""
    body = host.client.get(f"{PAGE}/history", headers={"Accept": "application/json"}).get_json()
    return [one["tests"] for one in body["revisions"]]


def test_what_is_saved_was_tested(
    host: HostApp, saved: dict[str, Any], server: ScriptedServer
) -> None:
    assert kept(host) == [{}, {}]
    assert host.client.post(f"{PAGE}/test-connection", json=saved).status_code == 200
    newest, before = kept(host)
    assert before == {}, "the result belongs to the revision in use"
    assert set(newest) == {"web"}
    assert newest["web"] | {"at": ""} == {
        "ok": True, "code": None, "message": "", "reply": None, "at": "", "by": "Ada",
    }  # fmt: skip
    server.behave("auth", Reply("535 5.7.8 not you"))
    host.actor = ACME_ADMIN
    # The stored password, typed: what is tested is the same.
    typed = saved | {"password": LOGIN[1]}
    assert host.client.post(f"{PAGE}/test-connection", json=typed).status_code == 400
    last = kept(host)[0]["web"]
    assert (last["ok"], last["code"], last["by"]) == (False, "auth_failed", "Mia")
    assert last["reply"] == "535 5.7.8 not you"
    assert last["message"] == "The server refused the user name or password."
    assert len(host.db.session.scalars(select(RevisionTest)).all()) == 1
    text = host.client.get(f"{PAGE}/history", headers={"Accept": "text/html"}).text
    assert "535 5.7.8 not you" in text
    assert text.count("Not tested") == 1


@pytest.mark.parametrize(
    "change",
    [
        {"from_email": "other@acme.example"},
        {"from_email": ""},
        {"host": "localhost", "password": LOGIN[1]},
        {"username": "", "password": ""},
        {"username": "else", "password": "x"},
        {"password": "another"},
        {"verify_tls": False, "password": LOGIN[1]},
    ],
    ids=lambda change: " ".join(change),
)
def test_what_is_only_on_the_screen_leaves_nothing(
    host: HostApp, saved: dict[str, Any], change: dict[str, Any]
) -> None:
    answer = host.client.post(f"{PAGE}/test-connection", json=saved | change)
    assert answer.status_code in {200, 400}
    assert answer.get_json()["steps"][0]["name"] == "validate"
    assert kept(host) == [{}, {}]


def test_what_differs_in_other_fields_is_the_same_to_a_server(
    host: HostApp, saved: dict[str, Any]
) -> None:
    """From name and limits are not part of a test."""
    form = saved | {"from_name": "Unsaved", "revision": "2", "verify_tls": "true"}
    headers = {"Accept": "text/html"}
    assert (
        host.client.post(f"{PAGE}/test-connection", data=form, headers=headers).status_code == 200
    )
    assert set(kept(host)[0]) == {"web"}


def test_a_refused_request_leaves_nothing(host: HostApp, saved: dict[str, Any]) -> None:
    asked = saved | {"port": "many"}
    assert host.client.post(f"{PAGE}/test-connection", json=asked).status_code == 400
    assert kept(host) == [{}, {}]


def test_the_command_tests_what_is_saved(host: HostApp, saved: dict[str, Any]) -> None:
    assert saved
    runner = host.app.test_cli_runner()
    result = runner.invoke(args=["smtp-admin", "test-connection", "--partner", "acme"])
    assert result.exit_code == 0, result.output
    assert kept(host)[0]["web"]["by"] == "operator"


def surroundings(host: HostApp) -> Surroundings:
    return Surroundings.from_config(host.installation.config, replies())


def same(result: TestResult) -> None:
    """A result that was stored and read says the same to people and scripts."""
    again = from_text(to_text(result), result.request)
    assert as_dict(again) == as_dict(result)
    assert again.diagnosis == result.diagnosis
    assert [one.reply and one.reply.enhanced for one in again.report.steps] == [
        one.reply and one.reply.enhanced for one in result.report.steps
    ]


@pytest.mark.parametrize("stage", ["greeting", "ehlo", "auth", "mail", "rcpt", "quit"])
@pytest.mark.parametrize(
    "reply", ["550 5.7.1 Not from here.", "421 4.3.0 Zoë – later", "550 x", "garbage", "250 fine"]
)
def test_a_stored_result_says_the_same(
    host: HostApp, server: ScriptedServer, stage: Any, reply: str
) -> None:
    server.behave(stage, Reply(reply))
    tested = request_for(
        host="127.0.0.1", port=server.port, security="none", username="u", password=LOGIN[1],
        from_email="a@acme.example",
    )  # fmt: skip
    same(probe(tested, surroundings(host)))


def test_a_stored_result_with_a_certificate(
    host: HostApp, certificates: CertificateFactory
) -> None:
    context = certificates.server_context(certificates.valid("localhost"))
    with ScriptedServer(starttls=context) as server:
        for verify in (True, False):
            tested = request_for(
                host="localhost", port=server.port, verify_tls=verify, from_email="a@acme.example"
            )
            same(probe(tested, surroundings(host)))


def test_what_a_talkative_server_says_fits(host: HostApp) -> None:
    """MariaDB's columns take 65,535 bytes."""
    words = [f"X-{number}-" + "é" * 200 for number in range(60)]
    with ScriptedServer(extensions=words) as server:
        tested = request_for(host="127.0.0.1", port=server.port, security="none")
        result = probe(tested, surroundings(host))
    assert result.ok, result.failure
    stored = to_text(result)
    assert len(stored.encode()) < 65_535
    assert from_text(stored, tested).report.steps
