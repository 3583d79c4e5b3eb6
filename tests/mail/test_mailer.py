"""What takes Flask-Mail's place, and Flask-Mail's own messages."""

from collections.abc import Callable
from email.message import EmailMessage
from email.mime.text import MIMEText
from typing import Any

import flask_mail
import pytest
from flask import current_app
from sqlalchemy import Table, Text, insert, select
from sqlalchemy.orm import Session

from smtp_admin import SMTPAdmin
from smtp_admin.delivery.models import Message as Row
from smtp_admin.errors import MessageError
from smtp_admin.mail.message import Attachment, Message
from tests.mail.reading import parsed, queued, recipients


def database() -> Any:
    return current_app.extensions["sqlalchemy"]


def committed() -> int:
    """How many mails another connection sees."""
    with Session(database().engine) as session:
        return len(session.scalars(select(Row.id)).all())


@pytest.fixture
def hosts_table(plugin: SMTPAdmin) -> Table:
    """A table of the host's."""
    db = database()
    table: Table = db.Table("hosts", db.Column("id", db.Integer, primary_key=True),
                            db.Column("text", Text))  # fmt: skip
    db.create_all()
    return table


def test_a_flask_mail_message_keeps_everything(plugin: SMTPAdmin) -> None:
    message = flask_mail.Message(
        "Grüße",
        recipients=["a@b.example", ("Bob Ä", "bob@b.example")],
        body="text",
        html="<p>html</p>",
        sender=("Somebody", "spoofed@else.example"),
        cc=["cc@b.example"],
        bcc=["bcc@b.example"],
        reply_to="reply@b.example",
        extra_headers={"X-Campaign": "spring"},
    )
    message.attach("a.txt", "text/plain", "a text")
    message.attach("b.bin", "application/x-thing", b"\0\1")
    plugin.send_message(message)
    (row,) = queued()
    mail = parsed(row.content)
    assert mail["Subject"] == "Grüße"
    assert [one.addr_spec for one in mail["To"].addresses] == ["a@b.example", "bob@b.example"]
    assert mail["To"].addresses[1].display_name == "Bob Ä"
    assert mail["Cc"] == "cc@b.example"
    assert mail["Reply-To"] == "reply@b.example"
    assert mail["X-Campaign"] == "spring"
    assert b"bcc@" not in row.content
    assert b"spoofed" not in row.content
    assert recipients() == ["a@b.example", "bob@b.example", "cc@b.example", "bcc@b.example"]
    text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert (text.get_content().strip(), html.get_content().strip()) == ("text", "<p>html</p>")
    files = [(one.get_filename(), one.get_content()) for one in mail.iter_attachments()]
    assert files[1] == ("b.bin", b"\0\1")
    assert files[0] == ("a.txt", "a text")


def test_a_text_file_keeps_its_letters(plugin: SMTPAdmin) -> None:
    message = flask_mail.Message("Hi", ["a@b.example"], "x")
    message.attach("a.txt", "text/plain", "Ä text")
    plugin.send_message(message)
    (file,) = parsed(queued()[0].content).iter_attachments()
    assert file.get_content() == "Ä text"


def test_an_inline_image_keeps_the_id_that_the_text_names(plugin: SMTPAdmin) -> None:
    message = flask_mail.Message("Logo", ["a@b.example"], html='<img src="cid:logo">')
    message.attach("logo.png", "image/png", b"png", "inline", {"Content-ID": "<logo>"})
    plugin.send_message(message)
    mail = parsed(queued()[0].content)
    (image,) = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert image["Content-ID"] == "<logo>"
    assert image.get_content_disposition() == "inline"


def test_another_alternative_is_kept(plugin: SMTPAdmin) -> None:
    message = flask_mail.Message("Meet", ["a@b.example"], "text", alts={"calendar": "BEGIN:VCAL"})
    plugin.send_message(message)
    mail = parsed(queued()[0].content)
    assert "text/calendar" in [part.get_content_type() for part in mail.walk()]


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": "a\r\nBcc: evil@b.example"},
        {"extra_headers": {"X-A": "a\r\nBcc: evil@b.example"}},
        {"extra_headers": {"X-A\r\nBcc: evil@b.example": "a"}},
        {"extra_headers": {"Bcc": "evil@b.example"}},
        {"reply_to": "a@b.example\r\nBcc: evil@b.example"},
        {"recipients": ["a@b.example\r\nRCPT TO:<evil@b.example>"]},
        {"recipients": [("x <evil@b.example>\r\n", "a@b.example")]},
        {"recipients": []},
    ],
)
def test_a_flask_mail_message_cannot_inject(plugin: SMTPAdmin, fields: dict[str, Any]) -> None:
    everything = {"subject": "Hi", "recipients": ["a@b.example"], "body": "x"} | fields
    with pytest.raises(MessageError):
        plugin.send_message(flask_mail.Message(**everything))
    assert queued() == []


def test_a_files_name_cannot_inject(plugin: SMTPAdmin) -> None:
    message = flask_mail.Message("Hi", ["a@b.example"], "x")
    message.attach("a\r\nBcc: evil@b.example", "text/plain", "x")
    with pytest.raises(MessageError):
        plugin.mail.send(message)
    assert committed() == 0


@pytest.mark.parametrize("message", [EmailMessage(), MIMEText("x"), "x", {"subject": "x"}, None])
def test_what_is_no_message_is_refused_with_what_to_pass(plugin: SMTPAdmin, message: Any) -> None:
    name = "None" if message is None else type(message).__name__
    refused = rf"\b{name}, which cannot be queued.* smtp_admin\.Message"
    with pytest.raises(MessageError, match=refused):
        plugin.send_message(message)
    with pytest.raises(MessageError, match=r"smtp_admin\.Message"):
        plugin.mail.send(message)
    assert queued() == []


@pytest.mark.parametrize("make", [flask_mail.Message, Message])
def test_send_commits_by_itself(plugin: SMTPAdmin, make: Callable[..., Any]) -> None:
    public_id = plugin.mail.send(make("Hi", ["a@b.example"], "x"))
    assert committed() == 1
    database().session.rollback()
    assert [row.public_id for row in queued()] == [public_id]


def test_send_message_takes_what_flask_mails_does(plugin: SMTPAdmin) -> None:
    everything: dict[str, Any] = {
        "subject": "Hi",
        "recipients": ["a@b.example"],
        "body": "x",
        "html": "<p>x</p>",
        "sender": "me@b.example",
        "cc": ["c@b.example"],
        "bcc": ["d@b.example"],
        "reply_to": "r@b.example",
        "attachments": [Attachment("a.txt", "text/plain", b"x")],
        "extra_headers": {"X-A": "b"},
    }
    plugin.mail.send_message(**everything)
    plugin.mail.send_message("Hi", ["a@b.example"], "x")
    plugin.mail.send_message(**everything, date=0.0, charset="utf-8", alts=None)
    assert committed() == 3


def test_connect_is_there_for_loops(plugin: SMTPAdmin) -> None:
    with plugin.mail.connect() as connection:
        for number in range(3):
            connection.send(Message("Hi", [f"r{number}@b.example"], "x"))
            connection.send_message("Hi", recipients=[f"s{number}@b.example"], body="x")
    assert committed() == 6


def test_recorded_messages_are_those_sent_inside(plugin: SMTPAdmin) -> None:
    plugin.mail.send_message("before", ["a@b.example"], "x")
    inside = flask_mail.Message("inside", ["a@b.example"], "x")
    with plugin.mail.record_messages() as outbox:
        plugin.mail.send(inside)
        with pytest.raises(MessageError):
            plugin.mail.send_message("refused", ["nobody"], "x")
    plugin.mail.send_message("after", ["a@b.example"], "x")
    assert outbox == [inside]


def test_the_hosts_open_transaction_is_left_alone(plugin: SMTPAdmin, hosts_table: Table) -> None:
    """It has read, and has something pending; neither stands in the way."""
    session = database().session()
    assert session.execute(select(hosts_table)).all() == []
    plugin.mail.send_message("Hi", ["a@b.example"], "x")
    assert committed() == 1
    session.rollback()
    assert committed() == 1


def test_on_sqlite_a_transaction_that_has_written_is_joined(
    plugin: SMTPAdmin, hosts_table: Table
) -> None:
    """SQLite has one writer: a second transaction would wait for the first for ever."""
    session = database().session()
    session.execute(insert(hosts_table).values(text="mine"))
    plugin.mail.send_message("never", ["a@b.example"], "x")
    assert committed() == 0
    session.rollback()
    assert committed() == 0
    session.execute(insert(hosts_table).values(text="mine"))
    plugin.mail.send_message("yes", ["a@b.example"], "x")
    session.commit()
    assert [row.subject for row in queued()] == ["yes"]
