"""Words that nobody knows: shown as they came, called so, and with a report to copy, everywhere."""

import html
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.app import ADMIN, HostApp
from tests.servers.scripted import Reply, ScriptedServer, Stage

HTML = {"Accept": "text/html"}
TAB = "/smtp-admin/partners/acme"
ZORP = "Zorp <i>says</i> no"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(auth=("news", "pass-word-7")) as running:
        yield running


@pytest.fixture
def site(new_app: Callable[..., HostApp], server: ScriptedServer) -> Iterator[HostApp]:
    made = new_app(RETRY_ATTEMPTS=1)
    made.actor = ADMIN
    with made.app.app_context():
        made.save_sender(port=server.port, username="news", password="pass-word-7")
        yield made


def form(server: ScriptedServer, **changes: Any) -> dict[str, Any]:
    """The tab as it is filled in."""
    return {
        "host": "127.0.0.1", "port": server.port, "security": "none", "username": "news",
        "from_email": "noreply@acme.example", "verify_tls": "true", "revision": 1,
        "to": "you@else.example",
    } | changes  # fmt: skip


def seen_in_the_test(site: HostApp, server: ScriptedServer) -> str:
    return site.client.post(f"{TAB}/test-connection", data=form(server), headers=HTML).text


def seen_from_both(site: HostApp, server: ScriptedServer) -> str:
    asked = site.client.post(f"{TAB}/test-connection/worker", data=form(server))
    assert asked.json
    site.work()
    return site.client.get(asked.json["follow"], headers=HTML).text


def mailed(site: HostApp, server: ScriptedServer) -> str:
    """What is only on the screen is tried at once."""
    entered = form(server, from_name="Not saved")
    return site.client.post(f"{TAB}/test-email", data=entered, headers=HTML).text


def followed(site: HostApp, server: ScriptedServer) -> str:
    """What is saved goes through the queue."""
    sent = site.client.post(f"{TAB}/test-email", json={"to": "you@else.example"}).json
    assert sent
    site.work()
    return site.client.get(f"{TAB}?mail={sent['id']}", headers=HTML).text


def paused(site: HostApp, server: ScriptedServer) -> str:
    followed(site, server)
    return site.client.get(TAB, headers=HTML).text


def symptoms(site: HostApp, server: ScriptedServer) -> str:
    followed(site, server)
    return site.client.get(f"{TAB}/symptoms", headers=HTML).text


Show = Callable[[HostApp, ScriptedServer], str]
PLACES: list[tuple[Show, Stage, int]] = [
    (seen_in_the_test, "greeting", 554), (seen_in_the_test, "mail", 550),
    (seen_in_the_test, "rcpt", 450), (seen_in_the_test, "rcpt", 550),
    (seen_from_both, "mail", 550), (seen_from_both, "rcpt", 450),
    (mailed, "mail", 550), (mailed, "rcpt", 550), (mailed, "dot", 554), (mailed, "dot", 451),
    (followed, "mail", 550), (followed, "rcpt", 450), (followed, "dot", 554),
    (paused, "greeting", 554),
    (symptoms, "rcpt", 550), (symptoms, "dot", 451), (symptoms, "greeting", 421),
]  # fmt: skip


@pytest.mark.parametrize(
    ("show", "stage", "code"),
    PLACES,
    ids=[f"{show.__name__} {stage} {code}" for show, stage, code in PLACES],
)
def test_words_that_nobody_knows(
    site: HostApp, server: ScriptedServer, show: Show, stage: Stage, code: int
) -> None:
    server.behave(stage, Reply(f"{code} {ZORP}"))
    page = show(site, server)
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert html.escape(ZORP) in page
    assert "<i>" not in page
    assert re.search("not recognised|Not recognised", text)
    reports = re.findall(r"<textarea[^>]*readonly[^>]*>(.*?)</textarea>", page, re.DOTALL)
    assert reports
    for one in reports:
        report = html.unescape(one)
        assert f"{code} {ZORP}" in report
        assert "not recognised" in report
        assert f"Port: {server.port}" in report
        assert "pass-word-7" not in report
    assert 'data-smtp-admin-copy="report' in page or "-report-" in page


KNOWN: list[tuple[Show, Stage, str]] = [
    (
        seen_in_the_test,
        "mail",
        "550 5.7.60 Client does not have permissions to send as this sender",
    ),
    (seen_in_the_test, "rcpt", "450 4.2.0 Greylisted"),
    (seen_in_the_test, "auth", "535 5.7.8 no"),
    (mailed, "dot", "554 5.7.1 Spam message rejected"),
    (followed, "rcpt", "450 4.2.0 Greylisted"),
    (followed, "auth", "535 5.7.8 no"),
    (paused, "greeting", "421 4.7.0 Too many connections from your address"),
    (symptoms, "rcpt", "550 5.1.1 no such user"),
]


@pytest.mark.parametrize(
    ("show", "stage", "said"), KNOWN, ids=[f"{one[0].__name__} {one[2][:20]}" for one in KNOWN]
)
def test_of_words_that_are_known_nobody_says_so(
    site: HostApp, server: ScriptedServer, show: Show, stage: Stage, said: str
) -> None:
    server.behave(stage, Reply(said))
    page = show(site, server)
    assert said[4:20] in page
    assert "ot recognised" not in page


def test_a_warning_names_what_is_behind_it(site: HostApp, server: ScriptedServer) -> None:
    """The same words as beside a mail that waits for it."""
    said = "450 4.7.1 <you@else.example>: Recipient address rejected: Greylisted"
    server.behave("rcpt", Reply(said))
    page = seen_in_the_test(site, server)
    assert "refused mail to the sender address for now" in page
    hint = "The server delays mail from senders that it does not know (greylisting). It is retried"
    assert hint in page
    assert hint in followed(site, server)
