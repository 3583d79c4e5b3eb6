"""The wizard without questions: options for scripts, exit statuses, JSON, no secret anywhere."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import update

from smtp_admin.clock import now
from smtp_admin.senders.models import Sender
from tests.app import HostApp
from tests.cli.site import audited, saved, sender_of
from tests.servers.behaviours import Reply
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import ScriptedServer

LOGIN, PASSWORD, WRONG = "mia@acme.example", "Geheim-im-Händler-9f3b", "falsch-4711-geraten"
FROM = ("--from-email", "noreply@acme.example")


@pytest.fixture
def server(certificates: CertificateFactory) -> Iterator[ScriptedServer]:
    """A mail server with STARTTLS and a login."""
    context = certificates.server_context(certificates.valid())
    with ScriptedServer(starttls=context, auth=(LOGIN, PASSWORD)) as running:
        yield running


@pytest.fixture
def site(new_app: Callable[..., HostApp], certificates: CertificateFactory) -> Iterator[HostApp]:
    """An app without any settings."""
    made = new_app(CA_FILE=str(certificates.ca_file))
    with made.app.app_context():
        yield made


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file with the right password, as an editor leaves it."""
    path = tmp_path / "secret"
    path.write_text(f"{PASSWORD}\n")
    return path


def run(site: HostApp, *words: str, **more: Any) -> Result:
    result = site.app.test_cli_runner().invoke(args=["smtp-admin", "wizard", *words], **more)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    for never in (PASSWORD, WRONG, "Traceback"):
        assert never not in result.output
    return result


def place(server: ScriptedServer) -> tuple[str, ...]:
    return ("--no-input", "--host", "localhost", "--port", str(server.port), *FROM)


@pytest.mark.parametrize(
    ("words", "place_"),
    [
        ((), (587, "tls")),
        (("--security", "ssl"), (465, "ssl")),
        (("--port", "465"), (465, "ssl")),
        (("--port", "2525"), (2525, "tls")),
        (("--port", "587", "--security", "ssl"), (587, "ssl")),
        (("--security", "none"), (587, "none")),
        (("--preset", "mailgun", "--port", "465"), (465, "ssl")),
        (("--preset", "mailgun", "--security", "ssl"), (465, "ssl")),
    ],
    ids=str,
)
def test_port_and_security_follow_from_each_other(
    site: HostApp, words: tuple[str, ...], place_: tuple[int, str]
) -> None:
    host = () if "--preset" in words else ("--host", "mail.example")
    assert run(site, "--no-input", "--no-test", *host, *FROM, *words).exit_code == 0
    values = sender_of(site).values
    assert (values.port, values.security) == place_
    # What was chosen stays, although the same preset would say something else.
    if "--preset" in words:
        again = run(site, "--no-input", "--no-test", "--preset", "mailgun")
        assert (again.exit_code, sender_of(site).values) == (0, values)


def test_what_is_missing_is_named_at_once(site: HostApp) -> None:
    result = run(site, "--no-input", "--username", LOGIN, "--port", "99999", "--max-per-hour", "x")
    assert result.exit_code == 2
    for words in ("--host or --preset", "--from-email", "--password-file or --password-stdin",
                  "1 to 65535", "--max-per-hour: "):  # fmt: skip
        assert words in result.output
    answer = json.loads(run(site, "--json", "--username", LOGIN).stdout)
    assert answer["error"]["code"] == "invalid_input"
    assert sorted(answer["error"]["fields"]) == ["from_email", "host", "password"]
    assert audited(site) == []


def test_tested_saved_and_the_second_time_nothing(
    site: HostApp, server: ScriptedServer, secret: Path
) -> None:
    words = (*place(server), "--partner", "acme", "--username", LOGIN, "--password-file",
             str(secret), "--max-per-day", "500", "--json")  # fmt: skip
    first = run(site, *words)
    assert first.exit_code == 0
    answer = json.loads(first.stdout)
    assert (answer["ok"], answer["saved"], answer["revision"]) == (True, True, 1)
    assert answer["test"]["steps"][-1]["name"] == "quit"
    assert answer["settings"]["max_per_day"] == 500
    assert "password" not in answer["settings"]
    again = json.loads(run(site, *words).stdout)
    assert (again["ok"], again["saved"], again["revision"]) == (True, False, 1)
    # What is saved need not be given again, the password included.
    renamed = run(site, "--no-input", "--partner", "acme", "--from-name", "Acme")
    assert (renamed.exit_code, "Saved as revision 2." in renamed.output) == (0, True)
    assert [one.from_name for one in saved(site)] == ["", "Acme"]
    assert {one.fields["username"] for one in saved(site)} == {LOGIN}
    assert audited(site)[-1] == ("operator", "settings.saved", "acme")


@pytest.mark.parametrize(
    ("code", "options", "resumed"),
    [
        ("auth_failed", (), True),
        ("connection_lost", (), True),
        # The test proves nothing where nothing was tested, or the test does not see it.
        ("auth_failed", ("--no-test",), False),
        ("rate_limited", (), False),
        ("sender_refused", (), False),
    ],
)
def test_the_same_settings_end_a_pause_if_they_work(
    site: HostApp, server: ScriptedServer, secret: Path, code: str, options: Any, resumed: bool
) -> None:
    words = (*place(server), "--partner", "acme", "--username", LOGIN, "--password-file",
             str(secret))  # fmt: skip
    assert run(site, *words).exit_code == 0
    session = site.db.session()
    paused = {"paused_until": now() + timedelta(days=1), "pause_code": code, "pauses": 3}
    session.execute(update(Sender).values(**paused))
    session.commit()
    answer = json.loads(run(site, *words, *options, "--json").stdout)
    assert (answer["saved"], answer["resumed"]) == (False, resumed)
    assert (sender_of(site, "acme").paused_until is None) == resumed
    assert (("operator", "sender.resumed", "acme") in audited(site)) == resumed


def test_a_pause_stays_while_the_test_fails(
    site: HostApp, server: ScriptedServer, secret: Path
) -> None:
    words = (*place(server), "--username", LOGIN, "--password-file", str(secret))
    assert run(site, *words).exit_code == 0
    session = site.db.session()
    paused = {"paused_until": now() + timedelta(days=1), "pause_code": "auth_failed"}
    session.execute(update(Sender).values(**paused))
    session.commit()
    server.behave("greeting", Reply("421 4.3.2 not now"))
    assert run(site, *words).exit_code == 1
    assert sender_of(site).paused_until is not None


def test_a_wrong_password_is_not_saved(site: HostApp, server: ScriptedServer) -> None:
    words = (*place(server), "--username", LOGIN, "--password-stdin")
    result = run(site, *words, input=WRONG)
    assert result.exit_code == 1
    assert "The server refused the user name or password." in result.output
    assert "Nothing was saved." in result.output
    answer = json.loads(run(site, *words, "--json", input=WRONG).stdout)
    assert (answer["ok"], answer["saved"], answer["error"]["code"]) == (False, False, "auth_failed")
    assert saved(site) == []


def test_without_a_test_nothing_is_dialled(site: HostApp, server: ScriptedServer) -> None:
    words = (*place(server), "--username", LOGIN, "--password-stdin", "--no-test")
    assert run(site, *words, input=f"{WRONG}\r\n").exit_code == 0
    assert server.connections == 0
    assert [one.number for one in saved(site)] == [1]


def test_a_preset_fills_in_what_is_not_given(site: HostApp) -> None:
    word = "SG." + "x" * 66
    result = run(site, "--preset", "sendgrid:eu", "--username", "apikey", "--port", "2525",
                 "--no-test", "--password-stdin", *FROM, input=word)  # fmt: skip
    assert result.exit_code == 0
    values = sender_of(site).values
    assert (values.host, values.port, values.security) == ("smtp.eu.sendgrid.net", 2525, "tls")
    assert word not in result.output


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--preset", "nope"], "There are: gmail"),
        (["--preset", "ses:nowhere"], "eu-central-1"),
        (["--preset", "sendgrid", "--username", "mia"], "apikey"),
        (["--preset", "gmail", "--username", "m@gmail.com"], "16 letters"),
        (["--host", "https://mail.example"], "https://"),
        (["--host", "mail.example", "--from-name", "x" * 65], "64"),
    ],
    ids=" ".join,
)
def test_what_cannot_work_is_told_before_dialling(
    site: HostApp, words: list[str], named: str
) -> None:
    result = run(site, "--no-input", *FROM, *words, "--password-stdin", input=WRONG)
    assert result.exit_code == 2
    assert named in result.output
    assert "Nothing was tested or saved." in result.output
    assert (audited(site), saved(site)) == ([], [])


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe", b"*****\n", b"two\nlines"])
def test_password_files_that_cannot_be_used(
    site: HostApp, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    result = run(site, "--no-input", "--host", "mail.example", *FROM, "--username", LOGIN,
                 "--password-file", str(path))  # fmt: skip
    assert result.exit_code == 2
    assert "--password-file: " in result.output
    assert saved(site) == []


def test_one_place_for_the_password(site: HostApp, secret: Path) -> None:
    both = ("--password-file", str(secret), "--password-stdin")
    result = run(site, "--host", "mail.example", *FROM, "--username", LOGIN, *both, input="x")
    assert (result.exit_code, "Give one of" in result.output) == (2, True)
    command_line = run(site, "--no-input", "--password", "hunter2")
    assert command_line.exit_code == 2
    assert "--password-file" in command_line.output


def test_another_server_needs_the_password_again(
    site: HostApp, server: ScriptedServer, secret: Path
) -> None:
    words = (*place(server), "--username", LOGIN, "--password-file", str(secret))
    assert run(site, *words, "--no-test").exit_code == 0
    result = run(site, "--no-input", "--host", "127.0.0.1")
    assert result.exit_code == 2
    assert "saved for another server" in result.output
    assert server.connections == 0
    assert len(saved(site)) == 1


def test_an_option_against_the_environment(
    new_app: Callable[..., HostApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_HOST", "mail.example")
    made = new_app()
    with made.app.app_context():
        result = run(made, "--no-input", "--host", "other.example", *FROM)
        assert (result.exit_code, "SMTP_HOST" in result.output) == (2, True)
        # With a host from there, the password has to come from there too.
        result = run(made, "--no-input", *FROM, "--username", LOGIN)
        assert (result.exit_code, "SMTP_PASSWORD" in result.output) == (2, True)
        assert saved(made) == []


def test_advice_comes_before_the_test(site: HostApp, server: ScriptedServer) -> None:
    server.auth, server.starttls = None, None
    result = run(site, *place(server), "--security", "none", "--from-name", "[bold]Admin[/]")
    assert result.exit_code == 0
    assert result.output.index("! Security: ") < result.output.index("✓ connect")
    answer = json.loads(run(site, "--json", "--no-test").stdout)
    assert "no_encryption" in {one["code"] for one in answer["advice"]}


def test_nobody_to_ask(site: HostApp) -> None:
    result = run(site, "--host", "mail.example")
    assert (result.exit_code, "--no-input" in result.output) == (2, True)


def test_too_many_tests(new_app: Callable[..., HostApp], server: ScriptedServer) -> None:
    made = new_app(TEST_LIMIT="1 per hour")
    server.auth = None
    with made.app.app_context():
        assert run(made, *place(server), "--no-verify-tls").exit_code == 0
        again = run(made, *place(server), "--no-verify-tls", "--from-name", "Acme")
        assert again.exit_code == 1
        assert "more than 1 in 60 minutes" in again.output
        assert len(saved(made)) == 1


def test_a_password_file_that_cannot_be_read(site: HostApp, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        result = run(site, "--no-input", "--host", "mail.example", *FROM, "--username", LOGIN,
                     "--password-file", str(path))  # fmt: skip
        assert (result.exit_code, "cannot be read" in result.output) == (2, True)
