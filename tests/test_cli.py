"""``flask smtp-admin …``: help, exit statuses, JSON, and sentences instead of tracebacks."""

import json
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any
from unittest.mock import patch

import click
import pytest
from click.testing import Result
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import inspect, update

from smtp_admin import SMTPAdmin, cli, schema
from smtp_admin.cli.group import MODULES, commands
from smtp_admin.database import VERSION_TABLE
from smtp_admin.delivery.models import Message
from smtp_admin.encryption import key_bytes
from tests.app import ADMIN, HostApp, TestHost
from tests.servers.scripted import Reply, ScriptedServer


def leaves(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below *group*, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        if isinstance(command, click.Group):
            yield from leaves(command, *path, name)
        else:
            yield (*path, name), command


COMMANDS = dict(leaves(commands))
GROUPS = sorted({path[:length] for path in COMMANDS for length in range(len(path))})

PEOPLE = Path(__file__).parent / "people.csv"
#: How each command is called so that it does something; new ones need a line here.
CALLS: dict[tuple[str, ...], list[str]] = {
    ("alerts", "ack"): ["0" * 32],
    ("alerts", "check"): [],
    ("alerts", "list"): [],
    ("alerts", "mute"): ["0" * 32],
    ("alerts", "unmute"): ["0" * 32],
    ("audit",): [],
    ("batch", "cancel"): ["0" * 32],
    ("batch", "list"): [],
    ("batch", "show"): ["0" * 32],
    ("db", "check"): [],
    ("db", "current"): [],
    ("db", "downgrade"): ["base", "--yes"],
    ("db", "upgrade"): [],
    ("deliverability",): [],
    ("discover",): ["nobody@nowhere.invalid"],
    ("doctor",): [],
    ("erase",): ["mia@example.com"],
    ("events", "ingest"): [],
    ("explain",): [],
    ("expiry",): [],
    ("keys", "check"): [],
    ("keys", "generate"): [],
    ("keys", "rotate"): [],
    ("mail", "cancel"): ["0" * 32],
    ("mail", "list"): [],
    ("mail", "retry"): ["0" * 32],
    ("mail", "show"): ["0" * 32],
    ("prune",): [],
    ("renewals", "import"): ["-"],
    ("renewals", "preview"): [],
    ("renewals", "run"): [],
    ("sandbox", "drop"): ["--yes"],
    ("sandbox", "release"): ["--yes"],
    ("sandbox", "status"): [],
    ("send-many",): ["password_reset", str(PEOPLE), "--yes"],
    ("send-test",): ["you@else.example"],
    ("senders", "delete"): ["newsletters", "--yes"],
    ("senders", "drivers"): [],
    ("senders", "list"): [],
    ("senders", "pause"): ["newsletters"],
    ("senders", "resume"): ["newsletters"],
    ("senders", "routes"): [],
    ("status",): [],
    ("test-connection",): [],
    ("suppressions", "add"): ["mia@example.com"],
    ("suppressions", "export"): [],
    ("suppressions", "import"): [str(PEOPLE)],
    ("suppressions", "list"): [],
    ("suppressions", "remove"): ["mia@example.com"],
    ("suppressions", "sync"): [],
    ("tokens", "create"): ["CRM", "--scope", "send"],
    ("tokens", "list"): [],
    ("tokens", "revoke"): ["0" * 32],
    ("wizard",): [
        "--no-input",
        "--no-test",
        "--host",
        "mail.acme.example",
        "--from-email",
        "noreply@acme.example",
    ],
    ("worker",): ["--burst"],
}
#: These take any number of ids.
MANY = {
    *(("alerts", name) for name in ("ack", "mute", "unmute")),
    *(("mail", name) for name in ("cancel", "retry")),
}
#: These never need the database.
OFFLINE = {("discover",), ("keys", "generate"), ("senders", "drivers")}
#: Commands that a mail server pipes mail to: this status asks it to try again later.
LATER: dict[tuple[str, ...], int] = {("events", "ingest"): 75}
#: These are what makes the tables, or says that there are none.
WITHOUT_TABLES = OFFLINE | {("db", "current"), ("db", "downgrade"), ("db", "upgrade")}


@pytest.fixture
def site(new_app: Callable[..., HostApp]) -> HostApp:
    """A host app with tables."""
    return new_app()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A mail server without a login."""
    with ScriptedServer() as running:
        yield running


def run(app: HostApp | Flask, *words: str, **more: Any) -> Result:
    """Call a command as a person would; nothing but an exit status may come out."""
    flask = app.app if isinstance(app, HostApp) else app
    result = flask.test_cli_runner().invoke(args=["smtp-admin", *words], **more)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert "Traceback" not in result.output
    return result


def save(site: HostApp, server: ScriptedServer, partner_id: str = "", **values: Any) -> None:
    with site.app.app_context():
        site.save_sender(partner_id, port=server.port, **values)


def test_every_module_of_a_command_is_known() -> None:
    """A command whose module nobody imports would not be there."""
    for module in iter_modules(cli.__path__, f"{cli.__name__}."):
        import_module(module.name)
    assert commands.commands.keys() == MODULES.keys()


def test_every_command_is_here() -> None:
    assert set(CALLS) <= set(COMMANDS)
    missing = set(COMMANDS) - set(CALLS)
    assert not missing, f"add these to CALLS: {missing}"


def test_help_has_an_example_that_can_be_called(site: HostApp) -> None:
    for path, command in COMMANDS.items():
        result = run(site, *path, "--help")
        assert result.exit_code == 0
        start = f"Example: flask smtp-admin {' '.join(path)}"
        assert start in " ".join(result.output.split())
        _, _, words = (command.help or "").partition(start)
        # Files that an example names need not exist.
        with patch.object(click.Path, "convert", lambda _self, value, *_rest: value):
            command.make_context(path[-1], words.partition("\n")[0].split())


def test_groups_explain_themselves(site: HostApp) -> None:
    """With whole sentences: Click cuts off what does not fit into one line."""
    for group in ((), *GROUPS):
        result = run(site, *group, "--help")
        assert result.exit_code == 0
        assert "..." not in result.output.partition("Commands:")[2]
        assert run(site, *group).exit_code == 2
        wrong = run(site, *group, "no-such-command")
        assert wrong.exit_code == 2
        assert "no-such-command" in wrong.output


def test_bad_usage(site: HostApp) -> None:
    for path, words in CALLS.items():
        assert run(site, *path, "--no-such-option").exit_code == 2, path
        if path not in MANY:  # they take as many ids as one likes
            assert run(site, *path, *words, "too", "many").exit_code == 2, path


@pytest.mark.parametrize(
    "words",
    [
        ["send-test"], ["db", "downgrade"], ["worker", "--concurrency", "0"],
        ["worker", "--concurrency", "65"], ["worker", "--concurrency", "many"],
        ["status", "--partner"], ["test-connection", "acme"], ["mail", "show"], ["mail", "retry"],
        ["mail", "list", "--state", "lost"], ["mail", "list", "--limit", "0"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_bad_arguments(site: HostApp, words: list[str]) -> None:
    assert run(site, *words).exit_code == 2


def test_missing_tables(site: HostApp) -> None:
    assert run(site, "db", "downgrade", "base", "--yes").exit_code == 0
    for path in sorted(set(CALLS) - WITHOUT_TABLES):
        result = run(site, *path, *CALLS[path])
        assert result.exit_code == LATER.get(path, 1), path
        assert "flask smtp-admin db upgrade" in result.output


def test_unreachable_database(tmp_path: Path) -> None:
    app = Flask("tests.app")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'no' / 'folder' / 'host.db'}",
        SECRET_KEY="x",
    )
    db = SQLAlchemy()
    db.init_app(app)
    SMTPAdmin(host=TestHost()).init_app(app, db)
    for path, words in CALLS.items():
        result = run(app, *path, *words)
        if path in OFFLINE:
            assert "database" not in result.output
        else:
            assert result.exit_code == LATER.get(path, 1), path
            assert "database" in result.output


@pytest.mark.parametrize(
    "words",
    [
        ["status"], ["status", "--json"], ["test-connection"], ["send-test", "you@else.example"],
        ["explain"], ["test-connection", "--from-worker"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_unknown_partner(site: HostApp, server: ScriptedServer, words: list[str]) -> None:
    """A mistyped partner must not look like one without mail, nor like one without settings."""
    save(site, server)
    result = run(site, *words, "--partner", "nobody")
    assert result.exit_code == 1
    assert "nobody" in result.output


def test_status(site: HostApp, server: ScriptedServer) -> None:
    save(site, server, "acme", max_per_hour=5)
    assert run(site, "send-test", "you@else.example", "--partner", "acme").exit_code == 0
    result = run(site, "status", "--partner", "acme", "--json")
    assert result.exit_code == 0
    numbers = json.loads(result.output)
    assert (numbers["ok"], numbers["pending"], numbers["max_per_hour"]) == (True, 1, 5)
    said = run(site, "status").output
    assert re.search(r"^pending +1$", said, re.MULTILINE)
    # The system has no sender, and acme's works: neither may look like the other.
    assert said.startswith("The system's default sender: Not set up.")
    assert "Numbers of all mail, the system's and every partner's:" in said
    assert "max per hour" not in said
    assert re.search(r"^mail refused 24h +0  \(each refusal of a mail counts", said, re.MULTILINE)
    said = run(site, "status", "--partner", "acme").output
    assert said.startswith("Partner acme: Waiting for a worker.")
    said = run(site, "status", "--partner", "acme", "--sender", "default").output
    assert said.startswith("Sender default of partner acme: Waiting for a worker.")


def test_send_test_and_worker(site: HostApp, server: ScriptedServer) -> None:
    save(site, server, "acme")
    result = run(site, "send-test", "you@else.example", "--partner", "acme", "--json")
    assert result.exit_code == 0
    answer = json.loads(result.output)
    assert (answer["ok"], answer["to"], answer["status"]) == (True, "you@else.example", "queued")
    assert len(answer["id"]) == 32
    assert run(site, "worker", "--burst", "--concurrency", "1").exit_code == 0
    (mail,) = server.wait_for_messages(1)
    assert mail.recipients == ["you@else.example"]
    result = run(site, "send-test", "you@else.example", "--partner", "acme")
    assert "is queued as" in result.output
    assert "What becomes of it: flask smtp-admin mail show " in result.output


@pytest.mark.parametrize("address", ["", "nobody", "a@b@c", "x\r\nBcc: y@else.example", "é@x"])
def test_send_test_to_a_bad_address(site: HostApp, server: ScriptedServer, address: str) -> None:
    save(site, server)
    result = run(site, "send-test", address)
    assert result.exit_code == 1
    assert "to: " in result.output


def test_send_test_without_settings(site: HostApp) -> None:
    result = run(site, "send-test", "you@else.example")
    assert result.exit_code == 1
    assert "No settings are saved" in result.output


def test_connection_that_works(site: HostApp, server: ScriptedServer) -> None:
    save(site, server, "acme")
    result = run(site, "test-connection", "--partner", "acme")
    assert result.exit_code == 0
    assert "Works." in result.output
    site.actor = ADMIN
    for page in ("", "/history"):
        text = site.client.get(f"/smtp-admin/partners/acme{page}", headers={"Accept": "text/html"})
        assert "by a command on the app's machine, " in text.text, page
        assert "from the web: operator" not in text.text
    result = run(site, "test-connection", "--partner", "acme", "--json")
    assert result.exit_code == 0
    answer = json.loads(result.output)
    assert answer["ok"] is True
    assert answer["steps"][0]["name"] == "validate"


def test_connection_that_fails(site: HostApp, server: ScriptedServer) -> None:
    server.behave("greeting", Reply("554 [red]go away[/red]"))
    save(site, server, "acme")
    result = run(site, "test-connection", "--partner", "acme")
    assert result.exit_code == 1
    assert "[red]go away[/red]" in result.output  # the server's words are not markup
    result = run(site, "test-connection", "--partner", "acme", "--json")
    assert result.exit_code == 1
    answer = json.loads(result.output)
    assert (answer["ok"], answer["error"]["code"]) == (False, "server_refused")
    assert answer["error"]["step"] == "greeting"


def test_connection_without_settings(site: HostApp) -> None:
    result = run(site, "test-connection")
    assert result.exit_code == 1
    assert "No settings are saved" in result.output


def test_connection_with_a_key_that_is_gone(
    new_app: Callable[..., HostApp], site: HostApp, server: ScriptedServer
) -> None:
    save(site, server, "acme", username="u", password="a-secret-word")
    other = new_app(uri=site.app.config["SQLALCHEMY_DATABASE_URI"])
    result = run(other, "test-connection", "--partner", "acme")
    assert result.exit_code == 1
    assert "SMTP_ADMIN_SECRET_KEYS" in result.output
    assert server.connections == 0


def test_tests_have_a_limit(new_app: Callable[..., HostApp], server: ScriptedServer) -> None:
    site = new_app(TEST_LIMIT="1 per hour")
    save(site, server)
    assert run(site, "test-connection").exit_code == 0
    result = run(site, "test-connection")
    assert result.exit_code == 1
    assert "too often" in result.output.lower() or "more than" in result.output


def test_database_commands(site: HostApp) -> None:
    head = schema.head()
    assert run(site, "db", "current").output == f"{head}\n"
    assert run(site, "db", "check").exit_code == 0
    down = run(site, "db", "downgrade", "base", "--yes")
    assert (down.exit_code, down.output) == (0, "The tables are at nothing.\n")
    with site.app.app_context():
        left = inspect(site.db.engine).get_table_names()
    assert [name for name in left if name != VERSION_TABLE] == []
    assert run(site, "db", "current").output == "none\n"
    check = run(site, "db", "check")
    assert check.exit_code == 1
    assert "flask smtp-admin db upgrade" in check.output
    for _ in range(2):
        up = run(site, "db", "upgrade")
        assert (up.exit_code, up.output) == (0, f"The tables are at {head}.\n")
    assert run(site, "db", "check").exit_code == 0
    with site.app.app_context():
        assert schema.differences(site.db.engine) == []


def test_downgrade_asks_first(site: HostApp, server: ScriptedServer) -> None:
    save(site, server, "acme")
    for answer in ("n\n", "\n", ""):
        result = run(site, "db", "downgrade", "base", input=answer)
        assert result.exit_code == 1
        assert "will be lost" in result.output
    assert run(site, "db", "check").exit_code == 0
    assert run(site, "db", "downgrade", "base", input="y\n").exit_code == 0
    assert run(site, "db", "check").exit_code == 1


@pytest.mark.parametrize("revision", ["nope", "", "base:head", "+1", "-99", "head^"])
def test_downgrade_to_nowhere(site: HostApp, revision: str) -> None:
    result = run(site, "db", "downgrade", "--yes", "--", revision)
    assert result.exit_code in {1, 2}
    assert run(site, "db", "check").exit_code == 0


def test_tables_of_a_newer_version(site: HostApp) -> None:
    """The package was downgraded and the database was not."""
    with site.app.app_context(), site.db.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    assert run(site, "db", "current").output == "9999\n"
    for words in (["db", "check"], ["db", "upgrade"], ["worker", "--burst"]):
        result = run(site, *words)
        assert result.exit_code == 1, words
        assert "9999" in result.output


def test_keys(site: HostApp) -> None:
    found = {run(site, "keys", "generate").output.strip() for _ in range(3)}
    assert len(found) == 3
    assert all(len(key_bytes(key)) == 32 for key in found)


def test_upgrade_and_keys_without_any_key(new_app: Callable[..., HostApp]) -> None:
    """Both are what one runs first, so neither may ask for the other."""
    site = new_app(SECRET_KEYS=[])
    assert run(site, "keys", "generate").exit_code == 0
    assert run(site, "db", "upgrade").exit_code == 0


@pytest.fixture
def dead(site: HostApp, server: ScriptedServer) -> str:
    """The id of a dead letter."""
    server.behave("rcpt", Reply("550 5.1.1 [bold]nobody[/bold] of a rather long name is here"))
    save(site, server, "acme")
    sent = run(site, "send-test", "you@else.example", "--partner", "acme", "--json")
    run(site, "worker", "--burst")
    return str(json.loads(sent.output)["id"])


def test_mail_list(site: HostApp, dead: str) -> None:
    result = run(site, "mail", "list", "--json")
    (listed,) = json.loads(result.output)
    assert (listed["id"], listed["partner_id"], listed["state"]) == (dead, "acme", "dead")
    for words, count in (
        (["--state", "dead"], 1), (["--state", "queued"], 0), (["--partner", "acme"], 1),
        (["--partner", "globex"], 0), (["--partner", ""], 0), (["--limit", "1"], 1),
    ):  # fmt: skip
        found = run(site, "mail", "list", "--json", *words)
        assert found.exit_code == 0
        assert len(json.loads(found.output)) == count, words
    assert run(site, "mail", "list", "--state", "queued").output == "No mail.\n"


def test_mail_list_shows_whole_ids(site: HostApp, dead: str) -> None:
    """They are what the other commands ask for, so a narrow terminal must not cut them."""
    result = run(site, "mail", "list")
    assert result.exit_code == 0
    assert dead in result.output


def test_mail_show(site: HostApp, dead: str) -> None:
    result = run(site, "mail", "show", dead)
    assert result.exit_code == 0
    assert "to you@else.example: dead" in result.output
    assert re.search(r"^Message-ID <[^<>@]+@[^<>@]+>$", result.output, re.MULTILINE)
    assert "[bold]nobody[/bold]" in result.output
    (shown,) = json.loads(run(site, "mail", "show", dead, "--json").output)
    assert shown["id"] == dead
    assert len(shown["tries"]) == 1


def test_mail_retry(site: HostApp, server: ScriptedServer, dead: str) -> None:
    server.behave("rcpt", None)
    nothing = run(site, "mail", "retry", dead, "0" * 32)
    assert nothing.exit_code == 1
    assert "0" * 32 in nothing.output
    result = run(site, "mail", "retry", dead, "--json")
    assert json.loads(result.output) == {"ok": True, "queued": 1, "kept_back": 0}
    run(site, "worker", "--burst")
    assert len(server.wait_for_messages(1)) == 1
    life = run(site, "mail", "show", dead).output.splitlines()
    told = [line.split()[3] for line in life if " UTC  " in line]
    assert told == ["queued", "permanent", "retry", "sent"]
    assert any(line.endswith("retry  by operator") for line in life)
    (shown,) = json.loads(run(site, "mail", "show", dead, "--json").output)
    assert [(one["kind"], one["by"]) for one in shown["acts"]] == [("retry", "operator")]
    again = run(site, "mail", "retry", dead)
    assert again.exit_code == 1
    assert "dead letter" in again.output


def test_mail_retry_of_a_suppressed_address(site: HostApp, dead: str) -> None:
    with site.app.app_context(), site.db.engine.begin() as connection:  # no test mail any more
        connection.execute(update(Message).values(type_name="message"))
    run(site, "suppressions", "add", "you@else.example", "--partner", "acme")
    result = run(site, "mail", "retry", dead)
    assert result.exit_code == 0
    assert "0 queued again.\n1 kept back again: the address is suppressed.\n" in result.output
    assert "Most likely" in run(site, "mail", "show", dead).output
    run(site, "suppressions", "remove", "you@else.example", "--partner", "acme")
    shown = run(site, "mail", "show", dead).output
    assert "Its address is no longer suppressed." in shown
    assert "Most likely" not in shown


def test_mail_cancel(site: HostApp, server: ScriptedServer) -> None:
    save(site, server, "acme")
    sent = run(site, "send-test", "you@else.example", "--partner", "acme", "--json")
    public_id = json.loads(sent.output)["id"]
    result = run(site, "mail", "cancel", public_id)
    assert (result.exit_code, result.output) == (0, "1 cancelled.\n")
    run(site, "worker", "--burst")
    assert server.connections == 0
    again = run(site, "mail", "cancel", public_id)
    assert again.exit_code == 1
    assert "nothing was cancelled" in again.output


def test_mail_cancel_of_several_is_all_or_nothing(site: HostApp, server: ScriptedServer) -> None:
    save(site, server, "acme")
    ids = [
        json.loads(run(site, "send-test", to, "--partner", "acme", "--json").output)["id"]
        for to in ("a@else.example", "b@else.example")
    ]
    wrong = run(site, "mail", "cancel", *ids, "0" * 32)
    assert (wrong.exit_code, "0" * 32 in wrong.output) == (1, True)
    assert states(site) == {"queued"}
    # A list names a mail once for each recipient.
    result = run(site, "mail", "cancel", *ids, ids[0], "--json")
    assert (result.exit_code, json.loads(result.output)) == (0, {"ok": True, "cancelled": 2})
    assert states(site) == {"cancelled"}


def states(site: HostApp) -> set[str]:
    """The states that mail is in."""
    return {one["state"] for one in json.loads(run(site, "mail", "list", "--json").output)}


def test_mail_show_tells_the_end_after_a_failure(
    site: HostApp, server: ScriptedServer, dead: str
) -> None:
    """The sender failed first, which costs the mail no attempt: its success is none either."""
    server.behave("rcpt", None)
    server.behave("greeting", Reply("421 4.3.2 not now"))
    run(site, "mail", "retry", dead)
    run(site, "worker", "--burst")
    save(site, server, "acme")
    server.behave("greeting", None)
    run(site, "worker", "--burst")
    shown = run(site, "mail", "show", dead).output
    assert "else.example: sent" in shown
    last = shown.rstrip().splitlines()[-1]
    assert ("sent" in last, "250" in last) == (True, True), shown


@pytest.mark.parametrize("action", ["show", "retry", "cancel"])
def test_unknown_mail(site: HostApp, action: str) -> None:
    result = run(site, "mail", action, "no-such-mail")
    assert result.exit_code == 1
    assert "There is no mail no-such-mail." in result.output


def test_prune(site: HostApp) -> None:
    result = run(site, "prune")
    assert (result.exit_code, result.output) == (0, "0 mails deleted.\n")


def test_errors_are_json_where_answers_are(site: HostApp) -> None:
    for words in (["status", "--partner", "acne"], ["mail", "show", "0" * 32],
                  ["send-test", "you@else.example"], ["test-connection"]):  # fmt: skip
        result = run(site, *words, "--json")
        assert result.exit_code == 1, words
        error = json.loads(result.stdout)["error"]
        assert error["message"] in run(site, *words).output
    assert run(site, "db", "downgrade", "base", "--yes").exit_code == 0
    error = json.loads(run(site, "status", "--json").stdout)["error"]
    assert error["hint"] == "Run `flask smtp-admin db upgrade`."


@pytest.mark.parametrize(
    "words",
    [
        ["mail", "list", "--limit", "x"], ["mail", "show"], ["status", "--partnr", "acme"],
        ["wizard", "--security", "foo"], ["db", "current"], ["nothing"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_bad_usage_is_json_where_answers_are(site: HostApp, words: list[str]) -> None:
    result = run(site, *words, "--json")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "invalid_input"
    assert error["message"]
    assert "smtp-admin" in error["hint"]
    assert "--help" in error["hint"]
    assert not result.stderr


def test_times_are_written_alike(site: HostApp, dead: str) -> None:
    (mail,) = json.loads(run(site, "mail", "list", "--json").stdout)
    shown = json.loads(run(site, "mail", "show", dead, "--json").stdout)
    for moment in (mail["created_at"], mail["finished_at"], shown[0]["tries"][0]["at"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment)


def test_keys_say_nothing_about_their_progress_to_a_script(
    site: HostApp, server: ScriptedServer
) -> None:
    save(site, server)
    result = run(site, "keys", "check", "--json")
    assert json.loads(result.stdout)["ok"]
    assert not result.stderr


def test_mail_accepted_at_once_shows_when(site: HostApp, server: ScriptedServer) -> None:
    save(site, server)
    public_id = json.loads(run(site, "send-test", "you@else.example", "--json").output)["id"]
    assert run(site, "worker", "--burst").exit_code == 0
    shown = run(site, "mail", "show", public_id).output
    lines = [line.split("  ")[2:] for line in shown.splitlines()[3:]]
    assert [words[0] for words in lines] == ["queued", "sent"]
    assert len(re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", shown)) == 2


@pytest.mark.parametrize("words", [["test-connection"], ["send-test", "you@else.example"]])
def test_a_wrong_variable_is_named(
    new_app: Callable[..., HostApp],
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
) -> None:
    monkeypatch.setenv("SMTP_PORT", "seven")
    site = new_app()
    save(site, server)
    result = run(site, *words)
    assert result.exit_code == 1
    assert "SMTP_PORT" in result.output
    assert server.connections == 0


def test_a_worker_names_a_wrong_variable(
    new_app: Callable[..., HostApp],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("SMTP_PORT", "seven")
    assert run(new_app(), "worker", "--burst").exit_code == 0
    assert "SMTP_PORT" in caplog.text
