"""The same text means the same by page, JSON, command line and environment, and to the worker."""

import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smtp_admin.connection.request import read_request
from smtp_admin.errors import InvalidInput
from smtp_admin.senders.fields import fields_of
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from smtp_admin.smtp.session import Server
from tests.app import ADMIN, HostApp, started_with

#: What became of a text: the value, or the sentence that refuses it.
Outcome = tuple[str, Any]
FIELDS = {one.name: one for one in fields_of("smtp")}
BASE = {
    "driver": "smtp", "host": "mail.acme.example", "port": "587", "security": "tls",
    "username": "u", "password": "word", "from_email": "noreply@acme.example",
    "verify_tls": "true",
}  # fmt: skip
COLON = "Put the port into its own field, without a colon."
PORT = "A port is a whole number from 1 to 65535."
LIMIT = "Enter a whole number from 1, or leave it empty for no limit."
LINES = "A password has no line breaks."

#: field → text → the value that it means everywhere.
MEANT: dict[str, dict[str, Any]] = {
    "host": {
        "smtp.example.com ": "smtp.example.com",
        "\tSMTP.Example.COM": "smtp.example.com",
        "smtp.example.com.": "smtp.example.com",
        "smtp.example.com\n": "smtp.example.com",
        "MÜLLER.example": "xn--mller-kva.example",
        "ｍail.example": "mail.example",
        "[2001:DB8::1]": "2001:db8::1",
    },
    "port": {" 465 ": 465, "00465": 465},
    "security": {"STARTTLS": "tls", " SSL": "ssl", "None\n": "none"},
    "username": {" mia ": "mia", "mia\n": "mia", "Ｍia": "Ｍia"},
    "from_email": {" News@ACME.Example ": "News@acme.example",
                   "a@例子.example": "a@xn--fsqu00a.example"},
    "from_name": {"  Acme   Inc. ": "Acme   Inc."},
    "max_per_hour": {" 80 ": 80, "080": 80},
    "password": {" word ": " word ", "wörd\t": "wörd\t", "\u00a0": "\u00a0", "****": "****"},
    "verify_tls": {"Yes": True, " off ": False, "0": False},
    "headers": {"X-A:1 \n\n X-B: 2": (("X-A", "1"), ("X-B", "2"))},
}  # fmt: skip

#: field → text → the sentence that everybody hears.
REFUSED: dict[str, dict[str, str]] = {
    "host": {
        "ssl://smtp.example.com": "Leave out “ssl://”. Only the host name is needed.",
        "smtp.example.com:587": COLON,
        "smtp.example.com/": "Leave out the slash. Only the host name is needed.",
        "me@example.com": "This looks like an e-mail address. Enter the mail server's host name.",
        "１２７.0.0.1": "This is neither a host name nor an ordinary IP address.",
        "two words": "A host name has no spaces or control characters.",
    },
    "port": {"５８７": PORT, "+587": PORT, "587,": PORT, "65536": PORT},
    "security": {"ｔｌｓ": "Use one of: tls, ssl, none.", "yes": "Use one of: tls, ssl, none."},
    "username": {"a\nb": "A login has no line breaks or control characters."},
    "from_email": {
        "Acme <noreply@acme.example>":
            "Enter only the address: noreply@acme.example. Enter the name in its own field.",
        "<noreply@acme.example>":
            "Enter only the address: noreply@acme.example. Enter the name in its own field.",
        "acme": "An e-mail address needs a name, an @ and a domain.",
    },
    "from_name": {"x" * 65: "A name has at most 64 characters."},
    "max_per_hour": {"８0": LIMIT, "0": LIMIT},
    "password": {"word\n": LINES, "a\rb": LINES},
    "verify_tls": {"maybe": "This must be true or false."},
    "headers": {"Bcc: a@acme.example": ""},
}  # fmt: skip

CASES = [
    pytest.param(field, text, ("value", value), id=f"{field}-{text!a:.24}")
    for field, texts in MEANT.items()
    for text, value in texts.items()
] + [
    pytest.param(field, text, ("sentence", sentence), id=f"{field}-{text!a:.24}")
    for field, texts in REFUSED.items()
    for text, sentence in texts.items()
]


@pytest.fixture(scope="module")
def module_app(made_for_module: Callable[..., HostApp]) -> HostApp:
    """One app for all texts."""
    return made_for_module()


@pytest.fixture
def site(module_app: HostApp) -> Iterator[HostApp]:
    """That app inside its context."""
    module_app.actor = ADMIN
    with module_app.app.app_context():
        yield module_app


def by_page(site: HostApp, field: str, text: str) -> Outcome:
    """Saved on the tab."""
    number = sender_of(site).revision
    form = BASE | {field: text, "revision": str(number)}
    answer = site.client.post("/smtp-admin/partners/acme", data=form)
    found = re.search(rf'complaint" id="{field}-error">([^<]*)<', answer.text)
    if found:
        assert answer.status_code == 400
        return "sentence", html.unescape(found[1]).strip()
    assert answer.status_code == 303
    return "value", value_of(site, sender_of(site), field)


def by_json(site: HostApp, field: str, text: str) -> Outcome:
    """Asked for in a connection test."""
    try:
        keyring = site.installation.keyring
        read = read_request(BASE | {field: text}, sender_of(site), keyring, ADMIN)
    except InvalidInput as error:
        return "sentence", error.fields[field][0]
    return "value", (read.secrets if FIELDS[field].secret else read.values)[field]


def by_command(site: HostApp, field: str, text: str, folder: Path) -> Outcome:
    """Given to the wizard; a secret in a file with one line break at its end."""
    password = folder / "password"
    password.write_bytes((text if field == "password" else BASE["password"]).encode() + b"\n")
    words = ["--password-file", str(password)]
    for name, said in (BASE | {field: text}).items():
        one = FIELDS[name]
        if one.kind == "flag":
            words.append(one.option if one.clean(said) else f"--no-{one.option[2:]}")
        elif not one.secret:
            words += [one.option, said]
    runner = site.app.test_cli_runner()
    args = ["smtp-admin", "wizard", "--no-test", "--json", "--partner", "globex", *words]
    result = runner.invoke(args=args)
    if result.exit_code:
        return "sentence", json.loads(result.stdout)["error"]["fields"][field][0]
    return "value", value_of(site, sender_of(site, "globex"), field)


def by_environment(
    site: HostApp, field: str, text: str, folder: Path, *, file: bool = False
) -> Outcome | None:
    """In the variable of the field, or in a file with one line break at its end."""
    if not FIELDS[field].variables:
        return None
    given = {"SMTP_HOST": BASE["host"], "SMTP_USERNAME": "u", "SMTP_PASSWORD": BASE["password"]}
    name = FIELDS[field].variables[0].name
    given[name] = text
    if file:
        path = folder / name
        path.write_bytes(given.pop(name).encode() + b"\n")
        given[f"{name}_FILE"] = str(path)
        name = f"{name}_FILE"
    before = site.installation
    site.app.extensions["smtp_admin"] = started_with(before, environment=given)
    try:
        sender = sender_of(site, "")
        if sender.problems:
            (problem,) = sender.problems
            assert problem.startswith(f"{name}: ")
            return "sentence", problem.removeprefix(f"{name}: ")
        return "value", value_of(site, sender, field)
    finally:
        site.app.extensions["smtp_admin"] = before


def sender_of(site: HostApp, partner_id: str = "acme") -> ResolvedSender:
    """As it is now."""
    session = site.db.session()
    session.rollback()
    session.expire_all()
    return load_sender(session, partner_id)


def value_of(site: HostApp, sender: ResolvedSender, field: str) -> Any:
    """What the worker is given, where it is given this; else what the settings say."""
    setup = sender.setup(site.installation.keyring)
    assert isinstance(setup.settings, Server)
    if field == "password":
        return sender.secrets_for(sender.values, site.installation.keyring)["password"]
    value = sender.values[field]
    if field in Server.__dataclass_fields__:
        assert getattr(setup.settings, field) == value
    return value


@pytest.mark.parametrize(("field", "text", "expected"), CASES)
def test_same_everywhere(
    site: HostApp, tmp_path: Path, field: str, text: str, expected: Outcome
) -> None:
    found = {"page": by_page(site, field, text), "JSON": by_json(site, field, text)}
    if FIELDS[field].kind != "flag":  # which an option says by its name
        found["command"] = by_command(site, field, text, tmp_path)
    for place, file in (("variable", False), ("file", True)):
        outcome = by_environment(site, field, text, tmp_path, file=file)
        if outcome is not None:
            found[place] = outcome
    if expected == ("sentence", ""):
        expected = found["JSON"]
        assert expected[0] == "sentence"
    assert found == dict.fromkeys(found, expected)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=repr)
@pytest.mark.parametrize("word", ["word", " word ", "wörd\t", "a word", "密\u3000"])
def test_one_line_break_of_a_file_is_not_part_of_a_password(
    site: HostApp, tmp_path: Path, word: str, end: str
) -> None:
    """Everything else is: spaces, tabs, and what only looks like a space."""
    file = tmp_path / "password"
    file.write_bytes(f"{word}{end}".encode())
    before = site.installation
    environment = {"SMTP_USERNAME": "u", "SMTP_PASSWORD_FILE": str(file)}
    site.app.extensions["smtp_admin"] = started_with(before, environment=environment)
    assert value_of(site, sender_of(site, ""), "password") == word
    site.app.extensions["smtp_admin"] = before
    runner = site.app.test_cli_runner()
    words = ("--partner", "initech", "--host", "mail.example", "--username", "u",
             "--from-email", "a@initech.example")  # fmt: skip
    base = ["smtp-admin", "wizard", "--no-test", "--no-input", *words]
    for more, given in (
        (["--password-file", str(file)], None),
        (["--password-stdin"], f"{word}{end}"),
    ):
        result = runner.invoke(args=[*base, *more], input=given)
        assert result.exit_code == 0, result.output
        assert value_of(site, sender_of(site, "initech"), "password") == word


@pytest.mark.parametrize("content", ["word\n\n", "a\nb", "\nword"], ids=repr)
def test_a_second_line_in_a_file_is_refused(site: HostApp, tmp_path: Path, content: str) -> None:
    """It may be a file with something else in it, and no login has two lines."""
    file = tmp_path / "password"
    file.write_text(content)
    before = site.installation
    environment = {"SMTP_USERNAME": "u", "SMTP_PASSWORD_FILE": str(file)}
    site.app.extensions["smtp_admin"] = started_with(before, environment=environment)
    assert sender_of(site, "").problems == (f"SMTP_PASSWORD_FILE: {LINES}",)
    site.app.extensions["smtp_admin"] = before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "cannot be read: No such file"), (b"", "is empty"), (b"\r\n", "is empty"),
     (b"\xff\xfe", "is not UTF-8 text"), (b"x" * 70_000, "is larger than 64 KiB")],
)  # fmt: skip
def test_a_file_that_cannot_be_used(
    site: HostApp, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    """The variable and the command say the same, and neither what is in it."""
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    before = site.installation
    environment = {"SMTP_PASSWORD_FILE": str(file)}
    site.app.extensions["smtp_admin"] = started_with(before, environment=environment)
    (problem,) = sender_of(site, "").problems
    site.app.extensions["smtp_admin"] = before
    assert problem.startswith(f"SMTP_PASSWORD_FILE: the file {file} {sentence}")
    args = ["smtp-admin", "wizard", "--json", "--password-file", str(file)]
    result = site.app.test_cli_runner().invoke(args=args)
    assert result.exit_code == 2
    said = json.loads(result.stdout)["error"]["fields"]["password"][0]
    assert said.lower().startswith(f"the file {file} {sentence}".lower())
    assert "xxx" not in f"{problem} {said}"


def test_a_variable_and_its_file_are_not_both_set(site: HostApp, tmp_path: Path) -> None:
    file = tmp_path / "host"
    file.write_text("file.example\n")
    before = site.installation
    environment = {"SMTP_HOST": "env.example", "SMTP_HOST_FILE": str(file)}
    site.app.extensions["smtp_admin"] = started_with(before, environment=environment)
    assert sender_of(site, "").problems == ("SMTP_HOST: set this or SMTP_HOST_FILE, not both.",)
    site.app.extensions["smtp_admin"] = before


def test_a_file_of_spaces_says_nothing_but_a_password(site: HostApp, tmp_path: Path) -> None:
    file = tmp_path / "blank"
    file.write_text(" \n")
    before = site.installation
    for name in ("SMTP_HOST", "SMTP_FROM", "MAX_EMAILS_PER_HOUR"):
        environment = {f"{name}_FILE": str(file)}
        site.app.extensions["smtp_admin"] = started_with(before, environment=environment)
        assert sender_of(site, "").problems == (f"{name}_FILE: the file {file} is empty.",)
    site.app.extensions["smtp_admin"] = before


@pytest.mark.parametrize("blank", [" ", "\t", "\n"])
def test_a_blank_variable_says_nothing(site: HostApp, blank: str) -> None:
    before = site.installation
    environment = dict.fromkeys(("SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_FROM"), blank)
    site.app.extensions["smtp_admin"] = started_with(before, environment=environment)
    sender = sender_of(site, "")
    site.app.extensions["smtp_admin"] = before
    assert (sender.locked, sender.problems) == ({}, ())
