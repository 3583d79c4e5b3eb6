"""What people are told of a sandbox and of a copied database: pages, test mails, commands."""

import html
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from smtp_admin import Actor
from smtp_admin.delivery.held import CODE
from smtp_admin.errors import InvalidInput, Unavailable
from smtp_admin.installation import NAME
from smtp_admin.mail.testmail import queue_test_mail, send_test_mail_now
from smtp_admin.sandbox import site
from smtp_admin.sandbox.rewriting import HEADER
from smtp_admin.sandbox_rule import Sandbox
from smtp_admin.senders.resolve import load_sender
from tests.app import ACME_ADMIN, ADMIN, CUSTOMER, HostApp, started_with
from tests.delivery.workbench import deliveries
from tests.servers.databases import sqlite_url
from tests.servers.scripted import ScriptedServer

DEV, PANEL, STAGING = "dev@example.com", "https://panel.example.com", "https://staging.example.com"
TEST_INSTALLATION = "This is a test installation"
NOTHING_GOES = "No mail is sent from this installation."
#: What only those learn who look after the platform.
OF_PLATFORM = (DEV, "me@example.net", "SMTP_ADMIN_", "panel.example.com", "staging.example.com")
NewApp = Callable[..., HostApp]
#: Someone, a page, and its status: pages of all kinds of people, and errors.
SEEN = (
    (ADMIN, "/smtp-admin/system", 200),
    (ADMIN, "/smtp-admin/partners/acme", 200),
    (ADMIN, "/smtp-admin/partners/nobody", 404),
    (ACME_ADMIN, "/smtp-admin/partners/acme", 200),
    (ACME_ADMIN, "/smtp-admin/partners/globex", 404),
    (CUSTOMER, "/smtp-admin/partners/acme", 403),
    (None, "/smtp-admin/partners/acme", 401),
    (None, "/unsubscribe/nonsense", 404),
)


def notes(host: HostApp, actor: Actor | None, path: str, status: int) -> str:
    """The text of the banners of a page, seen by *actor*."""
    host.actor = actor
    answer = host.client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == status, (path, answer.status_code)
    found = re.findall(r"data-smtp-admin-sandbox>(.*?)</div>", answer.text, re.DOTALL)
    return html.unescape(" ".join(re.sub("<[^>]+>", "", "".join(found)).split()))


@pytest.fixture
def copied(new_app: NewApp, tmp_path: Path) -> HostApp:
    """An app whose database is at home elsewhere."""
    uri = sqlite_url(tmp_path / "copy")
    original = new_app(uri=uri, PUBLIC_URL=PANEL)
    with original.app.app_context():
        assert site.record_start(original.db.engine)
        original.save_sender()
    return new_app(uri=uri, PUBLIC_URL=STAGING)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (f"redirect:{DEV}", f"That is {DEV}"),
        ("allow:me@example.net", "Only mail to me@example.net"),
    ],
)
def test_every_page_says_that_this_is_a_sandbox(new_app: NewApp, rule: str, told: str) -> None:
    host = new_app(SANDBOX=rule)
    for actor, path, status in SEEN:
        said = notes(host, actor, path, status)
        assert TEST_INSTALLATION in said, (actor, path)
        if actor is ADMIN:
            assert told in said, path
            assert "SMTP_ADMIN_SANDBOX" in said, path
        else:
            assert not [one for one in OF_PLATFORM if one in said], (actor, path)


def test_every_page_says_that_this_is_a_copy(copied: HostApp) -> None:
    for actor, path, status in SEEN:
        said = notes(copied, actor, path, status)
        assert NOTHING_GOES in said, (actor, path)
        if actor is ADMIN:
            assert "the database belongs to panel.example.com" in said, path
            assert "sandbox release" in said, path
        else:
            assert "It waits in the queue." in said, (actor, path)
            assert not [one for one in OF_PLATFORM if one in said], (actor, path)


def test_without_either_nothing_is_said(new_app: NewApp) -> None:
    host = new_app()
    for actor, path, status in SEEN:
        assert notes(host, actor, path, status) == "", (actor, path)


def test_pages_do_without_the_database(new_app: NewApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error page that asks the database why it is away would be an error of its own."""

    def away(_session: Any) -> Any:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr("smtp_admin.pages.sandbox_note.standing", away)
    host = new_app(SANDBOX=f"redirect:{DEV}")
    assert TEST_INSTALLATION in notes(host, None, "/smtp-admin/partners/acme", 401)
    assert NOTHING_GOES not in notes(host, ADMIN, "/smtp-admin/partners/nobody", 404)


# Test mails


def test_a_test_mail_is_redirected(new_app: NewApp) -> None:
    host = new_app(SANDBOX=f"redirect:{DEV}")
    with host.app.app_context(), ScriptedServer() as server:
        host.save_sender(port=server.port)
        session = host.db.session()
        sent = queue_test_mail(session, "acme", "you@example.org", ADMIN)
        session.commit()
        assert sent.recipient == DEV, "it says where to look"
        host.work()
        sender = load_sender(session, "acme")
        other = sender.values.replace(from_name="Unsaved")
        at_once = send_test_mail_now(session, sender, other, {}, "you@example.org", ADMIN)
        assert at_once.recipient == DEV
        assert [one.recipients for one in server.messages] == [[DEV], [DEV]]
        for one in server.messages:
            assert f"{HEADER}: you@example.org\r\n".encode() in one.data
        host.db.session.remove()


def test_a_test_mail_to_who_may_have_none(new_app: NewApp) -> None:
    """Queued it is held, as any mail is; at once it is refused, and nobody is dialled."""
    host = new_app(SANDBOX="allow:me@example.net")
    with host.app.app_context(), ScriptedServer() as server:
        host.save_sender(port=server.port)
        session = host.db.session()
        sent = queue_test_mail(session, "acme", "you@example.org", ADMIN)
        session.commit()
        host.work()
        assert [(one.state, one.last_code) for one in deliveries(host)] == [("queued", CODE)]
        host.actor = ADMIN
        page = host.client.get(
            f"/smtp-admin/partners/acme?mail={sent.public_id}", headers={"Accept": "text/html"}
        )
        assert "Held" in page.text
        sender = load_sender(session, "acme")
        other = sender.values.replace(from_name="Unsaved")
        with pytest.raises(InvalidInput) as refused:
            send_test_mail_now(session, sender, other, {}, "you@example.org", ADMIN)
        assert "SMTP_ADMIN_SANDBOX" in refused.value.fields["to"][0]
        assert send_test_mail_now(session, sender, other, {}, "me@example.net", ADMIN)
        assert [one.recipients for one in server.messages] == [["me@example.net"]]
        host.db.session.remove()


def test_a_test_mail_in_a_copy(copied: HostApp) -> None:
    """Queued it waits; at once it is refused before anything is opened or dialled."""
    with copied.app.app_context(), ScriptedServer() as server:
        session = copied.db.session()
        sender = load_sender(session, "acme")
        values = sender.values.replace(port=server.port)
        with pytest.raises(Unavailable, match="This process sends nothing") as refused:
            send_test_mail_now(session, sender, values, {}, "you@example.org", ADMIN)
        assert "sandbox release" in (refused.value.hint or "")
        queue_test_mail(session, "acme", "you@example.org", ADMIN)
        session.commit()
        copied.work()
        assert [one.state for one in deliveries(copied)] == ["queued"]
        assert server.connections == 0
        copied.db.session.remove()


# Explain and status


def ran(host: HostApp, *words: str) -> str:
    result = host.app.test_cli_runner().invoke(args=["smtp-admin", *words])
    assert result.exit_code == 0, result.output
    return result.output


def explained(host: HostApp, actor: Actor) -> dict[str, dict[str, str]]:
    """The rows of the page, as *actor* sees them."""
    host.actor = actor
    answer = host.client.get("/smtp-admin/partners/acme/explain?type=password_reset")
    return {one["name"]: one for one in answer.get_json()["rows"]}


def test_explain_and_status_tell_of_a_sandbox(new_app: NewApp) -> None:
    host = new_app(SANDBOX=f"redirect:{DEV}")
    for row in (
        explained(host, ADMIN)["sandbox"],
        {one["name"]: one for one in json.loads(
            ran(host, "explain", "--partner", "acme", "--type", "test", "--json")
        )["rows"]}["sandbox"],
    ):  # fmt: skip
        assert row["value"] == f"all mail goes to {DEV} instead"
        assert row["detail"] == "SMTP_ADMIN_SANDBOX"
    row = explained(host, ACME_ADMIN)["sandbox"]
    assert (row["value"], row["detail"]) == ("all mail goes to one address instead", "")
    assert f"This is a sandbox: SMTP_ADMIN_SANDBOX is redirect:{DEV}." in ran(host, "status")
    told = json.loads(ran(host, "status", "--json"))["sandbox"]
    assert told == {"acts": True, "reason": "", "rule": f"redirect:{DEV}"}

    here = host.installation
    some = Sandbox(allow=("me@example.net",))
    host.app.extensions[NAME] = started_with(here, config=replace(here.config, sandbox=some))
    assert explained(host, ADMIN)["sandbox"]["value"] == (
        "only mail to me@example.net is sent, the rest is held"
    )
    assert explained(host, ACME_ADMIN)["sandbox"]["value"] == (
        "only mail to some addresses is sent, the rest is held"
    )


def test_explain_and_status_tell_of_a_copy(copied: HostApp) -> None:
    reason = "the database belongs to panel.example.com"
    assert reason in explained(copied, ADMIN)["site"]["detail"]
    row = explained(copied, ACME_ADMIN)["site"]
    assert (row["value"], row["detail"]) == ("sends no mail; mail waits", "")
    assert reason in ran(copied, "status")
    told = json.loads(ran(copied, "status", "--json"))["sandbox"]
    assert (told["acts"], told["rule"]) == (False, "")
    assert reason in told["reason"]
    assert "sends no mail" in ran(copied, "explain", "--partner", "acme", "--type", "test")


def test_neither_is_told_of_where_there_is_none(new_app: NewApp) -> None:
    host = new_app()
    assert not {"sandbox", "site"} & explained(host, ADMIN).keys()
    assert json.loads(ran(host, "status", "--json"))["sandbox"] == {
        "acts": True, "reason": "", "rule": "",
    }  # fmt: skip
