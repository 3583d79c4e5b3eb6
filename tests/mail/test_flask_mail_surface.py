"""Flask-Mail's whole public surface, gone over name by name, and how ours behaves in its place."""

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask_mail
import pytest
from flask import Flask, current_app
from flask_mail import BadHeaderError, Message, email_dispatched
from flask_sqlalchemy import SQLAlchemy

import smtp_admin
import smtp_admin.flask_mail as ours
from smtp_admin import Host, Mail, MessageError, SMTPAdmin
from smtp_admin.mail.mail_slot import MailState
from tests.app import HostApp, migrate
from tests.mail.reading import parsed, queued, recipients
from tests.servers.databases import sqlite_url

THEIRS = [
    name
    for name, one in vars(flask_mail).items()
    if not name.startswith("_")
    and (name in {"signals", "email_dispatched"} or getattr(one, "__module__", "") == "flask_mail")
]  # fmt: skip
#: Every ``MAIL_…`` setting, none with its default.
SETTINGS = {
    "MAIL_SERVER": "mail.shop.example", "MAIL_USERNAME": "u", "MAIL_PASSWORD": "p",
    "MAIL_PORT": 587, "MAIL_USE_TLS": True, "MAIL_USE_SSL": True,
    "MAIL_DEFAULT_SENDER": ("The Shop", "shop@shop.example"), "MAIL_DEBUG": 1, "MAIL_MAX_EMAILS": 3,
    "MAIL_SUPPRESS_SEND": True, "MAIL_ASCII_ATTACHMENTS": True,
}  # fmt: skip


def public(of: type) -> list[str]:
    return [name for name in dir(of) if not name.startswith("_") and callable(getattr(of, name))]


def parameters(function: Any) -> list[tuple[str, Any]]:
    found = inspect.signature(function).parameters.values()
    return [(one.name, one.default) for one in found if one.kind is not one.KEYWORD_ONLY]


def test_every_name_can_be_imported_from_us() -> None:
    assert {"Mail", "Message", "Connection", "Attachment", "email_dispatched"} <= set(THEIRS)
    assert sorted(ours.__all__) == sorted(THEIRS)
    changed = {name for name in THEIRS if getattr(ours, name) is not getattr(flask_mail, name)}
    assert changed == {"Mail", "Connection"}
    assert ours.Mail is smtp_admin.Mail


@pytest.mark.parametrize("name", ["Mail", "Connection"])
def test_every_method_takes_what_theirs_takes(name: str) -> None:
    theirs, own = getattr(flask_mail, name), getattr(ours, name)
    assert public(theirs)
    for method in [*public(theirs), "__enter__", "__exit__"]:
        if not hasattr(theirs, method):
            continue
        wanted, found = (parameters(getattr(one, method)) for one in (theirs, own))
        names = [one[0] for one in wanted]
        if method == "__exit__":
            found = wanted  # what Python itself passes
        assert [one[0] for one in found][: len(names)] == names, method
        assert [one[1] for one in found][: len(names)] == [one[1] for one in wanted], method


@pytest.mark.parametrize("config", [{}, SETTINGS])
@pytest.mark.parametrize("testing", [False, True])
def test_the_state_has_what_theirs_has(config: dict[str, Any], testing: bool) -> None:
    app = Flask(__name__)
    app.config.update(config, TESTING=testing)
    theirs = flask_mail.Mail(app).state
    mail = Mail(app)
    state: Any = mail.state
    assert isinstance(state, MailState)
    assert app.extensions["mail"] is state
    assert vars(state) == vars(theirs)
    assert mail.suppress == state.suppress  # as Flask-Mail passes on what its state has
    assert mail.no_such_thing is None
    assert Mail().state is None


Make = Callable[..., tuple[Flask, SMTPAdmin]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """An app with both; first comes the one whose name is asked for."""
    contexts = []

    def made(first: str = "plugin", **config: Any) -> tuple[Flask, SMTPAdmin]:
        app = Flask(__name__)
        app.config.update(
            SQLALCHEMY_DATABASE_URI=sqlite_url(tmp_path), SMTP_ADMIN_REDIS_URL="redis://[::1]:1"
        )
        app.config.update(config)
        db, plugin = SQLAlchemy(app), SMTPAdmin(host=Host())
        if first == "mail":
            Mail(app)
        plugin.init_app(app, db)
        if first == "plugin":
            Mail(app)
        context = app.app_context()
        context.push()
        contexts.append((context, db))
        migrate(db.engine)
        return app, plugin

    yield made
    for context, db in contexts:
        db.session.remove()
        db.engine.dispose()
        context.pop()


@pytest.mark.parametrize("first", ["plugin", "mail", "alone"])
def test_a_message_without_a_sender_in_any_order(make: Make, first: str) -> None:
    """By each way that leads to the slot, and none of them needs a default sender."""
    app, plugin = make(first)
    assert isinstance(app.extensions["mail"], MailState)
    plugin.send_message(Message("1", ["a@b.example"], "x"))
    current_app.extensions["sqlalchemy"].session.commit()
    app.extensions["mail"].send(Message("2", ["a@b.example"], "x"))
    Mail(app).send(Message("3", ["a@b.example"], "x"))
    plugin.mail.send_message("4", ["a@b.example"], "x")
    with app.extensions["mail"].connect() as connection:
        Message("5", ["a@b.example"], "x").send(connection)
        assert connection.send(Message("6", ["a@b.example"], "x")) == connection.last_id
        assert connection.num_emails == 2
    plugin.mail.connect().send_message("7", recipients=["a@b.example"], body="x")
    assert [row.subject for row in queued()] == list("1234567")


def test_without_the_plugin_a_sentence_says_what_is_missing() -> None:
    app = Flask(__name__)
    mail = Mail(app)
    with app.app_context(), pytest.raises(RuntimeError, match=r"SMTPAdmin\.init_app"):
        mail.send_message("x", recipients=["a@b.example"], body="x")


def test_flask_mail_that_was_there_keeps_its_place(make: Make) -> None:
    app = Flask(__name__)
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://")
    state = flask_mail.Mail(app).state
    plugin = SMTPAdmin(host=Host())
    plugin.init_app(app, SQLAlchemy(app))
    assert app.extensions["mail"] is state
    with app.app_context():
        assert not plugin.mail.connect().mail.suppress  # and ours works beside it


@pytest.mark.parametrize("config", [{"TESTING": True}, {"MAIL_SUPPRESS_SEND": True}])
def test_suppressed_mail_is_checked_and_told_and_not_queued(
    make: Make, config: dict[str, Any]
) -> None:
    app, plugin = make(**config)
    told = []

    def listen(sender: Any, message: Any) -> None:
        told.append((sender, message))

    message = Message("Hi", ["a@b.example"], "x")
    with plugin.mail.record_messages() as outbox, email_dispatched.connected_to(listen):
        assert plugin.mail.send(message) == ""
        assert message.date is not None  # as Flask-Mail sets it
        with pytest.raises(MessageError):
            plugin.mail.send_message("Hi", recipients=["nobody"], body="x")
        with pytest.raises(MessageError, match="at least one recipient"):
            plugin.mail.send_message("Hi", body="x")
    assert outbox == [message]
    assert told == [(app, message)]
    assert "Subject: Hi" in message.as_string()
    assert queued() == []


def test_queued_mail_is_told_by_flask_mails_own_signal(make: Make) -> None:
    _, plugin = make()
    with flask_mail.Mail().record_messages() as outbox:  # a listener that knows only Flask-Mail
        plugin.mail.send(Message("Hi", ["a@b.example"], "x"))
    assert [one.subject for one in outbox] == ["Hi"]


@pytest.mark.parametrize("field", ["subject", "sender", "recipients", "reply_to"])
def test_a_line_break_is_flask_mails_error_and_ours(make: Make, field: str) -> None:
    _, plugin = make(TESTING=True)
    bad = "a@b.example\r\nBcc: evil@b.example"
    fields: dict[str, Any] = {"subject": "Hi", "recipients": ["a@b.example"]}
    message = Message(**{**fields, field: [bad] if field == "recipients" else bad})
    with pytest.raises(BadHeaderError, match="line break") as caught:
        plugin.mail.send(message)
    assert isinstance(caught.value, MessageError)


def test_text_of_a_file_that_has_no_bytes_is_named(make: Make) -> None:
    _, plugin = make()
    message = Message("x", ["a@b.example"], "x")
    message.attach("notes.txt", "text/plain", "ab\ud800")
    with pytest.raises(MessageError, match=r"'notes.txt'.*character 3"):
        plugin.mail.send(message)


def test_max_emails_counts_as_theirs(make: Make) -> None:
    _, plugin = make(TESTING=True, MAIL_MAX_EMAILS=2)
    with plugin.mail.connect() as connection:
        counts = []
        for _ in range(3):
            connection.send_message("Hi", recipients=["a@b.example"], body="x")
            counts.append(connection.num_emails)
        assert counts == [1, 0, 1]
        assert connection.host is None
        with pytest.raises(RuntimeError, match="workers send it"):
            connection.configure_host()


def test_forms_of_a_message_that_are_rare(make: Make) -> None:
    """A lazy subject, bytes for one, a date, names that must be ASCII, only blind copies."""
    _, plugin = make(MAIL_ASCII_ATTACHMENTS=True)

    class Lazy:
        def __str__(self) -> str:
            return "Später"

        def __contains__(self, part: str) -> bool:
            return part in str(self)

    message = Message(Lazy(), bcc=["b@b.example"], date=1_700_000_000)  # type: ignore[arg-type]
    message.body = Lazy()  # type: ignore[assignment]
    message.attach("Übersicht  ß.txt", "text/plain", "x")
    message.add_recipient(("Kim", "kim@b.example"))
    plugin.mail.send(message)
    mail = parsed(queued()[0].content)
    assert mail["Subject"] == "Später"
    assert mail["Date"].datetime.timestamp() == 1_700_000_000
    body = mail.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "Später"
    assert [one.get_filename() for one in mail.iter_attachments()] == ["Ubersicht .txt"]
    assert recipients() == ["kim@b.example", "b@b.example"]
    for date in (-1, 1e12, "yesterday"):
        message.date = date  # type: ignore[assignment]
        with pytest.raises(MessageError, match="date of a mail"):
            plugin.mail.send(message)


def test_a_sender_chooses_among_those_that_are_set_up(
    host: HostApp, caplog: pytest.LogCaptureFixture
) -> None:
    host.save_sender("acme", from_email="noreply@acme.example")
    host.save_sender("acme", key="news", from_email="news@acme.example")
    mail = host.plugin.mail
    for sender in (("The News", "News@acme.example"), "boss@acme.example", None, "no address",
                   "boss@acme.example"):  # fmt: skip
        message = Message("Hi", ["a@b.example"], "x", sender=sender)
        mail.send(message, partner_id="acme")
        assert message.msgId.encode() in queued()[-1].content
    by_news = [b"<news@acme.example>" in row.content for row in queued()]
    assert by_news == [True, False, False, False, False]
    assert b"boss@" not in b"".join(row.content for row in queued())
    warned = [one.getMessage() for one in caplog.records if "as its sender" in one.getMessage()]
    assert len(warned) == 2
    assert "boss@acme.example" in warned[0]
    assert "partner 'acme'" in warned[0]


def test_partners_mail_by_each_way(host: HostApp) -> None:
    mail = host.plugin.mail
    mail.send(Message("1", ["a@b.example"], "x"), partner_id="acme")
    mail.send_message("2", ["a@b.example"], "x", partner_id="acme")
    with mail.connect(partner_id="acme") as connection:
        own = smtp_admin.Message("3", ["a@b.example"], "x")
        connection.send(own)
        assert own == smtp_admin.Message("3", ["a@b.example"], "x")
    mail.send_message("4", ["a@b.example"], "x")
    assert [row.partner_id for row in queued()] == ["acme", "acme", "acme", ""]


def test_an_app_without_flask_mail_does_not_load_it() -> None:
    """It changes for the whole process how Python's own ``email`` package writes UTF-8."""
    program = (
        "import sys, smtp_admin\n"
        "from flask import Flask\n"
        "from flask_sqlalchemy import SQLAlchemy\n"
        "app = Flask('x')\n"
        "app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite://'\n"
        "smtp_admin.SMTPAdmin(host=smtp_admin.Host()).init_app(app, SQLAlchemy(app))\n"
        "names = {'flask_mail', 'flask_security', 'flask_login', 'flask_sqlalchemy_lite'}\n"
        "assert not names & sys.modules.keys(), names & sys.modules.keys()\n"
        "from smtp_admin import Mail\n"
        "assert 'flask_mail' in sys.modules\n"
        "assert smtp_admin.flask_mail.Mail is Mail\n"
        "assert smtp_admin.flask_security.MailUtil\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
