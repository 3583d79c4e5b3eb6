"""Beside a failure stand its causes, wherever it is looked at: from what was written down alone."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from smtp_admin.cli.group import commands
from smtp_admin.delivery.states import STATES
from smtp_admin.diagnosis.explanation import (
    explain_delivery,
    explain_pause,
    explain_refusal,
    provider_notes,
)
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.reply import Reply as ServerReply
from smtp_admin.transports.outcome import Outcome, Verdict
from tests.app import ADMIN, HostApp
from tests.servers.scripted import Close, Reply, ScriptedServer

HTML = {"Accept": "text/html"}
TAB = "/smtp-admin/partners/acme"
LIKELY = "Most likely:"
OFF = (
    "535 5.7.139 Authentication unsuccessful, basic authentication is disabled. "
    "[FR0P281CA0123.DEUP281.PROD.OUTLOOK.COM]"
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(auth=("login", "word")) as running:
        yield running


@pytest.fixture
def site(new_app: Callable[..., HostApp]) -> Iterator[HostApp]:
    made = new_app(RETRY_ATTEMPTS=0)
    made.actor = ADMIN
    with made.app.app_context():
        yield made


def save(site: HostApp, server: ScriptedServer) -> None:
    site.save_sender(port=server.port, username="login", password="word")


def queue(site: HostApp) -> str:
    answer = site.client.post(f"{TAB}/test-email", json={"to": "you@else.example"})
    assert answer.json
    return str(answer.json["id"])


def page(site: HostApp, path: str = TAB) -> str:
    return site.client.get(path, headers=HTML).text


def values(**changes: Any) -> SenderValues:
    usual: dict[str, Any] = {
        "host": "smtp.acme.example",
        "port": 587,
        "security": "tls",
        "username": "login",
        "from_email": "news@acme.example",
    }
    return SenderValues(**(usual | changes))


@pytest.mark.parametrize("state", STATES)
def test_only_what_failed_is_explained(site: HostApp, state: str) -> None:
    explained = explain_delivery(site.db.session(), state, "")
    fine = {"queued", "sending", "sent", "delivered", "cancelled"}
    assert (explained is None) == (state in fine)


def test_a_deferred_mail_is_explained(site: HostApp) -> None:
    explained = explain_delivery(
        site.db.session(), "queued", "server_refused", cause="greylisted",
        reply="450 4.2.0 Greylisted, try again in 5 minutes",
    )  # fmt: skip
    assert explained is not None
    assert explained.causes[0].key == "greylisted"
    assert not explained.unrecognised


def test_a_lost_reply_says_more_than_the_broken_connection(site: HostApp) -> None:
    explained = explain_delivery(
        site.db.session(), "uncertain", "connection_lost", cause="block_list", uncertains=1
    )
    assert explained is not None
    assert explained.causes[0].key == "reply_lost"
    assert explained.hint == f"{explained.causes[0].what} {explained.causes[0].do}"


def test_what_microsoft_has_announced_stands_beside_its_refusal() -> None:
    there = values(host="smtp.office365.com")
    reply = ServerReply(535, (OFF[4:],))
    refused = Outcome(Verdict.RELEASED, reply=reply, code="auth_failed", cause="ms_basic_off")
    explained = explain_refusal(refused, there)
    assert explained.causes[0].key == "ms_basic_off"
    (note,) = explained.notes
    assert "December 2026" in note
    assert provider_notes("smtp.office365.com", OFF)
    assert provider_notes("smtp.office365.com", "535 5.7.3 Authentication unsuccessful") == ()
    assert provider_notes("smtp.acme.example", OFF) == ()


def test_words_that_nobody_knows_can_be_copied(site: HostApp, server: ScriptedServer) -> None:
    save(site, server)
    server.behave("dot", Reply("554 Zorp <b>says</b> no"))
    mail = queue(site)
    site.work()
    shown = page(site, f"{TAB}?mail={mail}")
    assert (
        "<strong>Not recognised:</strong> <code>554 Zorp &lt;b&gt;says&lt;/b&gt; no</code>" in shown
    )
    assert "A reply that is not recognised" in shown
    assert "The server said: 554 Zorp" in shown
    assert (
        "word"
        not in shown.partition("A reply that is not recognised")[2].partition("</textarea>")[0]
    )


def test_a_paused_sender_says_why(site: HostApp, server: ScriptedServer) -> None:
    save(site, server)
    assert explain_pause(site.db.session(), load_sender(site.db.session(), "acme")) is None
    assert LIKELY not in page(site)
    server.behave("auth", Reply("535 5.7.8 Who <b>are</b> you?"))
    queue(site)
    site.work()
    explained = explain_pause(site.db.session(), load_sender(site.db.session(), "acme"))
    assert explained is not None
    assert explained.causes[0].key == "whole_address"
    shown = page(site)
    assert shown.count(LIKELY) == 1
    assert "Other possible causes" in shown
    assert explained.causes[0].do.split(".")[0] in shown
    assert "<b>are" not in shown + page(site, "/smtp-admin/")


def test_a_dead_test_mail_says_why(site: HostApp, server: ScriptedServer) -> None:
    save(site, server)
    server.behave("rcpt", Reply("550 5.1.1 No such user here"))
    mail = queue(site)
    assert LIKELY not in page(site, f"{TAB}?mail={mail}")
    site.work()
    shown = page(site, f"{TAB}?mail={mail}")
    assert "Not delivered." in shown
    assert shown.count(LIKELY) == 1
    followed = site.client.get(f"{TAB}/test-email/{mail}").json
    assert followed
    assert "mistyped" in followed["hint"]


def test_an_uncertain_test_mail_says_why(site: HostApp, server: ScriptedServer) -> None:
    save(site, server)
    server.behave("dot", Close())
    mail = queue(site)
    site.work()
    shown = page(site, f"{TAB}?mail={mail}")
    assert "The server did not confirm it. It may have arrived." in shown
    assert "Ask the recipient" in shown


def test_a_deferred_test_mail_says_why(
    new_app: Callable[..., HostApp], server: ScriptedServer
) -> None:
    site = new_app(RETRY_DELAY=600)
    site.actor = ADMIN
    with site.app.app_context():
        save(site, server)
        server.behave("rcpt", Reply("450 4.2.0 Greylisted, come back in five minutes"))
        mail = queue(site)
        site.work()
        shown = page(site, f"{TAB}?mail={mail}")
    assert "Last try:" in shown
    assert shown.count(LIKELY) == 1


def test_a_test_mail_that_was_not_saved_says_why(site: HostApp, server: ScriptedServer) -> None:
    server.behave("mail", Reply("550 5.7.60 Client does not have permissions to send as this"))
    entered = {
        "host": "127.0.0.1", "port": server.port, "security": "none", "username": "login",
        "password": "word", "from_email": "news@acme.example", "revision": 0,
    }  # fmt: skip
    shown = site.client.post(f"{TAB}/test-email", data=entered, headers=HTML)
    assert shown.status_code == 400
    assert shown.text.count(LIKELY) == 1
    assert "Send as" in shown.text
    answer = site.client.post(
        f"{TAB}/test-email", data=entered, headers={"Accept": "application/json"}
    ).json
    assert answer
    assert answer["error"]["code"] == "sender_refused"
    assert "Send as" in answer["error"]["hint"]
    assert answer["error"]["reply"]["code"] == 550


def test_a_mail_that_nothing_reached_says_why(site: HostApp, closed_port: int) -> None:
    entered = {
        "host": "127.0.0.1", "port": closed_port, "security": "none", "username": "",
        "from_email": "news@acme.example", "revision": 0,
    }  # fmt: skip
    answer = site.client.post(
        f"{TAB}/test-email", data=entered, headers={"Accept": "application/json"}
    ).json
    assert answer
    assert answer["error"]["code"] == "connection_refused"
    assert "nothing listens" in answer["error"]["hint"]


def test_mail_show_says_why(site: HostApp, server: ScriptedServer) -> None:
    save(site, server)
    server.behave("rcpt", Reply("550 5.1.1 No such user here"))
    mail = queue(site)
    runner = site.app.test_cli_runner()

    def show(*options: str) -> str:
        return str(runner.invoke(commands, ["mail", "show", mail, *options]).output)

    assert json.loads(show("--json"))[0]["causes"] == []
    site.work()
    assert "  Most likely: " in show()
    assert "mistyped" in show()
    (shown,) = json.loads(show("--json"))
    assert shown["last_code"] == "recipient_refused"
    assert [*shown["causes"][0]] == ["key", "cause", "do"]
