"""``--sender`` on every command that concerns one, and the group ``senders``."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import select

from smtp_admin.delivery.models import Delivery
from tests.app import ADMIN, HostApp
from tests.cli.site import audited, sender_of
from tests.servers.scripted import Reply, ScriptedServer

TO = "you@else.example"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A mail server without a login."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def site(new_app: Callable[..., HostApp], server: ScriptedServer) -> Iterator[HostApp]:
    """Acme has its default sender and one for newsletters, the system only its default."""
    made = new_app()
    with made.app.app_context():
        for partner_id, key in (("", ""), ("acme", ""), ("acme", "newsletters")):
            address = f"{key or 'noreply'}@{partner_id or 'platform'}.example"
            made.save_sender(partner_id, key=key, port=server.port, from_email=address)
        yield made


def run(site: HostApp, *words: str, status: int = 0, **more: Any) -> Result:
    result = site.app.test_cli_runner().invoke(args=["smtp-admin", *words], **more)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert "Traceback" not in result.output
    assert result.exit_code == status, result.output
    return result


def answer(site: HostApp, *words: str, status: int = 0) -> Any:
    return json.loads(run(site, *words, "--json", status=status).stdout)


OF_ACME = ("--partner", "acme", "--sender", "newsletters")


# --- --sender ------------------------------------------------------------------------------------


def test_connection_of_one_sender(site: HostApp) -> None:
    tested = answer(site, "test-connection", *OF_ACME)
    assert tested["connection"]["from_email"] == "newsletters@acme.example"
    tested = answer(site, "test-connection", "--partner", "acme", "--sender", "default")
    assert tested["connection"]["from_email"] == "noreply@acme.example"
    assert audited(site)[-1] == ("operator", "connection.tested", "acme")


def test_the_audit_says_how_a_test_ended(site: HostApp, server: ScriptedServer) -> None:
    """On the command line and in the export, with our code and the server's, without its words."""
    site.save_sender("acme", host="127.0.0.1", port=server.port)
    answer(site, "test-connection", "--partner", "acme")
    server.behave("mail", Reply("550 5.7.1 password=hunter2 is not welcome"))
    run(site, "test-connection", "--partner", "acme", status=1)
    here = f"127.0.0.1:{server.port}"
    ends = [f"{here}: failed at sender (sender_refused, 550 5.7.1)", f"{here}: succeeded"]
    of_tests = ("audit", "--partner", "acme", "--action", "connection.tested")
    assert [one["detail"] for one in answer(site, *of_tests, "--json")][:2] == ends
    said = run(site, *of_tests, "--limit", "1").output
    assert "acme  operator  Tested a connection  " + ends[0] in said
    assert ends[1] not in said
    assert run(site, "audit", "--action", "mail.settled").output == "No entries.\n"
    site.actor = ADMIN
    exported = site.client.get("/smtp-admin/audit?export=csv").text
    assert ends[0] in exported
    assert "hunter2" not in exported + said


def test_mail_by_one_sender(site: HostApp, server: ScriptedServer) -> None:
    by_it = answer(site, "send-test", TO, *OF_ACME)["id"]
    by_default = answer(site, "send-test", TO, "--partner", "acme")["id"]
    by_system = answer(site, "send-test", TO)["id"]
    for words, ids in (
        (OF_ACME, [by_it]),
        (("--partner", "acme", "--sender", "default"), [by_default]),
        (("--sender", "default"), [by_system]),
        (("--partner", "acme"), [by_default, by_it]),
        ((), [by_system, by_default, by_it]),
    ):
        assert [one["id"] for one in answer(site, "mail", "list", *words)] == ids
    site.work()
    assert {mail.mail_from for mail in server.wait_for_messages(3)} == {
        "newsletters@acme.example", "noreply@acme.example", "noreply@platform.example",
    }  # fmt: skip


def test_numbers_of_one_sender(site: HostApp) -> None:
    answer(site, "send-test", TO, *OF_ACME)
    numbers = answer(site, "status", "--partner", "acme")
    assert numbers["pending"] == 1
    assert [(one["sender"], one["pending"]) for one in numbers["senders"]] == [
        ("", 0), ("newsletters", 1),
    ]  # fmt: skip
    assert answer(site, "status", *OF_ACME)["pending"] == 1
    assert answer(site, "status", "--partner", "acme", "--sender", "default")["pending"] == 0
    shown = run(site, "status", "--partner", "acme").output
    assert "sender default: 0 pending" in shown
    assert "sender newsletters: 1 pending, 0 sent this hour, 0 dead" in shown


def test_explanation_of_one_sender(site: HostApp) -> None:
    shown = run(site, "explain", *OF_ACME).output
    assert "newsletters@acme.example" in shown
    assert "newsletters@acme.example" not in run(site, "explain", "--partner", "acme").output
    assert answer(site, "explain", *OF_ACME)["sender"] == "newsletters"


def test_deliverability_of_one_sender(site: HostApp) -> None:
    site.save_sender("acme", key="newsletters", from_email="news@letters.invalid")
    shown = run(site, "deliverability", *OF_ACME, status=1)
    assert "letters.invalid" in shown.output


@pytest.mark.parametrize(
    "words",
    [
        ["test-connection"], ["test-connection", "--from-worker"], ["send-test", TO], ["status"],
        ["deliverability"], ["explain"], ["mail", "list"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_unknown_sender_says_which_there_are(site: HostApp, words: list[str]) -> None:
    unknown = run(site, *words, "--partner", "acme", "--sender", "nobody", status=1)
    assert "There is no sender 'nobody' of partner acme." in unknown.output
    assert "There are: default, newsletters." in unknown.output
    error = answer(site, *words, "--partner", "acme", "--sender", "nobody", status=1)["error"]
    assert error["code"] == "not_found"
    # A key belongs to its partner, and without one the system's is meant.
    assert "of the system" in run(site, *words, "--sender", "newsletters", status=1).output
    none = run(site, *words, "--partner", "globex", "--sender", "newsletters", status=1)
    assert "It has no sender of its own yet." in none.output


def test_the_wizard_adds_a_sender(site: HostApp, server: ScriptedServer) -> None:
    words = ("wizard", "--no-input", "--partner", "acme", "--sender", "Alerts", "--label",
             "Alerts  and alarms", "--host", "127.0.0.1", "--port", str(server.port),
             "--security", "none", "--from-email", "alerts@acme.example")  # fmt: skip
    first = answer(site, *words)
    assert (first["saved"], first["sender"], first["revision"]) == (True, "alerts", 1)
    added = sender_of(site, "acme", "alerts")
    assert (added.label, added.values.from_email) == ("Alerts and alarms", "alerts@acme.example")
    assert sender_of(site, "acme").values.from_email == "noreply@acme.example"
    assert answer(site, *words)["saved"] is False
    # Another label alone is something to save, and no label leaves it as it is.
    more = ("wizard", "--no-input", "--partner", "acme", "--sender", "alerts")
    assert answer(site, *more, "--label", "Alarms")["saved"] is True
    assert answer(site, *more, "--from-name", "Acme")["saved"] is True
    assert sender_of(site, "acme", "alerts").label == "Alarms"
    renamed = run(site, *more, "--label", "x" * 81, status=2)
    assert "--label: A label has at most 80 characters." in renamed.output


@pytest.mark.parametrize("key", ["system", "two words", "x" * 41, "ümlaut"])
def test_keys_that_cannot_be(site: HostApp, key: str) -> None:
    result = run(site, "wizard", "--no-input", "--sender", key, status=2)
    assert "--sender: " in result.output
    assert "sender" in answer(site, "wizard", "--sender", key, status=2)["error"]["fields"]


def test_the_wizard_brings_back_what_was_deleted(site: HostApp) -> None:
    run(site, "senders", "delete", "newsletters", "--partner", "acme", "--yes")
    words = ("wizard", "--no-input", *OF_ACME)
    back = answer(site, *words)
    assert (back["saved"], back["revision"]) == (True, 2)
    assert sender_of(site, "acme", "newsletters").configured


# --- The group -----------------------------------------------------------------------------------


def test_list(site: HostApp) -> None:
    everybody = [(one["partner_id"], one["key"]) for one in answer(site, "senders", "list")]
    assert everybody == [("", ""), ("acme", ""), ("acme", "newsletters")]
    (default, one) = answer(site, "senders", "list", "--partner", "acme")
    assert (default["state"], default["driver"], default["revision"]) == ("no_worker", "smtp", 1)
    assert one["from_email"] == "newsletters@acme.example"
    shown = run(site, "senders", "list", "--partner", "acme").output
    assert "acme  newsletters  No worker runs  smtp" in shown
    empty = run(site, "senders", "list", "--partner", "globex")
    assert "The system's sender is used" in empty.output
    run(site, "senders", "list", "--partner", "nobody", status=1)


def test_pause_and_resume(site: HostApp) -> None:
    words = ("newsletters", "--partner", "acme")
    assert "is paused" in run(site, "senders", "pause", *words).output
    (_, one) = answer(site, "senders", "list", "--partner", "acme")
    assert (one["state"], one["headline"]) == ("paused_by_hand", "Paused by hand")
    assert one["paused_until"]
    assert "operator paused it." in run(site, "senders", "list", "--partner", "acme").output
    assert answer(site, "senders", "resume", *words)["key"] == "newsletters"
    again = run(site, "senders", "resume", *words, status=1)
    assert "is not paused" in again.output
    assert audited(site)[-2:] == [
        ("operator", "sender.paused", "acme"), ("operator", "sender.resumed", "acme"),
    ]  # fmt: skip


def test_delete_asks_and_says_what_waits(site: HostApp) -> None:
    answer(site, "send-test", TO, *OF_ACME)
    words = ("senders", "delete", "newsletters", "--partner", "acme")
    for typed in ("n\n", "\n", ""):
        asked = run(site, *words, status=1, input=typed)
        assert "1 mail waits for it, and will go by the default sender." in asked.output
        assert "Delete the sender newsletters of partner acme?" in asked.output
    assert sender_of(site, "acme", "newsletters").configured
    run(site, *words, "--json", status=2)
    assert "is deleted." in run(site, *words, input="y\n").output
    assert sender_of(site, "acme", "newsletters").deleted
    assert "There are: default." in run(site, *words, "--yes", status=1).output
    assert audited(site)[-1] == ("operator", "sender.deleted", "acme")


def test_delete_by_a_script(site: HostApp) -> None:
    words = ("senders", "delete", "newsletters", "--partner", "acme", "--yes")
    deleted = answer(site, *words)
    assert (deleted["ok"], deleted["waiting"], deleted["unknown"]) == (True, 0, 0)


def test_what_cannot_be_deleted_or_paused(site: HostApp) -> None:
    last = run(site, "senders", "delete", "default", "--yes", status=1)
    assert "default sender cannot be deleted" in last.output
    for action in (["delete", "default", "--yes"], ["pause", "default"], ["resume", "default"]):
        never = run(site, "senders", *action, "--partner", "globex", status=1)
        assert "was never saved" in never.output


def test_routes(site: HostApp) -> None:
    routes = ("senders", "routes", "--partner", "acme")
    assert answer(site, *routes) == []
    assert "The default sender sends all mail" in run(site, *routes).output
    run(site, *routes, "--set", "urgent=newsletters", "--set", "test=default")
    expected = [
        {"kind": "priority", "name": "urgent", "sender": "newsletters"},
        {"kind": "type", "name": "test", "sender": ""},
    ]
    assert sorted(answer(site, *routes), key=lambda one: str(one["kind"])) == expected
    shown = run(site, *routes).output.splitlines()
    assert sorted(" ".join(line.split()) for line in shown) == [
        "priority urgent newsletters", "type test default",
    ]  # fmt: skip
    # What is not named stays; without a key the route ends.
    assert answer(site, *routes, "--set", "test=") == expected[:1]
    assert answer(site, *routes, "--set", "urgent=default")[0]["sender"] == ""
    assert audited(site)[-1] == ("operator", "routes.saved", "acme")


@pytest.mark.parametrize(
    ("word", "status", "said"),
    [
        ("urgent", 2, "an equals sign"),
        ("=newsletters", 2, "an equals sign"),
        ("nonsense=newsletters", 1, "There is no e-mail type or priority 'nonsense'."),
        ("urgent=nobody", 1, "There is no sender 'nobody' here."),
    ],
)
def test_routes_that_cannot_be(site: HostApp, word: str, status: int, said: str) -> None:
    result = run(site, "senders", "routes", "--partner", "acme", "--set", word, status=status)
    assert said in result.output
    assert answer(site, "senders", "routes", "--partner", "acme") == []


def test_drivers(site: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [one["name"] for one in answer(site, "senders", "drivers")]
    assert names[0] == "smtp"
    assert "memory" in names
    smtp = run(site, "senders", "drivers").output.splitlines()[0]
    assert " ".join(smtp.split()).startswith("smtp SMTP: Works with every mail provider")
    monkeypatch.setattr(site.app, "testing", False)
    assert "memory" not in [one["name"] for one in answer(site, "senders", "drivers")]


def test_a_deleted_senders_mail_is_counted_before(site: HostApp) -> None:
    for _ in range(2):
        answer(site, "send-test", TO, *OF_ACME)
    session = site.db.session()
    session.execute(
        Delivery.__table__.update()  # type: ignore[attr-defined]
        .where(Delivery.id == select(Delivery.id).limit(1).scalar_subquery())
        .values(state="uncertain")
    )
    session.commit()
    words = ("senders", "delete", "newsletters", "--partner", "acme")
    asked = run(site, *words, status=1, input="n\n").output
    assert "1 mail waits for it" in asked
    assert "Mail with an unknown outcome: 1." in asked
